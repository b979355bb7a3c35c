import { GraftError } from "../base/index.js";

/** How numbers per class become one: over all predictions, as the mean over classes, or as the mean weighted by the samples of each class. */
export type Average = "micro" | "macro" | "weighted";

/** What one class came to. */
export interface ClassScores {
  readonly name: string;
  /** Samples of this class. */
  readonly support: number;
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
}

const ratio = (a: number, b: number): number => (b === 0 ? 0 : a / b); // a class without samples or predictions counts as 0

/**
 * How often class i (rows) was taken for class j (columns).
 * @example
 * const matrix = ConfusionMatrix.from([0, 0, 1], [0, 1, 1], { classes: ["cat", "dog"] });
 * matrix.accuracy; // 0.667
 * String(matrix);  // a table
 */
export class ConfusionMatrix {
  readonly names: readonly string[];
  /** Row by row: `counts[target * classes + predicted]`. */
  readonly counts: Float64Array;

  constructor(classes: number | readonly string[], counts?: Float64Array) {
    this.names = typeof classes === "number" ? Array.from({ length: classes }, (_, i) => String(i)) : classes;
    const size = this.names.length ** 2;
    if (counts !== undefined && counts.length !== size) throw new GraftError("argument", `ConfusionMatrix: ${counts.length} counts for ${this.names.length} classes. Give ${size}.`);
    this.counts = counts ?? new Float64Array(size);
  }

  /** The matrix of lists of labels. Throws `index`, with the position, for one that is no class. */
  static from(targets: ArrayLike<number>, predicted: ArrayLike<number>, { classes }: { readonly classes: number | readonly string[] }): ConfusionMatrix {
    if (targets.length !== predicted.length) throw new GraftError("argument", `ConfusionMatrix: ${targets.length} targets, ${predicted.length} predictions. Give one prediction per target.`);
    const matrix = new ConfusionMatrix(classes);
    for (let i = 0; i < targets.length; i++) matrix.add(targets[i], predicted[i], i);
    return matrix;
  }

  /** Number of classes. */
  get classes(): number {
    return this.names.length;
  }

  /** Counts one sample; `position` is named when a label is no class. */
  add(target: number, predicted: number, position?: number): void {
    const { classes } = this;
    for (const label of [target, predicted]) {
      if (Number.isInteger(label) && label >= 0 && label < classes) continue;
      throw new GraftError("index", `ConfusionMatrix: label ${label}${position === undefined ? "" : ` (sample ${position})`} is out of range for ${classes} classes. Use 0 to ${classes - 1}.`);
    }
    this.counts[target * classes + predicted]++;
  }

  /** How often class `target` was taken for class `predicted`. */
  at(target: number, predicted: number): number {
    return this.counts[target * this.classes + predicted];
  }

  private sum(count: (i: number) => number): number {
    let total = 0;
    for (let i = 0; i < this.classes; i++) total += count(i);
    return total;
  }
  /** Number of samples. */
  get total(): number {
    return this.counts.reduce((sum, n) => sum + n, 0);
  }
  /** Samples that were right, as a share of all. */
  get accuracy(): number {
    return ratio(this.sum((i) => this.at(i, i)), this.total);
  }

  /** Support, precision, recall and F1 of each class; what has nothing to be computed from is 0. */
  get perClass(): ClassScores[] {
    return this.names.map((name, i) => {
      const hits = this.at(i, i);
      const support = this.sum((j) => this.at(i, j));
      const [precision, recall] = [ratio(hits, this.sum((j) => this.at(j, i))), ratio(hits, support)];
      return { name, support, precision, recall, f1: ratio(2 * precision * recall, precision + recall) };
    });
  }

  private average(score: "precision" | "recall" | "f1", average: Average): number {
    // with one label per sample every wrong one is a false positive here and a false negative there: all three are the accuracy
    if (average === "micro") return this.accuracy;
    if (average === "weighted") return ratio(this.perClass.reduce((sum, scores) => sum + scores[score] * scores.support, 0), this.total);
    if (average !== "macro") throw new GraftError("argument", `ConfusionMatrix: the average is ${JSON.stringify(average)}. Use "micro", "macro" or "weighted".`);
    return ratio(this.perClass.reduce((sum, scores) => sum + scores[score], 0), this.classes);
  }
  /** Right ones among those taken for a class. */
  precision(average: Average = "macro"): number {
    return this.average("precision", average);
  }
  /** Found ones among those of a class. */
  recall(average: Average = "macro"): number {
    return this.average("recall", average);
  }
  /** Harmonic mean of precision and recall, 2 P R / (P + R); "macro" is the mean of the classes' values. */
  f1(average: Average = "macro"): number {
    return this.average("f1", average);
  }

  /** A table: rows are the true classes, columns what they were taken for, a dot is 0. */
  toString(): string {
    const cells = this.names.map((name, i) => [name, ...this.names.map((_, j) => (this.at(i, j) === 0 ? "." : String(this.at(i, j)))), (100 * this.perClass[i].recall).toFixed(1)]);
    const lines = [["", ...this.names, "recall %"], ...cells, ["precision %", ...this.perClass.map(({ precision }) => (100 * precision).toFixed(1)), (100 * this.accuracy).toFixed(1)]];
    const widths = lines[0].map((_, c) => Math.max(...lines.map((line) => line[c].length)));
    return lines.map((line) => line.map((cell, c) => (c === 0 ? cell.padEnd(widths[c]) : cell.padStart(widths[c]))).join("  ").trimEnd()).join("\n");
  }
}
