import { checkOptions, GraftError } from "../base/index.js";
import { DataLoader, Random, text, toTensors, type Dataset, type tokenizers } from "../data/index.js";
import type { Tensor } from "../graph/index.js";
import { contextLength, type TextModel } from "../models/index.js";
import type { Module } from "../nn/index.js";
import { fit } from "./fit.js";
import { fitOptionsOf, isSmall, lmOptionNames, type LmOptions } from "./lm-options.js";
import { perplexity } from "./metrics.js";
import { outputOf } from "./text-output.js";
import type { Batch, BatchSource, BatchStep, FitResult } from "./types.js";

/** Texts as token ids: lists in memory, or a data set of them. */
export type TokenRows = readonly ArrayLike<number>[] | Dataset<ArrayLike<number>>;

/** Options of {@link mlm}. */
export interface MlmOptions extends LmOptions {
  /** Names the mask, the padding and the special tokens. */
  readonly tokenizer: tokenizers.Tokenizer;
  /** Texts to evaluate with; the same words are hidden each time. */
  readonly valid?: TokenRows;
  /** How words are hidden. */
  readonly mask?: Omit<text.MaskOptions, "maxLength">;
}

/**
 * Trains an encoder to find hidden words: masked language modelling (Devlin et al., "BERT", 2019), cross entropy per hidden word. Words are hidden anew in each epoch. AdamW, warm-up
 * and schedule are those of {@link pretrain}; lists of similar length share a batch. Records hold `perplexity`.
 *
 * Throws as `fit`, and `argument` for a tokenizer without a mask token, or a model that has no logits for every token.
 * @example
 * const model = await models.create({ model_type: "bert", vocab_size: tokenizer.vocabSize, hidden_size: 128, num_hidden_layers: 2, num_attention_heads: 4, intermediate_size: 512 });
 * await train.mlm(model, tokenizer.encodeBatch(sentences), { tokenizer, epochs: 20, batchSize: 64 });
 */
export async function mlm(model: Module, rows: TokenRows, options: MlmOptions): Promise<FitResult> {
  checkOptions("train.mlm", options, [...lmOptionNames, "tokenizer", "valid", "mask"]);
  const { tokenizer, valid = [], mask, ...rest } = options;
  if (rows.length === 0) throw new GraftError("argument", "train.mlm: there are no texts. Give at least one.");
  const { batchSize = 32, seed = 0, shuffle = true } = rest;
  const hide = text.masker(tokenizer, { ...mask, maxLength: contextLength(model as TextModel) });
  const batchOf = (samples: readonly ArrayLike<number>[], random: Random): Batch => toTensors({ ...hide(samples, random) }) as Record<string, Tensor>;
  const dataset = (list: TokenRows): Dataset<ArrayLike<number>> => ("get" in list ? list : { length: list.length, get: (i) => list[i] });
  const order = !shuffle ? {} : "get" in rows ? { shuffle } : { sampler: text.lengthSampler(rows.map(({ length }) => length), { batchSize }) };
  const step: BatchStep = (trained, batch) => {
    const { inputIds, ...inputs } = batch as Readonly<Record<string, Tensor>>;
    return outputOf(trained, inputIds, inputs).loss!;
  };
  return fit(model, {
    ...fitOptionsOf("train.mlm", rest, { lr: 1e-3, betas: [0.9, 0.98], weightDecay: 0.01 }),
    train: new DataLoader<ArrayLike<number>, Batch>(dataset(rows), { batchSize, seed, ...order, collate: (samples, { random }) => batchOf(samples, random) }),
    ...(valid.length === 0 ? {} : { valid: new DataLoader<ArrayLike<number>, Batch>(dataset(valid), { batchSize, seed, collate: (samples, { batch }) => batchOf(samples, new Random(seed, { purpose: "batch", index: batch })) }) as BatchSource }),
    step,
    count: { of: hiddenTokens, unit: "hidden tokens" },
    compile: rest.compile ?? isSmall(model, rest),
    derive: ({ loss }) => ({ perplexity: perplexity(loss) }),
  });
}

const hiddenTokens = (batch: Batch): number => {
  let count = 0;
  for (const label of (batch as Readonly<Record<string, Tensor>>).labels.node.value!) if (label >= 0) count++;
  return count;
};
