import { GraftError } from "../base/index.js";

/** Scores of samples: of class 1 for two classes, or one row per sample with a score for each class. */
export type Scores = ArrayLike<number> | readonly ArrayLike<number>[];

const isRows = (scores: Scores): scores is readonly ArrayLike<number>[] => scores.length > 0 && typeof scores[0] === "object";

/** The probabilities of all classes, sample by sample, with the class that is right: what AUC and calibration are computed from. */
export class ClassProbabilities {
  /** Row by row: `values[sample * classes + class]`. */
  readonly values: number[] = [];
  readonly labels: number[] = [];

  constructor(readonly classes: number) {}

  /**
   * From lists: labels, and probabilities (or other scores, where only their order counts) as {@link Scores}. Throws `argument` where their sizes differ, `index` for a label that is no class.
   */
  static from(op: string, labels: ArrayLike<number>, scores: Scores): ClassProbabilities {
    if (labels.length !== scores.length) throw new GraftError("argument", `${op}: ${labels.length} labels, ${scores.length} scores. Give one score, or one row of scores, per label.`);
    if (labels.length === 0) throw new GraftError("argument", `${op}: there are no samples. Give at least one.`);
    const made = new ClassProbabilities(isRows(scores) ? scores[0].length : 2);
    for (let i = 0; i < labels.length; i++) {
      const row = isRows(scores) ? Array.from(scores[i]) : [1 - scores[i], scores[i]];
      if (row.length !== made.classes) throw new GraftError("argument", `${op}: row ${i} has ${row.length} scores, the first one has ${made.classes}. Give one per class.`);
      if (!(Number.isInteger(labels[i]) && labels[i] >= 0 && labels[i] < made.classes)) {
        throw new GraftError("index", `${op}: label ${labels[i]} (sample ${i}) is out of range for ${made.classes} classes. Use 0 to ${made.classes - 1}.`);
      }
      made.labels.push(labels[i]);
      made.values.push(...row);
    }
    return made;
  }

  /** Adds a sample by its logits: p = softmax(z). */
  addLogits(label: number, logits: ArrayLike<number>): void {
    const row = Array.from(logits);
    const most = row.reduce((a, b) => Math.max(a, b), -Infinity);
    const powers = row.map((z) => Math.exp(z - most));
    const total = powers.reduce((a, b) => a + b, 0);
    this.labels.push(label);
    this.values.push(...powers.map((power) => power / total));
  }

  /** Number of samples. */
  get length(): number {
    return this.labels.length;
  }

  at(sample: number, label: number): number {
    return this.values[sample * this.classes + label];
  }

  /** One row of probabilities per sample. */
  get rows(): number[][] {
    return this.labels.map((_, i) => this.values.slice(i * this.classes, (i + 1) * this.classes));
  }

  /** One class against the rest: its probabilities, and which samples are its own. */
  against(label: number): { readonly scores: Float64Array; readonly positive: readonly boolean[] } {
    return { scores: Float64Array.from({ length: this.length }, (_, i) => this.at(i, label)), positive: this.labels.map((own) => own === label) };
  }

  /** The most probable class of a sample (the first one of equals), and its probability. */
  top(sample: number): { readonly label: number; readonly confidence: number } {
    let label = 0;
    for (let c = 1; c < this.classes; c++) if (this.at(sample, c) > this.at(sample, label)) label = c;
    return { label, confidence: this.at(sample, label) };
  }
}
