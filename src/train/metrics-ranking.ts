import { ClassProbabilities, type Scores } from "./class-probabilities.js";
import type { ProbabilityMetric } from "./types.js";

/** Samples from the highest score to the lowest, in groups of equal scores: for each group how many are positive and negative. */
function groups(scores: Float64Array, positive: readonly boolean[]): { positives: number; negatives: number }[] {
  const order = Array.from(scores, (_, i) => i).sort((a, b) => scores[b] - scores[a]);
  const found: { positives: number; negatives: number }[] = [];
  order.forEach((sample, rank) => {
    if (rank === 0 || scores[sample] !== scores[order[rank - 1]]) found.push({ positives: 0, negatives: 0 });
    found[found.length - 1][positive[sample] ? "positives" : "negatives"]++;
  });
  return found;
}

/** P(score of a positive > score of a negative) + P(equal) / 2: the normalised statistic of Mann and Whitney, which is the area under the ROC curve. */
function binaryAuc(scores: Float64Array, positive: readonly boolean[]): number {
  let [below, positives, pairs] = [scores.length - positive.filter(Boolean).length, 0, 0];
  const negatives = below;
  for (const group of groups(scores, positive)) {
    below -= group.negatives;
    pairs += group.positives * (below + group.negatives / 2); // ties count half
    positives += group.positives;
  }
  return positives === 0 || negatives === 0 ? NaN : pairs / (positives * negatives);
}

/** sum_n (R_n - R_(n-1)) P_n over the thresholds, from the highest: precision P at each gain of recall R, without interpolation. */
function binaryPrecision(scores: Float64Array, positive: readonly boolean[]): number {
  const total = positive.filter(Boolean).length;
  let [hits, taken, sum] = [0, 0, 0];
  for (const { positives, negatives } of groups(scores, positive)) {
    hits += positives;
    taken += positives + negatives;
    sum += positives * (hits / taken);
  }
  return total === 0 ? NaN : sum / total;
}

/** Two classes: class 1 against class 0. More: the mean of each class against the rest, over those for which it is a number. */
function overClasses(probabilities: ClassProbabilities, score: (scores: Float64Array, positive: readonly boolean[]) => number): number {
  const labels = probabilities.classes === 2 ? [1] : Array.from({ length: probabilities.classes }, (_, c) => c);
  const found = labels.map((label) => {
    const { scores, positive } = probabilities.against(label);
    return score(scores, positive);
  });
  const numbers = found.filter((value) => !Number.isNaN(value));
  return numbers.reduce((sum, value) => sum + value, 0) / numbers.length;
}

/**
 * The area under the ROC curve, 0.5 for scores without meaning, 1 for a perfect order; equal scores count half. With more than two classes the mean over each class against the rest
 * (one-vs-rest, macro). NaN where only one class is there. Throws `argument` where sizes differ, `index` for a label that is no class.
 * @example
 * train.metrics.rocAucScore([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]); // 0.75
 */
export const rocAucScore = (labels: ArrayLike<number>, scores: Scores): number => overClasses(ClassProbabilities.from("rocAucScore", labels, scores), binaryAuc);

/**
 * Average precision, the area under the steps of the precision-recall curve: sum (R_n - R_(n-1)) P_n. With more than two classes the mean over each class against the rest. NaN where no
 * sample is positive. Throws as {@link rocAucScore}.
 * @example
 * train.metrics.averagePrecisionScore([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]); // 0.8333
 */
export const averagePrecisionScore = (labels: ArrayLike<number>, scores: Scores): number => overClasses(ClassProbabilities.from("averagePrecisionScore", labels, scores), binaryPrecision);

/** The area under the ROC curve of an evaluation; see {@link rocAucScore}. */
export const rocAuc = (): ProbabilityMetric => ({ ofProbabilities: (probabilities) => overClasses(probabilities, binaryAuc) });
/** The average precision of an evaluation; see {@link averagePrecisionScore}. */
export const averagePrecision = (): ProbabilityMetric => ({ ofProbabilities: (probabilities) => overClasses(probabilities, binaryPrecision) });
