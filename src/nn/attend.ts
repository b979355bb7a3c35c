import type { Tensor } from "../graph/index.js";
import { F, iota } from "../ops/index.js";
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

/** Next to any real score its exponential is 0; finite, so that a row without keys gives no NaN. */
const blockedScore = -1e30;

/**
 * Attention of query heads [B, H, T, E] over key and value heads [B, Hkv, S, E], where H is a multiple of Hkv: query head h uses key head
 * floor(h Hkv / H) (Ainslie et al., "GQA", 2023). Returns [B, H, T, E].
 */
export function attend(q: Tensor, k: Tensor, v: Tensor, mask: AttentionMask, { scale, softCap, dropoutP = 0 }: AttendCoreOptions = {}): Tensor {
  if (softCap === undefined) {
    const options = { dropoutP, enableGqa: q.shape[1] !== k.shape[1], ...(scale === undefined ? {} : { scale }) };
    return F.scaledDotProductAttention(q, k, v, mask === "causal" ? { ...options, isCausal: true } : mask === undefined ? options : { ...options, attnMask: mask });
  }
  const [B, H, T, E] = q.shape;
  const [, keyHeads, S] = k.shape;
  const rows = (x: Tensor): Tensor => F.reshape(x, [B, keyHeads, (H / keyHeads) * T, x.shape[3]]); // heads that share keys become rows
  const scores = F.mul(F.reshape(F.matmul(rows(q), F.transpose(k)), [B, H, T, S]), scale ?? 1 / Math.sqrt(E));
  const capped = F.mul(F.tanh(F.mul(scores, 1 / softCap)), softCap); // c tanh(s / c)
  let weights: Tensor;
  if (mask === undefined) weights = F.softmax(capped, -1);
  else if (mask === "causal") weights = F.softmax(F.where(F.ge(iota([T, S], 0), iota([T, S], 1)), capped, blockedScore), -1);
  else weights = F.where(mask, F.softmax(F.where(mask, capped, blockedScore), -1), 0);
  return F.reshape(F.matmul(rows(F.dropout(weights, { p: dropoutP })), v), [B, H, T, v.shape[3]]);
}

