import { describe, expect, it } from "vitest";
import { averagePrecisionScore, brierScore, bitsPerByte, confusionMatrix, expectedCalibrationError, perplexity, reliability, rocAucScore } from "./metrics.js";

/** Numbers from a small generator, so that the cases do not depend on the library's own. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 48271) % 2147483647) / 2147483647;
}

/** The definition: over all pairs of a positive and a negative, how often the positive is ahead; equal ones count half. */
function aucByPairs(labels: readonly number[], scores: readonly number[], positive = 1): number {
  let [sum, pairs] = [0, 0];
  labels.forEach((a, i) =>
    labels.forEach((b, j) => {
      if (a !== positive || b === positive) return;
      pairs++;
      sum += scores[i] > scores[j] ? 1 : scores[i] === scores[j] ? 0.5 : 0;
    }),
  );
  return sum / pairs;
}

/** The definition: at each threshold the gain in recall times the precision of all that reach it. */
function precisionByThresholds(labels: readonly number[], scores: readonly number[], positive = 1): number {
  const total = labels.filter((label) => label === positive).length;
  let [sum, before] = [0, 0];
  for (const threshold of [...new Set(scores)].sort((a, b) => b - a)) {
    const taken = labels.filter((_, i) => scores[i] >= threshold);
    const hits = taken.filter((label) => label === positive).length;
    sum += (hits / total - before) * (hits / taken.length);
    before = hits / total;
  }
  return sum;
}

const softmax = (row: readonly number[]): number[] => {
  const powers = row.map(Math.exp);
  return powers.map((power) => power / powers.reduce((a, b) => a + b));
};

describe("AUC and average precision", () => {
  it("are the values of the textbook example", () => {
    expect(rocAucScore([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])).toBe(0.75);
    expect(averagePrecisionScore([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])).toBeCloseTo(5 / 6, 12);
    expect(rocAucScore([0, 1, 1, 0], [0.5, 0.5, 0.5, 0.5])).toBe(0.5);
    expect(averagePrecisionScore([0, 1, 1, 0], [0.5, 0.5, 0.5, 0.5])).toBe(0.5);
    expect([rocAucScore([0, 1], [0.9, 0.1]), rocAucScore([0, 1], [0.1, 0.9])]).toEqual([0, 1]);
  });

  it.each([1, 2, 3, 4])("agree with their definitions, ties included (%i)", (seed) => {
    const next = numbers(seed);
    const labels = Array.from({ length: 60 }, () => Number(next() < 0.4));
    const scores = labels.map((label) => Math.round(8 * (0.3 * label + next())) / 8); // many equal ones
    expect(rocAucScore(labels, scores)).toBeCloseTo(aucByPairs(labels, scores), 12);
    expect(averagePrecisionScore(labels, scores)).toBeCloseTo(precisionByThresholds(labels, scores), 12);
  });

  it("take the mean over each class against the rest, over classes that are there", () => {
    const next = numbers(9);
    const labels = Array.from({ length: 50 }, () => Math.floor(3 * next()));
    const rows = labels.map((label) => softmax([0, 1, 2, 3].map((c) => (c === label ? 1 : 0) + 2 * next()))); // nothing is of class 3
    const column = (c: number): number[] => rows.map((row) => row[c]);
    const mean = (score: typeof aucByPairs): number => [0, 1, 2].reduce((sum, c) => sum + score(labels, column(c), c), 0) / 3;
    expect(rocAucScore(labels, rows)).toBeCloseTo(mean(aucByPairs), 12);
    expect(averagePrecisionScore(labels, rows)).toBeCloseTo(mean(precisionByThresholds), 12);
    expect(rocAucScore([1, 1], [0.2, 0.3])).toBeNaN();
  });

  it("name what does not fit", () => {
    expect(() => rocAucScore([0, 1], [0.5])).toThrow(/rocAucScore: 2 labels, 1 scores/);
    expect(() => rocAucScore([0, 2], [0.5, 0.5])).toThrow(/label 2 \(sample 1\) is out of range for 2 classes/);
    expect(() => brierScore([0, 1], [[0.5, 0.5], [1]])).toThrow(/row 1 has 1 scores, the first one has 2/);
    expect(() => rocAucScore([], [])).toThrow(/there are no samples/);
    expect(() => expectedCalibrationError([0], [0.5], { bins: 0 })).toThrow(/bins/);
  });
});

describe("calibration", () => {
  it("is computed by hand", () => {
    const labels = [1, 1, 0, 0, 1];
    const probabilities = [0.95, 0.91, 0.93, 0.2, 0.55]; // confidences 0.95 right, 0.91 right, 0.93 wrong, 0.8 right, 0.55 right
    const table = reliability(labels, probabilities);
    expect(table.map(({ samples }) => samples)).toEqual([0, 0, 0, 0, 0, 1, 0, 1, 0, 3]); // 0.8 belongs to (0.7, 0.8]
    expect(table[9]).toMatchObject({ from: 0.9, to: 1, accuracy: 2 / 3 });
    expect(table[9].confidence).toBeCloseTo(0.93, 12);
    expect(table[0].accuracy).toBeNaN();
    expect(expectedCalibrationError(labels, probabilities)).toBeCloseTo((1 * 0.45 + 1 * 0.2 + 3 * (0.93 - 2 / 3)) / 5, 12);
    expect(expectedCalibrationError(labels, probabilities, { bins: 1 })).toBeCloseTo(Math.abs(4 / 5 - (0.95 + 0.91 + 0.93 + 0.8 + 0.55) / 5), 12);
    expect(expectedCalibrationError([0, 1], [[1, 0], [0, 1]])).toBe(0);
  });

  it("Brier score: of class 1 with two classes, over all classes with more", () => {
    expect(brierScore([0, 1, 1, 0], [0.1, 0.9, 0.8, 0.3])).toBeCloseTo(0.0375, 12);
    expect(brierScore([0, 1], [[0.9, 0.1], [0.2, 0.8]])).toBeCloseTo((0.01 + 0.04) / 2, 12);
    expect(brierScore([2, 0], [[0.1, 0.2, 0.7], [1, 0, 0]])).toBeCloseTo((0.01 + 0.04 + 0.09) / 2, 12);
  });
});

describe("averages of the confusion matrix", () => {
  it("weigh classes alike, by their samples, or all predictions together", () => {
    const [targets, predicted] = [[0, 0, 0, 0, 1, 1, 2, 2, 2, 2], [0, 0, 1, 2, 1, 0, 2, 2, 2, 0]];
    const matrix = confusionMatrix(targets, predicted, { classes: 3 });
    const of = (c: number) => {
      const hits = targets.filter((t, i) => t === c && predicted[i] === c).length;
      const [support, taken] = [targets.filter((t) => t === c).length, predicted.filter((p) => p === c).length];
      return { support, precision: hits / taken, recall: hits / support, f1: (2 * hits) / (support + taken) };
    };
    for (const score of ["precision", "recall", "f1"] as const) {
      const values = [0, 1, 2].map(of);
      expect(matrix[score]("macro")).toBeCloseTo(values.reduce((sum, value) => sum + value[score], 0) / 3, 12);
      expect(matrix[score]("weighted")).toBeCloseTo(values.reduce((sum, value) => sum + value[score] * value.support, 0) / 10, 12);
      expect(matrix[score]("micro")).toBe(0.6);
    }
    expect(() => matrix.f1("mean" as "macro")).toThrow(/the average is "mean"/);
  });
});

it("perplexity and bits per byte", () => {
  expect(perplexity(Math.log(50))).toBeCloseTo(50, 10);
  expect(bitsPerByte(8 * Math.log(2), 4)).toBeCloseTo(2, 12);
});
