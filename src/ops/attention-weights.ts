import { isFloat, type Shape, type Tensor } from "../graph/index.js";
import { dropout } from "./dropout.js";
import { matmul } from "./matmul.js";
import { reshape, transpose } from "./movement.js";
import { add, ge, logicalAnd, mul, ne, tanh, toBool, where } from "./scalar.js";
import { softmax } from "./softmax.js";
import { iota } from "./source.js";

/** What makes weights of the products of queries and keys. */
export interface WeightOptions {
  /** Factor of the products. */
  readonly scale: number;
  /** Scores s become c tanh(s / c), which keeps them within +-c (Gemma Team, "Gemma 2", 2024). */
  readonly softCap?: number;
  /** Query i sees keys 0..i only. */
  readonly causal?: boolean;
  /** Broadcasts to [..., H, T, S]. bool or integers: where a query may look; floats: added to the scores. */
  readonly mask?: Tensor;
}

/** Next to any real score its exponential is 0; finite, so that a row without keys gives no NaN. */
export const blockedScore = -1e30;

/** How many heads there are in [..., heads, rows, n]; undefined for a matrix. */
const headsOf = (x: Tensor): number | undefined => x.shape[x.ndim - 3];

/** [..., H, T, n] as [..., keyHeads, (H / keyHeads) T, n]: heads that read the same keys become more rows of one matrix, so that keys are never repeated. */
export function foldHeads(x: Tensor, keys: Tensor): Tensor {
  if (headsOf(keys) === headsOf(x)) return x;
  const [heads, rows, n] = x.shape.slice(-3);
  const keyHeads = headsOf(keys)!;
  return reshape(x, [...x.shape.slice(0, -3), keyHeads, (heads / keyHeads) * rows, n]);
}

/** The folded rows of heads [..., H, T, any] as heads again. */
export const unfoldHeads = (x: Tensor, heads: Shape): Tensor => reshape(x, [...heads.slice(0, -1), x.shape[x.ndim - 1]]);

/**
 * Weights [..., H, T, S] of queries [..., H, T, E] on keys [..., Hk, S, E], H a multiple of Hk, and the scores that they are the softmax of. A query that may
 * look nowhere has weights of 0, and all its scores are {@link blockedScore}.
 */
export function weigh(q: Tensor, k: Tensor, { scale, softCap, causal = false, mask }: WeightOptions): { weights: Tensor; scores: Tensor } {
  const [T, S] = [q.shape[q.ndim - 2], k.shape[k.ndim - 2]];
  let scores = mul(unfoldHeads(matmul(foldHeads(q, k), transpose(k)), q.shape), scale);
  if (softCap !== undefined) scores = mul(tanh(mul(scores, 1 / softCap)), softCap); // c tanh(s / c)
  const early = causal ? ge(iota([T, S], 0), iota([T, S], 1)) : undefined;
  if (mask === undefined) {
    if (early !== undefined) scores = where(early, scores, blockedScore); // key 0 is always seen
    return { weights: softmax(scores, -1), scores };
  }
  const seen = isFloat(mask.dtype) ? ne(mask, -Infinity) : toBool(mask);
  const open = early === undefined ? seen : logicalAnd(early, seen);
  scores = where(open, isFloat(mask.dtype) ? add(scores, mask) : scores, blockedScore);
  return { weights: where(open, softmax(scores, -1), 0), scores }; // a row with nothing to look at: 0 instead of an average
}

/** Attention with all its weights in memory: softmax(scores) v, [..., H, T, Ev]. `dropoutP` is the probability that a weight is dropped. */
export function attendWhole(q: Tensor, k: Tensor, v: Tensor, { dropoutP = 0, ...options }: WeightOptions & { readonly dropoutP?: number }): Tensor {
  const weights = dropout(weigh(q, k, options).weights, { p: dropoutP });
  return unfoldHeads(matmul(foldHeads(weights, k), v), q.shape);
}
