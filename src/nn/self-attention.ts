import { GraftError } from "../base/index.js";
import type { Tensor } from "../graph/index.js";
import { F } from "../ops/index.js";
import { attend } from "./attend.js";
import type { AttentionMask } from "./attention-mask.js";
import { checkSize } from "./fresh.js";
import type { KVCache } from "./kv-cache.js";
import { Linear } from "./linear.js";
import { Module } from "./module.js";
import { RMSNorm } from "./norm.js";
import { applyRotary, type RotaryTables } from "./rotary.js";

/** What the attention of one layer is given besides its input. */
export interface AttentionContext {
  readonly mask: AttentionMask;
  /** Absent where positions are not rotated in. */
  readonly rotary?: RotaryTables;
  readonly cache?: KVCache;
  /** Index of the layer in the cache. */
  readonly layer: number;
}

/** Options of {@link SelfAttention}. */
export interface SelfAttentionOptions {
  /** Number of query heads. */
  readonly heads: number;
  /** Number of key and value heads, a divisor of `heads`. Default: as many. */
  readonly keyHeads?: number;
  /** Size of one head. Default: size / heads. */
  readonly headDim?: number;
  /** Bias of query, key and value. Default: false. */
  readonly bias?: boolean;
  /** Bias of the output. Default: as `bias`. */
  readonly outputBias?: boolean;
  /** RMS norm of each query and key head with this eps (Qwen 3). Default: none. */
  readonly normEps?: number;
  /** Factor of the scores. Default: 1 / sqrt(headDim). */
  readonly scale?: number;
  /** Scores s become c tanh(s / c). Default: they stay. */
  readonly softCap?: number;
  /** Probability of dropping an attention weight in training. Default: 0. */
  readonly dropout?: number;
}

/** [B, T, heads * D] as [B, heads, T, D]. */
export const splitHeads = (x: Tensor, heads: number): Tensor => F.transpose(F.reshape(x, [x.shape[0], x.shape[1], heads, x.shape[2] / heads]), 1, 2);
/** [B, heads, T, D] as [B, T, heads * D]. */
export const joinHeads = (x: Tensor): Tensor => F.reshape(F.transpose(x, 1, 2), [x.shape[0], x.shape[2], x.shape[1] * x.shape[3]]);

/**
 * The attention of today's decoders: grouped key heads, rotary positions, optional norms of queries and keys, cap of the scores, cache. The names of its parts
 * are those of Llama. x [B, T, size] -> [B, T, size].
 *
 * Throws `argument` when heads is not a multiple of keyHeads.
 * @example
 * const attention = new nn.SelfAttention(64, { heads: 8, keyHeads: 4 });
 * attention.forward(x, { mask: "causal", rotary: rotary.tables(positions), layer: 0 });
 */
export class SelfAttention extends Module {
  q_proj: Linear;
  k_proj: Linear;
  v_proj: Linear;
  o_proj: Linear;
  q_norm: RMSNorm | null;
  k_norm: RMSNorm | null;
  readonly keyHeads: number;

  constructor(
    readonly size: number,
    private readonly options: SelfAttentionOptions,
  ) {
    super();
    const { heads, bias = false, outputBias = bias, normEps } = options;
    const keyHeads = options.keyHeads ?? heads;
    const headDim = options.headDim ?? size / heads;
    if (checkSize("SelfAttention", "heads", heads) % checkSize("SelfAttention", "keyHeads", keyHeads) !== 0) throw new GraftError("argument", `SelfAttention: ${heads} heads cannot share ${keyHeads} key heads. It must be a divisor.`);
    checkSize("SelfAttention", "headDim", headDim);
    this.keyHeads = keyHeads;
    this.q_proj = new Linear(size, heads * headDim, { bias });
    this.k_proj = new Linear(size, keyHeads * headDim, { bias });
    this.v_proj = new Linear(size, keyHeads * headDim, { bias });
    this.o_proj = new Linear(heads * headDim, size, { bias: outputBias });
    this.q_norm = normEps === undefined ? null : new RMSNorm(headDim, { eps: normEps });
    this.k_norm = normEps === undefined ? null : new RMSNorm(headDim, { eps: normEps });
  }

  forward(x: Tensor, context: AttentionContext): Tensor {
    const { heads } = this.options;
    let q = splitHeads(this.q_proj.forward(x), heads); // [B, H, T, D]
    let k = splitHeads(this.k_proj.forward(x), this.keyHeads); // [B, Hkv, T, D]
    const v = splitHeads(this.v_proj.forward(x), this.keyHeads);
    if (this.q_norm && this.k_norm) [q, k] = [this.q_norm.forward(q), this.k_norm.forward(k)];
    return this.o_proj.forward(joinHeads(attendWith(q, k, v, context, { ...this.options, dropoutP: this.training ? (this.options.dropout ?? 0) : 0 })));
  }
}

/** Turns queries and keys by their positions, goes through the cache where there is one, and attends: [B, H, T, D]. */
export function attendWith(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  { rotary, cache, mask, layer }: AttentionContext,
  { scale, softCap, dropoutP }: { readonly scale?: number; readonly softCap?: number; readonly dropoutP?: number },
): Tensor {
  if (rotary !== undefined) [q, k] = [applyRotary(q, rotary), applyRotary(k, rotary)];
  if (cache !== undefined) [k, v] = cache.update(layer, k, v);
  return attend(q, k, v, mask, { scale, softCap, dropoutP });
}
