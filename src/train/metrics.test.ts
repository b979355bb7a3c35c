import { describe, expect, it } from "vitest";
import { tensor } from "../graph/index.js";
import "../runtime/index.js";
import { accuracy, binaryAccuracy, confusionMatrix, f1, meanAbsoluteError, precision, recall, topK } from "./metrics.js";

const labels = (values: number[]) => tensor(Int32Array.from(values), { dtype: "i32" });

describe("confusion matrix", () => {
  const matrix = confusionMatrix([0, 0, 0, 1, 1, 2], [0, 1, 0, 1, 1, 1], { classes: ["a", "bb", "c"] });

  it("counts, and scores each class", () => {
    expect([...matrix.counts]).toEqual([2, 1, 0, 0, 2, 0, 0, 1, 0]);
    expect(matrix.accuracy).toBeCloseTo(4 / 6);
    const [a, b, c] = matrix.perClass;
    expect(a).toMatchObject({ name: "a", support: 3, precision: 1, recall: 2 / 3 });
    expect(b).toMatchObject({ support: 2, precision: 0.5, recall: 1 });
    expect(c).toEqual({ name: "c", support: 1, precision: 0, recall: 0, f1: 0 }); // never predicted
    expect(a.f1).toBeCloseTo(0.8);
    expect(matrix.f1("macro")).toBeCloseTo((0.8 + 2 / 3) / 3);
    expect(matrix.precision()).toBeCloseTo(0.5);
    expect(matrix.recall()).toBeCloseTo(5 / 9);
    for (const score of ["f1", "precision", "recall"] as const) expect(matrix[score]("micro")).toBe(matrix.accuracy);
    expect([precision().of(matrix), recall("micro").of(matrix), f1().of(matrix)]).toEqual([matrix.precision(), matrix.accuracy, matrix.f1()]);
  });

  it("is a table", () => {
    expect(String(matrix).split("\n")).toEqual([
      "                 a    bb    c  recall %",
      "a                2     1    .      66.7",
      "bb               .     2    .     100.0",
      "c                .     1    .       0.0",
      "precision %  100.0  50.0  0.0      66.7",
    ]);
  });

  it("names a label that is no class", () => {
    expect(() => confusionMatrix([0, 3], [0, 0], { classes: 3 })).toThrow(/label 3 \(sample 1\) is out of range for 3 classes. Use 0 to 2/);
    expect(() => confusionMatrix([0], [0, 0], { classes: 3 })).toThrow(/1 targets, 2 predictions/);
  });
});

describe("metrics of a batch", () => {
  const scores = tensor([[3, 1, 2], [0, 1, 2], [1, 2, 0]]);
  it("compare scores with labels or probabilities", () => {
    expect(accuracy(scores, labels([0, 1, 1])).item()).toBeCloseTo(2 / 3);
    expect(accuracy(scores, tensor([[1, 0, 0], [0, 0.4, 0.6], [0.9, 0.1, 0]])).item()).toBeCloseTo(2 / 3);
    expect(topK(2)(scores, labels([2, 0, 0])).item()).toBeCloseTo(2 / 3);
    expect(topK(9)(scores, labels([2, 0, 0])).item()).toBe(1);
    expect(binaryAccuracy()(tensor([-1, 2, 3, -4]), tensor([0, 1, 0, 0])).item()).toBe(0.75);
    expect(meanAbsoluteError(tensor([1, 2]), tensor([2, 4])).item()).toBe(1.5);
    expect(() => accuracy(scores, labels([0, 1, 1]).reshape(3, 1))).toThrow(/accuracy: output is \[3, 3\], target i32 \[3, 1\]/);
  });
});
