import { checkOptions, GraftError } from "../base/index.js";
import { DataLoader, text, toTensors, type LoaderOptions } from "../data/index.js";
import type { Tensor } from "../graph/index.js";
import { contextLength, type TextModel } from "../models/index.js";
import type { Module } from "../nn/index.js";
import { evaluate, type Evaluation } from "./evaluate.js";
import { fit } from "./fit.js";
import { fitOptionsOf, isSmall, lmOptionNames, type LmOptions } from "./lm-options.js";
import { outputOf } from "./text-output.js";
import type { Batch, BatchSource, BatchStep, FitResult, Metrics } from "./types.js";

/** Texts with classes, encoded by `data.text.encodeLabelled`. */
export type ClassSamples = readonly text.ClassSample[];

/** Options of {@link classify}. */
export interface ClassifyOptions extends LmOptions {
  /** Texts to evaluate with. */
  readonly valid?: ClassSamples;
  /** Evaluated once, at the end. */
  readonly test?: ClassSamples;
  /** Fills rows up. Default: 0; use the tokenizer's `padId`. */
  readonly padId?: number;
  /** Default: accuracy. */
  readonly metrics?: Metrics;
}

/**
 * Trains a classifier of texts: cross entropy, AdamW, a learning rate that falls along a line. What learns is what requires gradients: call `tune.lora` or `tune.head` first for less than
 * all. Defaults: lr 0.00005, weight decay 0.01, batches of 32, 3 epochs.
 *
 * Throws as `fit`.
 * @example
 * const model = await models.load("runs/encoder", { task: "sequence-classification", classes });
 * await train.classify(model, samples, { epochs: 3, padId: tokenizer.padId });
 */
export async function classify(model: Module, samples: ClassSamples, options: ClassifyOptions = {}): Promise<FitResult> {
  checkOptions("train.classify", options, [...lmOptionNames, "valid", "test", "padId", "metrics"]);
  const { valid = [], test = [], padId, metrics, ...rest } = options;
  if (samples.length === 0) throw new GraftError("argument", "train.classify: there are no samples. Give at least one.");
  const { batchSize = 32, seed = 0, shuffle = true } = rest;
  const sampler = shuffle ? text.lengthSampler(samples.map(({ inputIds }) => inputIds.length), { batchSize, pool: 4 }) : undefined;
  return fit(model, {
    ...fitOptionsOf("train.classify", { schedule: "linear", epochs: rest.maxSteps === undefined ? 3 : undefined, ...rest }, { lr: 5e-5, betas: [0.9, 0.999], weightDecay: 0.01 }),
    train: loader(model, samples, { batchSize, seed, sampler }, padId),
    ...(valid.length === 0 ? {} : { valid: loader(model, valid, { batchSize }, padId) }),
    ...(test.length === 0 ? {} : { test: loader(model, test, { batchSize }, padId) }),
    step,
    metrics,
    compile: rest.compile ?? isSmall(model, rest),
  });
}

const step: BatchStep = (model, batch) => {
  const { inputIds, ...inputs } = batch as Readonly<Record<string, Tensor>>;
  const { loss, logits } = outputOf(model, inputIds, inputs);
  return { loss: loss!, output: logits, target: inputs.labels };
};

type Order = Pick<LoaderOptions<text.ClassSample, Batch>, "batchSize" | "seed" | "sampler">;

function loader(model: Module, samples: ClassSamples, options: Order, padId = 0): BatchSource {
  const maxLength = contextLength(model as TextModel);
  const collate = (rows: ClassSamples): Batch => toTensors({ ...text.padTexts(rows, { padId, multipleOf: 8, maxLength }) }) as Record<string, Tensor>;
  return new DataLoader<text.ClassSample, Batch>({ length: samples.length, get: (i) => samples[i] }, { seed: 0, ...options, collate }) as BatchSource;
}

/** Options of {@link evaluateClassifier}. */
export interface EvaluateClassifierOptions {
  /** Default: accuracy. */
  readonly metrics?: Metrics;
  /** Default: 32. */
  readonly batchSize?: number;
  /** Fills rows up. Default: 0. */
  readonly padId?: number;
  /** Names of the classes, for the confusion matrix. */
  readonly classes?: readonly string[];
}

/**
 * Measures a classifier of texts, as {@link evaluate} does. Texts of similar length share a batch.
 * @example
 * const { accuracy, confusion } = await train.evaluateClassifier(model, samples, { padId: tokenizer.padId, metrics: { auc: train.metrics.rocAuc() } });
 */
export async function evaluateClassifier(model: Module, samples: ClassSamples, options: EvaluateClassifierOptions = {}): Promise<Evaluation> {
  checkOptions("train.evaluateClassifier", options, ["metrics", "batchSize", "padId", "classes"]);
  const { metrics, batchSize = 32, padId, classes } = options;
  const sorted = [...samples].sort((a, b) => a.inputIds.length - b.inputIds.length);
  return evaluate(model, loader(model, sorted, { batchSize }, padId), { step, metrics, classes });
}
