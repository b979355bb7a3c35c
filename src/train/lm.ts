import { checkNumber, checkOptions, GraftError } from "../base/index.js";
import { DataLoader, text, toTensors, type Dataset } from "../data/index.js";
import type { Tensor } from "../graph/index.js";
import type { Module } from "../nn/index.js";
import { F } from "../ops/index.js";
import { fit } from "./fit.js";
import { fitOptionsOf, isSmall, lmOptionNames, type LmOptions } from "./lm-options.js";
import { bitsPerByte, perplexity } from "./metrics.js";
import { outputOf } from "./text-output.js";
import type { Batch, BatchSource, BatchStep, FitResult } from "./types.js";

/** Blocks of token ids, (input, target), each Int32Array [T], the target one token ahead: a `data.text.TokenDataset`. */
export type TokenBlocks = Dataset<readonly [Int32Array, Int32Array]>;

/** Options of {@link pretrain}. */
export interface PretrainOptions extends LmOptions {
  /** Blocks to evaluate with, in order. */
  readonly valid?: TokenBlocks;
  /** UTF-8 bytes per token of the validation text; gives bits per byte, which compares models with different tokenizers. */
  readonly bytesPerToken?: number;
}

/** Samples to fine-tune on, encoded by `data.text.encodeExample`. */
export type TokenSamples = readonly text.TokenSample[];

/** Options of {@link sft}. */
export interface SftOptions extends LmOptions {
  readonly valid?: TokenSamples;
  /** Several samples in one row, which do not see each other. Default: true. Without it, rows are filled up to the longest sample of a batch. */
  readonly packing?: boolean;
  /** Tokens per row with packing. Default: the length of the longest sample. */
  readonly blockSize?: number;
  /** Token that fills rows up; it is neither seen nor learnt. Default: 0. */
  readonly padId?: number;
}

const derived = (bytesPerToken: number | undefined) => ({ loss }: { readonly loss: number }) => ({
  perplexity: perplexity(loss),
  ...(bytesPerToken === undefined ? {} : { bits_per_byte: bitsPerByte(loss, bytesPerToken) }),
});

/**
 * Trains a causal language model on blocks of text: cross entropy per token with AdamW, no weight decay on norms and biases, gradients clipped, a warm-up and a schedule over all
 * steps. Records hold `perplexity` and, with `bytesPerToken`, `bits_per_byte`. Resumes in mid-epoch with the same bits (see {@link fit}).
 *
 * With `accumulate` the gradients of several batches become those of one large batch. Throws as `fit`.
 * @example
 * const blocks = new data.text.TokenDataset("tokens/train.bin", { blockSize: 64 });
 * await train.pretrain(model, blocks, { batchSize: 12, maxSteps: 2000, lr: 1e-3, warmupSteps: 100 });
 */
export async function pretrain(model: Module, blocks: TokenBlocks, options: PretrainOptions = {}): Promise<FitResult> {
  checkOptions("train.pretrain", options, [...lmOptionNames, "valid", "bytesPerToken"]);
  const { valid, bytesPerToken, ...rest } = options;
  const { batchSize = 12, seed = 0, shuffle = false } = rest;
  if (bytesPerToken !== undefined) checkNumber("train.pretrain", "bytesPerToken", bytesPerToken, { above: 0 });
  const step: BatchStep = (trained, batch) => {
    const [input, target] = batch as readonly Tensor[];
    const { logits } = outputOf(trained, input);
    const [B, T, V] = logits.shape;
    return F.crossEntropy(F.reshape(logits, [B * T, V]), F.reshape(target, [B * T]));
  };
  return fit(model, {
    ...fitOptionsOf("train.pretrain", rest, { lr: 1e-3, betas: [0.9, 0.95], weightDecay: 0.1 }),
    train: new DataLoader(blocks, { batchSize, seed, shuffle }),
    ...(valid === undefined ? {} : { valid: new DataLoader(valid, { batchSize, seed: 0 }) as BatchSource }),
    step,
    count: { of: (batch) => (batch as readonly Tensor[])[1].size, unit: "tokens" },
    derive: derived(bytesPerToken),
    compile: rest.compile ?? isSmall(model, rest),
  });
}

/**
 * Fine-tunes a causal language model on samples with labels: only tokens whose label is not -100 cost anything, each the same, whatever batch it is in. What learns is what requires
 * gradients: call `tune.lora`, `tune.qlora` or `tune.head` first.
 *
 * Throws as `fit`; `shape` for a sample that is longer than a row.
 * @example
 * const { train: rows } = await data.text.loadExamples("chat.jsonl");
 * tune.lora(model, { r: 8, alpha: 16 });
 * await train.sft(model, rows.map((row) => data.text.encodeExample(row, tokenizer)!), { epochs: 3, lr: 2e-4, padId: tokenizer.padId });
 */
export async function sft(model: Module, samples: TokenSamples, options: SftOptions = {}): Promise<FitResult> {
  checkOptions("train.sft", options, [...lmOptionNames, "valid", "packing", "blockSize", "padId"]);
  const { valid = [], packing = true, blockSize, padId, ...rest } = options;
  if (samples.length === 0) throw new GraftError("argument", "train.sft: there are no samples. Give at least one.");
  const { batchSize = 8, seed = 0, shuffle = true } = rest;
  const row = blockSize ?? [...samples, ...valid].reduce((most, { inputIds }) => Math.max(most, inputIds.length), 2);
  const loader = (list: TokenSamples, mixed: boolean): BatchSource => {
    const own = { batchSize, seed, shuffle: mixed };
    if (packing) return new DataLoader(new text.PackedDataset(list, { blockSize: row, padId }), own) as BatchSource;
    const collate = (rows: readonly text.TokenSample[]): Batch => toTensors({ ...text.padSamples(rows, { padId, multipleOf: 16 }) }) as Record<string, Tensor>;
    return new DataLoader<text.TokenSample, Batch>({ length: list.length, get: (i) => list[i] }, { ...own, collate });
  };
  const step: BatchStep = (trained, batch) => {
    const { inputIds, ...inputs } = batch as Readonly<Record<string, Tensor>>;
    return outputOf(trained, inputIds, inputs).loss!;
  };
  return fit(model, {
    ...fitOptionsOf("train.sft", rest, { lr: 2e-4, betas: [0.9, 0.999], weightDecay: 0 }),
    train: loader(samples, shuffle),
    ...(valid.length === 0 ? {} : { valid: loader(valid, false) }),
    step,
    count: { of: learntTokens, unit: "learnt tokens" },
    derive: derived(undefined),
    compile: rest.compile ?? (packing && isSmall(model, rest)),
  });
}

/** Labels that cost something: the first of a row is predicted by nothing. */
function learntTokens(batch: Batch): number {
  const { labels } = batch as Readonly<Record<string, Tensor>>;
  const [, T] = labels.shape;
  let count = 0;
  labels.node.value!.forEach((label, i) => (count += label !== -100 && i % T !== 0 ? 1 : 0));
  return count;
}
