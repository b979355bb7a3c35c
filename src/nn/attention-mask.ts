import { GraftError } from "../base/index.js";
import { showShape, type Tensor } from "../graph/index.js";
import { F, iota, toBool } from "../ops/index.js";

/** What a query may look at: everything (undefined), itself and what is before it ("causal"), or where a bool tensor [B or 1, 1, T, S] holds. */
export type AttentionMask = Tensor | "causal" | undefined;

/** Options of {@link attentionMask}. */
export interface AttentionMaskOptions {
  /** Number of queries T. */
  readonly queries: number;
  /** Number of keys S; by default as many as queries. */
  readonly keys?: number;
  /** A query sees no later key. */
  readonly causal: boolean;
  /** A query sees this many keys at most: itself and those just before it. */
  readonly window?: number;
  /** Index among the keys of the first query, an i32 tensor of one element: 0 where there is no cache. */
  readonly start?: Tensor;
  /** [B, S], 1 at keys that may be seen and 0 at padding; or [B, T, S] (also [B, 1, T, S]), 1 where a query may see a key. */
  readonly attentionMask?: Tensor;
  /** [B, T] of whole numbers: a query sees keys of its own segment only (several samples packed into one row). */
  readonly segmentIds?: Tensor;
}

/**
 * Joins padding, causality, sliding window and packing into one mask for all layers, or finds that none is needed.
 *
 * Throws `shape` for a mask that does not fit, `argument` for segments together with cached keys.
 */
export function attentionMask({ queries: T, keys: S = T, causal, window, start, attentionMask: given, segmentIds }: AttentionMaskOptions): AttentionMask {
  const rules: Tensor[] = [];
  const limited = window !== undefined && window < S;
  const alone = given === undefined && segmentIds === undefined && start === undefined;
  if (causal && alone && !limited) return "causal";
  if (causal || limited) {
    const key = iota([T, S], 1);
    const query = start === undefined ? iota([T, S], 0) : F.add(iota([T, S], 0), F.reshape(start, [1, 1]));
    if (causal) rules.push(F.le(key, query));
    if (limited) rules.push(F.gt(key, F.sub(query, window)));
  }
  if (given !== undefined) rules.push(readMask(given, T, S));
  if (segmentIds !== undefined) {
    if (start !== undefined) throw new GraftError("argument", "attentionMask: segmentIds describe packed training samples and cannot be used with a cache. Leave one out.");
    if (segmentIds.ndim !== 2 || segmentIds.shape[1] !== T) throw new GraftError("shape", `attentionMask: segmentIds are ${showShape(segmentIds.shape)}. They must be [B, ${T}].`);
    const B = segmentIds.shape[0];
    rules.push(F.eq(F.reshape(segmentIds, [B, 1, T, 1]), F.reshape(segmentIds, [B, 1, 1, T])));
  }
  if (rules.length === 0) return undefined;
  const all = rules.reduce((a, b) => F.logicalAnd(a, b));
  return all.ndim === 2 ? F.reshape(all, [1, 1, T, S]) : all;
}

function readMask(given: Tensor, T: number, S: number): Tensor {
  const { shape } = given;
  const allowed = toBool(given);
  if (given.ndim === 2 && shape[1] <= S) {
    const mask = F.reshape(allowed, [shape[0], 1, 1, shape[1]]);
    return shape[1] === S ? mask : F.cat([mask, F.expand(F.lt(iota([1], 0), 0), [shape[0], 1, 1, S - shape[1]])], 3); // unwritten slots of a cache
  }
  if (given.ndim === 3 && shape[1] === T && shape[2] === S) return F.reshape(allowed, [shape[0], 1, T, S]);
  if (given.ndim === 4 && shape[1] === 1 && shape[2] === T && shape[3] === S) return allowed;
  throw new GraftError("shape", `attentionMask: the mask is ${showShape(shape)}, there are ${T} queries and ${S} keys. It must be [B, ${S}] or [B, ${T}, ${S}].`);
}
