import { checkChoice, checkNumber, checkOptions, GraftError } from "../../base/index.js";
import { checkIndex, type Dataset } from "../dataset.js";
import type { HostArray } from "../sample.js";
import { ignoredLabel, type TokenSample } from "./encode-example.js";
import { padIds, type PadOptions } from "./pad.js";

/** Several samples in one row; all fields are Int32Array [blockSize]. */
export interface PackedBlock {
  readonly inputIds: Int32Array;
  /** -100 at prompts, padding, and each sample's first token, which nothing before it may predict. */
  readonly labels: Int32Array;
  /** 1, 2, ... for the samples, 0 for padding: tokens of different segments must not see each other. */
  readonly segmentIds: Int32Array;
  /** From 0 in each sample. */
  readonly positionIds: Int32Array;
  readonly [field: string]: Int32Array;
}

/** Options of {@link PackedDataset}. */
export interface PackOptions {
  /** Tokens per row. */
  readonly blockSize: number;
  /** Fills rows up. Default 0; use the tokenizer's `padId`. */
  readonly padId?: number;
  /** `best`: each sample goes into the fullest row that has room (long ones first); `order`: rows are filled in the order of the samples. Default `best`. */
  readonly fit?: "best" | "order";
}

/**
 * Samples packed into rows of one length without contamination: `segmentIds` and `positionIds` keep them apart, no sample is cut.
 *
 * The plan depends on the lengths only, so it is the same after a resume; a loader with `shuffle` shuffles the rows. Throws `shape` for a sample that is
 * longer than a row.
 *
 * @example
 * const rows = new data.text.PackedDataset(samples, { blockSize: 512, padId: tokenizer.padId });
 * const { inputIds, labels, segmentIds, positionIds } = rows.get(0);
 */
export class PackedDataset implements Dataset<PackedBlock> {
  /** For each row the numbers of its samples. */
  readonly plan: readonly (readonly number[])[];
  private readonly padId: number;
  readonly blockSize: number;

  constructor(
    private readonly samples: readonly TokenSample[],
    options: PackOptions,
  ) {
    checkOptions("PackedDataset", options, ["blockSize", "padId", "fit"]);
    this.blockSize = checkNumber("PackedDataset", "blockSize", options.blockSize, { min: 2, whole: true });
    this.padId = options.padId ?? 0;
    const fit = checkChoice("PackedDataset", "fit", options.fit ?? "best", ["best", "order"]);
    const lengths = samples.map(({ inputIds }) => inputIds.length);
    const long = lengths.findIndex((length) => length > this.blockSize);
    if (long >= 0) throw new GraftError("shape", `PackedDataset: sample ${long} has ${lengths[long]} tokens, a row holds ${this.blockSize}. Shorten it when it is encoded, or use a larger blockSize.`);
    this.plan = fit === "best" ? bestFit(lengths, this.blockSize) : inOrder(lengths, this.blockSize);
  }

  get length(): number {
    return this.plan.length;
  }

  /** The share of tokens that are not padding. */
  get density(): number {
    const tokens = this.samples.reduce((sum, { inputIds }) => sum + inputIds.length, 0);
    return tokens / Math.max(1, this.plan.length * this.blockSize);
  }

  get(index: number): PackedBlock {
    checkIndex("PackedDataset", index, this.length);
    const inputIds = new Int32Array(this.blockSize).fill(this.padId);
    const labels = new Int32Array(this.blockSize).fill(ignoredLabel);
    const segmentIds = new Int32Array(this.blockSize);
    const positionIds = new Int32Array(this.blockSize);
    let at = 0;
    this.plan[index].forEach((number, segment) => {
      const sample = this.samples[number];
      inputIds.set(sample.inputIds, at);
      labels.set(sample.labels, at);
      labels[at] = ignoredLabel;
      for (let i = 0; i < sample.inputIds.length; i++) {
        segmentIds[at + i] = segment + 1;
        positionIds[at + i] = i;
      }
      at += sample.inputIds.length;
    });
    for (let i = at; i < this.blockSize; i++) positionIds[i] = i - at;
    return { inputIds, labels, segmentIds, positionIds };
  }
}

/** Best fit, longest first; rows by the room they have left, so that finding one takes no search over rows. */
function bestFit(lengths: readonly number[], blockSize: number): number[][] {
  const order = lengths.map((_, i) => i).sort((a, b) => lengths[b] - lengths[a] || a - b);
  const rows: number[][] = [];
  const byRoom: number[][] = Array.from({ length: blockSize + 1 }, () => []);
  for (const sample of order) {
    let room = lengths[sample];
    while (room < blockSize && byRoom[room].length === 0) room++;
    const row = byRoom[room].pop() ?? rows.push([]) - 1;
    rows[row].push(sample);
    byRoom[room - lengths[sample]].push(row);
  }
  return rows;
}

function inOrder(lengths: readonly number[], blockSize: number): number[][] {
  const rows: number[][] = [];
  let room = 0;
  lengths.forEach((length, sample) => {
    if (rows.length === 0 || length > room) {
      rows.push([]);
      room = blockSize;
    }
    rows[rows.length - 1].push(sample);
    room -= length;
  });
  return rows;
}

/** Samples filled up to one length: what {@link padSamples} gives, arrays [B, T]. */
export interface PaddedBatch {
  readonly inputIds: HostArray;
  readonly labels: HostArray;
  /** 1 at tokens, 0 at padding. */
  readonly attentionMask: HostArray;
}

/** Fills samples up at their ends to the longest one (or to a multiple of `multipleOf`). */
export function padSamples(samples: readonly TokenSample[], options: PadOptions = {}): PaddedBatch {
  const { length: T, inputIds, attentionMask } = padIds(samples.map((sample) => sample.inputIds), options);
  const field = (data: Int32Array): HostArray => ({ dtype: "i32", shape: [samples.length, T], data });
  const labels = new Int32Array(inputIds.length).fill(ignoredLabel);
  samples.forEach((sample, row) => labels.set(sample.labels, row * T));
  return { inputIds: field(inputIds), labels: field(labels), attentionMask: field(attentionMask) };
}
