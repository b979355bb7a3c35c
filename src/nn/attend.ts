import type { Tensor } from "../graph/index.js";
import { attendWhole, F } from "../ops/index.js";
import type { AttentionMask } from "./attention-mask.js";

/** Options of {@link attend}. */
export interface AttendCoreOptions {
  /** Factor of the scores. Default: 1 / sqrt(E). */
  readonly scale?: number;
  /** Scores s become c tanh(s / c), which keeps them within +-c (Gemma Team, "Gemma 2", 2024). */
  readonly softCap?: number;
  /** Probability that a weight is dropped. */
  readonly dropoutP?: number;
}

/**
 * Attention of query heads [B, H, T, E] over key and value heads [B, Hkv, S, E], where H is a multiple of Hkv: query head h uses key head
 * floor(h Hkv / H) (Ainslie et al., "GQA", 2023). Returns [B, H, T, E].
 */
export function attend(q: Tensor, k: Tensor, v: Tensor, mask: AttentionMask, { scale, softCap, dropoutP = 0 }: AttendCoreOptions = {}): Tensor {
  if (softCap === undefined) {
    const options = { dropoutP, enableGqa: q.shape[1] !== k.shape[1], ...(scale === undefined ? {} : { scale }) };
    return F.scaledDotProductAttention(q, k, v, mask === "causal" ? { ...options, isCausal: true } : mask === undefined ? options : { ...options, attnMask: mask });
  }
  return attendWhole(q, k, v, { scale: scale ?? 1 / Math.sqrt(q.shape[3]), softCap, dropoutP, ...(mask === "causal" ? { causal: true } : { mask }) });
}
