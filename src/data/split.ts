import { GraftError } from "../base/index.js";
import { getRandomState } from "../ops/index.js";
import { Subset, type Dataset } from "./dataset.js";
import { Random } from "./random.js";

/** Options of the splits. */
export interface SplitOptions {
  /** Default: the seed of `manualSeed`. The same seed gives the same parts. */
  readonly seed?: number;
}

/**
 * Cuts a data set at random into parts that do not overlap. `lengths` are numbers of samples that sum up to the data set's length, or fractions that
 * sum up to 1 (rounded down; what is left goes to the first parts, one each, as in PyTorch).
 *
 * Throws `argument` when the lengths do not sum up.
 *
 * @example
 * const [train, validation] = randomSplit(dataset, [0.9, 0.1], { seed: 1 });
 */
export function randomSplit<S>(dataset: Dataset<S>, lengths: readonly number[], { seed = getRandomState().seed }: SplitOptions = {}): Subset<S>[] {
  const order = new Random(seed, { purpose: "split" }).permutation(dataset.length);
  let start = 0;
  return partLengths("randomSplit", dataset.length, lengths).map((length) => new Subset(dataset, order.subarray(start, (start += length))));
}

/**
 * As `randomSplit`, with every class spread over the parts in proportion.
 *
 * `labels` holds the class of every sample. Throws `argument` when the lengths do not sum up or there is not one label per sample.
 *
 * @example
 * const [train, validation] = stratifiedSplit(digits.train, [0.9, 0.1], { labels: digits.train.labels, seed: 1 });
 */
export function stratifiedSplit<S>(dataset: Dataset<S>, lengths: readonly number[], options: SplitOptions & { readonly labels: ArrayLike<number> }): Subset<S>[] {
  const order = byClass("stratifiedSplit", dataset, options).flat();
  const wanted = partLengths("stratifiedSplit", dataset.length, lengths);
  const parts: number[][] = wanted.map(() => []);
  // Going through the samples class by class, each one goes to the part that is furthest behind its share: so every run of samples, and with it
  // every class, is cut in proportion.
  for (let seen = 0; seen < order.length; seen++) {
    let best = -1;
    let behind = -Infinity;
    for (let k = 0; k < parts.length; k++) {
      const lag = (wanted[k] * (seen + 1)) / order.length - parts[k].length;
      if (parts[k].length < wanted[k] && lag > behind) [best, behind] = [k, lag];
    }
    parts[best].push(order[seen]);
  }
  return parts.map((indices) => new Subset(dataset, indices.sort((a, b) => a - b)));
}

/**
 * `count` random samples of each class: what few-label experiments train on. Throws `argument` when a class has fewer.
 *
 * @example
 * const few = takePerClass(digits.train, 5, { labels: digits.train.labels, seed: 1 }); // 50 samples
 */
export function takePerClass<S>(dataset: Dataset<S>, count: number, options: SplitOptions & { readonly labels: ArrayLike<number> }): Subset<S> {
  const groups = byClass("takePerClass", dataset, options);
  for (const group of groups) {
    if (group.length < count) {
      throw new GraftError("argument", `takePerClass: class ${options.labels[group[0]]} has ${group.length} samples, ${count} are wanted. Take fewer.`);
    }
  }
  return new Subset(dataset, groups.flatMap((group) => group.slice(0, count)));
}

/** The samples' numbers by class (ascending), each class in random order. */
function byClass<S>(op: string, dataset: Dataset<S>, { labels, seed = getRandomState().seed }: SplitOptions & { readonly labels: ArrayLike<number> }): number[][] {
  if (labels.length !== dataset.length) {
    throw new GraftError("argument", `${op}: ${labels.length} labels for ${dataset.length} samples. Pass one label per sample.`);
  }
  const groups = new Map<number, number[]>();
  for (const i of new Random(seed, { purpose: "split" }).permutation(dataset.length)) {
    const group = groups.get(labels[i]);
    if (group === undefined) groups.set(labels[i], [i]);
    else group.push(i);
  }
  return [...groups].sort(([a], [b]) => a - b).map(([, group]) => group);
}

function partLengths(op: string, total: number, lengths: readonly number[]): number[] {
  const sum = lengths.reduce((a, b) => a + b, 0);
  if (lengths.every((length) => Number.isInteger(length) && length >= 0) && sum === total) return [...lengths];
  if (!lengths.every((length) => length >= 0 && length <= 1) || Math.abs(sum - 1) > 1e-6) {
    throw new GraftError(
      "argument",
      `${op}: lengths [${lengths.join(", ")}] sum up to ${sum}. Use numbers of samples that sum up to ${total}, or fractions that sum up to 1.`,
    );
  }
  const parts = lengths.map((fraction) => Math.floor(fraction * total + 1e-9)); // 0.1 * 30 is a hair below 3 for some fractions
  for (let i = 0, left = total - parts.reduce((a, b) => a + b, 0); left > 0; i++, left--) parts[i % parts.length]++;
  return parts;
}
