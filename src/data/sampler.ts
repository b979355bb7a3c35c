import { GraftError } from "../base/index.js";
import type { Random } from "./random.js";

/** Chooses the samples of an epoch and their order. All randomness comes from `random`, which the loader derives from seed and epoch. */
export interface Sampler {
  /** Number of indices per epoch. */
  readonly length: number;
  indices(random: Random): ArrayLike<number>;
}

/** 0, 1, 2, ... */
export const sequentialSampler = (length: number): Sampler => ({ length, indices: () => Uint32Array.from({ length }, (_, i) => i) });

/** Every index once, in a new random order each epoch. */
export const randomSampler = (length: number): Sampler => ({ length, indices: (random) => random.permutation(length) });

/**
 * `length` indices drawn with replacement, index i with probability `weights[i] / sum(weights)`; evens out rare classes.
 *
 * Throws `argument` unless the weights are numbers of 0 or more, one of them above 0.
 *
 * @example
 * const sampler = weightedSampler(labels.map((label) => 1 / counts[label]));
 */
export function weightedSampler(weights: ArrayLike<number>, { length = weights.length }: { readonly length?: number } = {}): Sampler {
  const cumulative = new Float64Array(weights.length);
  let sum = 0;
  for (let i = 0; i < weights.length; i++) {
    if (!(weights[i] >= 0 && weights[i] < Infinity)) {
      throw new GraftError("argument", `weightedSampler: weight ${i} is ${weights[i]}. Use finite numbers of 0 or more.`);
    }
    cumulative[i] = sum += weights[i];
  }
  if (sum === 0) throw new GraftError("argument", "weightedSampler: all weights are 0. Give at least one sample a weight.");
  return {
    length,
    indices: (random) => Uint32Array.from({ length }, () => find(cumulative, random.uniform(0, sum))),
  };
}

/** The first position whose cumulative weight lies above `value`. */
function find(cumulative: Float64Array, value: number): number {
  let low = 0;
  let high = cumulative.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (cumulative[middle] > value) high = middle;
    else low = middle + 1;
  }
  return low;
}
