import { GraftError } from "../base/index.js";
import { Random } from "./random.js";
import type { Sample } from "./sample.js";

/**
 * Anything with a length and samples by index.
 *
 * `random` is the stream for this very sample (a loader derives it from seed, epoch and index); a data set that augments draws from it and from nothing
 * else, so that a resumed run sees the same samples.
 */
export interface Dataset<S = Sample> {
  readonly length: number;
  get(index: number, random?: Random): S | Promise<S>;
}

/** Throws `index` unless `index` names a sample. */
export function checkIndex(what: string, index: number, length: number): void {
  if (!Number.isInteger(index) || index < 0 || index >= length) {
    throw new GraftError(
      "index",
      `${what}: index ${index} is out of range for ${length} samples. Use ${length === 0 ? "a data set that is not empty" : `0 to ${length - 1}`}.`,
    );
  }
}

/**
 * A data set over a list of samples.
 * @example
 * const xor = new ArrayDataset([[[0, 0], 0], [[0, 1], 1], [[1, 0], 1], [[1, 1], 0]]);
 */
export class ArrayDataset<S> implements Dataset<S> {
  constructor(readonly samples: readonly S[]) {}

  get length(): number {
    return this.samples.length;
  }

  get(index: number): S {
    checkIndex("ArrayDataset", index, this.length);
    return this.samples[index];
  }
}

/** Some samples of a data set, in the order of `indices`. Throws `index` when one is out of range. */
export class Subset<S> implements Dataset<S> {
  constructor(
    readonly dataset: Dataset<S>,
    readonly indices: ArrayLike<number>,
  ) {
    for (let i = 0; i < indices.length; i++) checkIndex("Subset", indices[i], dataset.length);
  }

  get length(): number {
    return this.indices.length;
  }

  get(index: number, random?: Random): S | Promise<S> {
    checkIndex("Subset", index, this.length);
    return this.dataset.get(this.indices[index], random);
  }
}

/**
 * A data set whose samples go through `change` when they are read. `change` may be async; randomness comes from its second argument.
 * @example
 * const noisy = map(train, ([image, label], random) => [gaussianNoise({ std: 0.1 })(image, random), label] as const);
 */
export function map<S, T>(dataset: Dataset<S>, change: (sample: S, random: Random, index: number) => T | Promise<T>): Dataset<T> {
  return {
    get length() {
      return dataset.length;
    },
    get(index, random = new Random(0, { purpose: "sample", index })) {
      const sample = dataset.get(index, random);
      return sample instanceof Promise ? sample.then((value) => change(value, random, index)) : change(sample, random, index);
    },
  };
}

/** The samples for which `keep` is true. Every sample is read once, now. */
export async function filter<S>(dataset: Dataset<S>, keep: (sample: S, index: number) => boolean): Promise<Subset<S>> {
  const indices: number[] = [];
  for (let i = 0; i < dataset.length; i++) if (keep(await dataset.get(i), i)) indices.push(i);
  return new Subset(dataset, indices);
}

/** Data sets one after the other. */
export function concat<S>(...datasets: readonly Dataset<S>[]): Dataset<S> {
  const length = datasets.reduce((sum, dataset) => sum + dataset.length, 0);
  return {
    length,
    get(index, random) {
      checkIndex("concat", index, length);
      let rest = index;
      let at = 0;
      while (rest >= datasets[at].length) rest -= datasets[at++].length;
      return datasets[at].get(rest, random);
    },
  };
}
