import { GraftError } from "../base/index.js";
import type { Dataset } from "./dataset.js";

/**
 * Throws `index`, with the row, unless every label is a whole number from 0 to `classes - 1`.
 * @example checkLabels("iris.csv", labels, 3);
 */
export function checkLabels(what: string, labels: ArrayLike<number>, classes: number): void {
  const bad: number[] = [];
  for (let i = 0; i < labels.length; i++) if (!(Number.isInteger(labels[i]) && labels[i] >= 0 && labels[i] < classes)) bad.push(i);
  if (bad.length === 0) return;
  const more = bad.length > 1 ? ` (and ${bad.length - 1} more)` : "";
  throw new GraftError(
    "index",
    `${what}: row ${bad[0]} has the label ${labels[bad[0]]}${more}, with ${classes} classes labels are 0 to ${classes - 1}. Correct the labels or the number of classes.`,
  );
}

/**
 * The labels of a data set: field `field` of every sample (default 1). Reads all samples once. Throws `argument`, with the row, where that is not a number.
 */
export async function readLabels(dataset: Dataset<unknown>, { field = 1 }: { readonly field?: number | string } = {}): Promise<Int32Array> {
  const labels = new Int32Array(dataset.length);
  for (let i = 0; i < labels.length; i++) {
    const sample = (await dataset.get(i)) as Readonly<Record<string, unknown>>;
    const value = sample[field] as number | { data?: ArrayLike<number> } | undefined;
    const label = typeof value === "object" ? value.data?.[0] : value;
    if (typeof label !== "number" || !Number.isInteger(label)) {
      throw new GraftError("argument", `readLabels: field ${field} of row ${i} is ${String(label)}, not a whole number. Name the field that holds the label.`);
    }
    labels[i] = label;
  }
  return labels;
}
