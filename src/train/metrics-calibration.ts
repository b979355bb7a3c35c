import { checkNumber, checkOptions } from "../base/index.js";
import { ClassProbabilities, type Scores } from "./class-probabilities.js";
import type { ProbabilityMetric } from "./types.js";

/** Samples whose confidence lies in (from, to]. */
export interface ReliabilityBin {
  readonly from: number;
  readonly to: number;
  readonly samples: number;
  /** Mean probability of the class that was chosen; NaN without samples. */
  readonly confidence: number;
  /** Share of them that were right; NaN without samples. */
  readonly accuracy: number;
}

/** Options of calibration: how many bins of equal width [0, 1] is cut into. Default: 10. */
export interface CalibrationOptions {
  readonly bins?: number;
}

function binsOf(probabilities: ClassProbabilities, { bins: count = 10 }: CalibrationOptions): ReliabilityBin[] {
  const sums = Array.from({ length: count }, () => ({ samples: 0, confidence: 0, right: 0 }));
  for (let i = 0; i < probabilities.length; i++) {
    const { label, confidence } = probabilities.top(i);
    const bin = sums[Math.min(count - 1, Math.max(0, Math.ceil(confidence * count) - 1))]; // (from, to]
    bin.samples++;
    bin.confidence += confidence;
    if (label === probabilities.labels[i]) bin.right++;
  }
  return sums.map(({ samples, confidence, right }, i) => ({ from: i / count, to: (i + 1) / count, samples, confidence: confidence / samples, accuracy: right / samples }));
}

/** ECE = sum_b |b| / n |accuracy(b) - confidence(b)| */
const errorOf = (probabilities: ClassProbabilities, options: CalibrationOptions): number =>
  binsOf(probabilities, options).reduce((sum, { samples, accuracy, confidence }) => (samples === 0 ? sum : sum + (samples / probabilities.length) * Math.abs(accuracy - confidence)), 0);

function brierOf(probabilities: ClassProbabilities): number {
  const { classes, labels, length } = probabilities;
  let sum = 0;
  for (let i = 0; i < length; i++) {
    for (let c = 0; c < classes; c++) sum += (probabilities.at(i, c) - (labels[i] === c ? 1 : 0)) ** 2;
  }
  return sum / length / (classes === 2 ? 2 : 1); // with two classes both terms are equal: (p - y)^2
}

function check(op: string, options: CalibrationOptions): void {
  checkOptions(op, options, ["bins"]);
  if (options.bins !== undefined) checkNumber(op, "bins", options.bins, { min: 1, max: 10_000, whole: true });
}

/**
 * How right a classifier is at each confidence: samples by the probability of the class that they were taken for, in bins of equal width. Probabilities are of class 1 (two classes), or rows
 * [classes]. Throws `argument` where sizes differ, `index` for a label that is no class.
 * @example
 * for (const { from, to, samples, confidence, accuracy } of train.metrics.reliability(labels, probabilities)) console.log(from, to, samples, confidence, accuracy);
 */
export function reliability(labels: ArrayLike<number>, probabilities: Scores, options: CalibrationOptions = {}): ReliabilityBin[] {
  check("reliability", options);
  return binsOf(ClassProbabilities.from("reliability", labels, probabilities), options);
}

/**
 * The expected calibration error (Guo et al., "On calibration of modern neural networks", 2017): the mean distance of confidence and accuracy over the bins of {@link reliability}, weighted by
 * their samples. 0 where a confidence of 0.8 means that 80 % are right. Throws as `reliability`.
 * @example
 * train.metrics.expectedCalibrationError([1, 0, 1, 1], [0.9, 0.2, 0.6, 0.8], { bins: 10 });
 */
export function expectedCalibrationError(labels: ArrayLike<number>, probabilities: Scores, options: CalibrationOptions = {}): number {
  check("expectedCalibrationError", options);
  return errorOf(ClassProbabilities.from("expectedCalibrationError", labels, probabilities), options);
}

/**
 * The Brier score, 0 at best: with two classes mean (p - y)^2 for the probability p of class 1, from 0 to 1; with more mean sum_c (p_c - y_c)^2, from 0 to 2. Throws as {@link reliability}.
 * @example
 * train.metrics.brierScore([0, 1, 1, 0], [0.1, 0.9, 0.8, 0.3]); // 0.0375
 */
export const brierScore = (labels: ArrayLike<number>, probabilities: Scores): number => brierOf(ClassProbabilities.from("brierScore", labels, probabilities));

/** The expected calibration error of an evaluation; see {@link expectedCalibrationError}. */
export function calibrationError(options: CalibrationOptions = {}): ProbabilityMetric {
  check("calibrationError", options);
  return { ofProbabilities: (probabilities) => errorOf(probabilities, options) };
}
/** The Brier score of an evaluation; see {@link brierScore}. */
export const brier = (): ProbabilityMetric => ({ ofProbabilities: brierOf });
