import { checkNumber, checkOptions, GraftError } from "../../base/index.js";
import type { Random } from "../random.js";
import type { HostArray } from "../sample.js";
import type { Tokenizer } from "../tokenizers/index.js";
import { ignoredLabel } from "./encode-example.js";
import { padIds } from "./pad.js";

/** Options of {@link masker}. */
export interface MaskOptions {
  /** Share of the tokens that a model has to find. Default: 0.15. */
  readonly probability?: number;
  /** Of these, the share that is replaced by the mask token. Default: 0.8. */
  readonly masked?: number;
  /** Of these, the share that is replaced by any token; the rest stays as it is. Default: 0.1. */
  readonly random?: number;
  /** Factor of `probability` for a token, for example less than 1 for frequent ones, of which little is to be learnt. Default: 1 for all. */
  readonly weight?: (id: number) => number;
  /** Whether each hidden word is looked for from the first token (`[CLS]`) too, which a classifier will look at. Default: false. */
  readonly fromFirst?: boolean;
  /** Lengths are filled up to a multiple of this. Default: 8. */
  readonly multipleOf?: number;
  /** What a model has positions for: rows are not filled up beyond it. */
  readonly maxLength?: number;
}

/** Texts with hidden words, as arrays that a masked language model takes. */
export interface MaskedBatch {
  /** [B, T] */
  readonly inputIds: HostArray;
  /** [B, T], 1 at tokens, 0 at padding. */
  readonly attentionMask: HostArray;
  /** [n], where in B x T, row by row, a label stands. */
  readonly labelPositions: HostArray;
  /** [1, n], the tokens that were there; -100 fills the list up. */
  readonly labels: HostArray;
}

/** Lists of labels are filled up to a multiple of this, so that batches share a few plans. */
const labelStep = 32;

/**
 * Hides words for masked language modelling (Devlin et al., "BERT", 2019): of the tokens that are not special, each is chosen with probability 0.15; of those
 * chosen, 80 % become the mask token, 10 % any token, 10 % stay. Returns a function from token ids and a stream of random numbers to a batch. At least one
 * token of a batch is chosen.
 *
 * Throws `argument` for shares out of range, and for a tokenizer without a mask or a padding token.
 * @example
 * const hide = data.text.masker(tokenizer);
 * const loader = new data.DataLoader(rows, { batchSize: 32, shuffle: true, collate: (samples, { random }) => data.toTensors({ ...hide(samples, random) }) });
 */
export function masker(tokenizer: Tokenizer, options: MaskOptions = {}): (samples: readonly ArrayLike<number>[], random: Random) => MaskedBatch {
  checkOptions("masker", options, ["probability", "masked", "random", "weight", "fromFirst", "multipleOf", "maxLength"]);
  const { probability = 0.15, masked = 0.8, random: replaced = 0.1, weight, fromFirst = false, multipleOf = 8, maxLength } = options;
  checkNumber("masker", "probability", probability, { above: 0, max: 1 });
  checkNumber("masker", "masked", masked, { min: 0, max: 1 });
  checkNumber("masker", "random", replaced, { min: 0, max: 1 });
  if (masked + replaced > 1) throw new GraftError("argument", `masker: masked ${masked} and random ${replaced} are more than 1 together. They are shares of the chosen tokens.`);
  checkNumber("masker", "multipleOf", multipleOf, { min: 1, whole: true });
  const [maskId, padId] = [tokenizer.specialId("mask"), tokenizer.specialId("pad")];
  if (maskId === undefined) throw new GraftError("argument", `masker: ${tokenizer.name} has no mask token. Train it with trainWordPiece, or with roles: { mask: "[MASK]" }.`);
  if (padId === undefined) throw new GraftError("argument", `masker: ${tokenizer.name} has no padding token. Train it with trainWordPiece, or with roles: { pad: "[PAD]" }.`);
  const special = specialIds(tokenizer);

  return (samples, stream) => {
    const { length: T, inputIds, attentionMask } = padIds(samples, { padId, multipleOf, maxLength });
    const [places, labels]: [number[], number[]] = [[], []];
    const hide = (at: number): void => {
      places.push(at, ...(fromFirst ? [at - (at % T)] : []));
      labels.push(inputIds[at], ...(fromFirst ? [inputIds[at]] : []));
      const draw = stream.uniform();
      if (draw < masked) inputIds[at] = maskId;
      else if (draw < masked + replaced) inputIds[at] = stream.integer(tokenizer.vocabSize);
    };
    const open: number[] = [];
    samples.forEach((ids, row) => {
      for (let i = 0; i < ids.length; i++) if (!special.has(ids[i])) open.push(row * T + i);
    });
    for (const at of open) if (stream.chance(weight === undefined ? probability : probability * weight(inputIds[at]))) hide(at);
    if (places.length === 0 && open.length > 0) hide(open[stream.integer(open.length)]);
    const n = labelStep * Math.ceil(Math.max(1, places.length) / labelStep);
    const filled = (list: readonly number[], value: number): Int32Array => Int32Array.from({ length: n }, (_, i) => list[i] ?? value);
    const array = (data: Int32Array, shape: readonly number[]): HostArray => ({ dtype: "i32", shape, data });
    return {
      inputIds: array(inputIds, [samples.length, T]),
      attentionMask: array(attentionMask, [samples.length, T]),
      labelPositions: array(filled(places, 0), [n]),
      labels: array(filled(labels, ignoredLabel), [1, n]),
    };
  };
}

/** The ids that no word has: those of the tokenizer's special tokens. */
function specialIds({ json }: Tokenizer): ReadonlySet<number> {
  return new Set(json.added_tokens.filter(({ special }) => special).map(({ id }) => id));
}
