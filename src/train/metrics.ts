import { checkNumber, GraftError } from "../base/index.js";
import { isFloat, sameShape, showShape, type Tensor } from "../graph/index.js";
import { abs, argmax, cast, eq, max, mean, square, sub, sum, topk, unsqueeze } from "../ops/index.js";
import { ConfusionMatrix, type Average } from "./confusion.js";
import { brier, calibrationError } from "./metrics-calibration.js";
import { averagePrecision, rocAuc } from "./metrics-ranking.js";
import type { BatchMetric, ConfusionMetric, Metrics } from "./types.js";

export { ClassProbabilities, type Scores } from "./class-probabilities.js";
export { ConfusionMatrix, type Average, type ClassScores } from "./confusion.js";
export { exactMatch, normalizeAnswer, tokenF1 } from "./metrics-answers.js";
export { brier, brierScore, calibrationError, expectedCalibrationError, reliability, type CalibrationOptions, type ReliabilityBin } from "./metrics-calibration.js";
export { averagePrecision, averagePrecisionScore, rocAuc, rocAucScore } from "./metrics-ranking.js";

/** Whether `output` holds one score per class [B, C, ...] for labels [B, ...]. */
export const isClassification = (output: Tensor, target: Tensor): boolean => !isFloat(target.dtype) && output.ndim === target.ndim + 1 && output.ndim >= 2;

/** Class labels: as they are, or the most probable class of rows of probabilities. */
function labelsOf(name: string, output: Tensor, target: Tensor): Tensor {
  if (isClassification(output, target)) return cast(target, "i32");
  if (isFloat(target.dtype) && output.ndim >= 2 && sameShape(output.shape, target.shape)) return argmax(target, { dim: 1 });
  throw new GraftError("shape", `${name}: output is ${showShape(output.shape)}, target ${target.dtype} ${showShape(target.shape)}. Give scores [B, C] and labels [B] (integers), or probabilities [B, C].`);
}

/**
 * The share of samples whose largest output is that of their class: output [B, C, ...], target [B, ...] (labels) or [B, C, ...] (probabilities).
 * @example
 * await train.fit(model, { train, metrics: { accuracy: train.metrics.accuracy } });
 */
export const accuracy: BatchMetric = (output, target) => mean(cast(eq(argmax(output, { dim: 1 }), labelsOf("accuracy", output, target)), "f32"));

/** The share of samples whose class is among the `k` largest outputs: output [B, C], target [B]. */
export function topK(k: number): BatchMetric {
  checkNumber("topK", "k", k, { min: 1, whole: true });
  return (output, target) => {
    const labels = labelsOf("topK", output, target);
    const [, found] = topk(output, Math.min(k, output.shape[1]), { dim: 1 }); // [B, k]
    return mean(cast(sum(cast(eq(found, unsqueeze(labels, 1)), "f32"), { dim: 1 }), "f32"));
  };
}

/** The share of outputs on the right side of 0 (logits) or of another threshold: output and target [B, ...], target 0 or 1. */
export function binaryAccuracy({ threshold = 0 }: { readonly threshold?: number } = {}): BatchMetric {
  return (output, target) => mean(cast(eq(cast(output.gt(threshold), "f32"), cast(target, "f32")), "f32"));
}

/** mean |output - target| */
export const meanAbsoluteError: BatchMetric = (output, target) => mean(abs(sub(output, target)));
/** mean (output - target)^2 */
export const meanSquaredError: BatchMetric = (output, target) => mean(square(sub(output, target)));
/** max |output - target| of a batch; averaged over batches like the others. */
export const maxAbsoluteError: BatchMetric = (output, target) => max(abs(sub(output, target)));

/** Precision of an evaluation; see {@link ConfusionMatrix.precision}. */
export const precision = (average: Average = "macro"): ConfusionMetric => ({ of: (matrix) => matrix.precision(average) });
/** Recall of an evaluation; see {@link ConfusionMatrix.recall}. */
export const recall = (average: Average = "macro"): ConfusionMetric => ({ of: (matrix) => matrix.recall(average) });
/** F1 of an evaluation; see {@link ConfusionMatrix.f1}. */
export const f1 = (average: Average = "macro"): ConfusionMetric => ({ of: (matrix) => matrix.f1(average) });

/**
 * What is usually reported of a classifier, for `metrics` of {@link evaluate} and {@link fit}: accuracy (which is micro F1 too), F1 as the mean over classes and weighted by their samples, area
 * under the ROC curve, average precision, calibration error and Brier score.
 * @example
 * const { metrics } = await train.evaluate(model, digits.test, { metrics: train.metrics.classification });
 */
export const classification: Metrics = {
  accuracy,
  f1_macro: f1("macro"),
  f1_weighted: f1("weighted"),
  auc: rocAuc(),
  average_precision: averagePrecision(),
  calibration_error: calibrationError(),
  brier: brier(),
};

/** The confusion matrix of lists of labels; see {@link ConfusionMatrix.from}. */
export const confusionMatrix = (targets: ArrayLike<number>, predicted: ArrayLike<number>, options: { readonly classes: number | readonly string[] }): ConfusionMatrix =>
  ConfusionMatrix.from(targets, predicted, options);

/**
 * exp(loss) of a loss in nats per token: among how many equally likely tokens a model is undecided.
 * @example
 * train.metrics.perplexity(Math.log(50)); // 50
 */
export const perplexity = (loss: number): number => Math.exp(loss);

/**
 * Bits that a model needs for a byte of text: the sum of the losses of all tokens (nats) / ln 2 / number of UTF-8 bytes. Compares models with different tokenizers.
 * @example
 * train.metrics.bitsPerByte(loss * tokens, Buffer.byteLength(text));
 */
export const bitsPerByte = (nats: number, bytes: number): number => nats / Math.LN2 / bytes;
