import { checkNumber } from "../../base/index.js";
import type { Random } from "../random.js";
import type { Sampler } from "../sampler.js";

/**
 * Puts samples of similar length into the same batch, so that little is padded: the samples are shuffled, sorted by length within pools of `pool` batches,
 * and the batches shuffled. Use it with a loader of the same `batchSize`.
 *
 * @example
 * const sampler = data.text.lengthSampler(samples.map(({ inputIds }) => inputIds.length), { batchSize: 8 });
 */
export function lengthSampler(lengths: ArrayLike<number>, { batchSize, pool = 50 }: { readonly batchSize: number; readonly pool?: number }): Sampler {
  checkNumber("lengthSampler", "batchSize", batchSize, { min: 1, whole: true });
  checkNumber("lengthSampler", "pool", pool, { min: 1, whole: true });
  return {
    length: lengths.length,
    indices(random: Random) {
      const order = random.permutation(lengths.length);
      const batches: number[][] = [];
      for (let from = 0; from < order.length; from += batchSize * pool) {
        const sorted = Array.from(order.subarray(from, from + batchSize * pool)).sort((a, b) => lengths[a] - lengths[b] || a - b);
        for (let i = 0; i < sorted.length; i += batchSize) batches.push(sorted.slice(i, i + batchSize));
      }
      const short = batches.findIndex(({ length }) => length < batchSize); // only the last batch may be smaller, or the loader would shift all behind it
      const last = short < 0 ? [] : batches.splice(short, 1);
      const shuffled = Array.from(random.permutation(batches.length), (i) => batches[i]);
      return [...shuffled, ...last].flat();
    },
  };
}
