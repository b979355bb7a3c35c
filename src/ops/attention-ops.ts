import { defineOp, recordMany, type KernelCall, type Spec, type Tensor } from "../graph/index.js";
import { blockedScore, foldHeads, unfoldHeads, weigh } from "./attention-weights.js";
import { matmul } from "./matmul.js";
import { transpose } from "./movement.js";
import { logsumexp, sum } from "./reduce.js";
import { eq, mul, sub, where } from "./scalar.js";

// Attention in tiles, without ever holding the scores [T, S] (Dao et al., "FlashAttention", 2022). q [B, H, T, E], k [B, Hk, S, E], v [B, Hk, S, D] with
// H a multiple of Hk: query head h reads key head floor(h Hk / H). A bool mask [B, H, T, S] says where a query may look; without any place it gets zeros.
//   s = scale q k^T,  w = softmax(s),  y = w v
//   dv = w^T dy,  dw = dy v^T,  ds = w (dw - sum(dw w)) scale,  dq = ds k,  dk = ds^T q

export type AttentionAttrs = { readonly scale: number; readonly causal: boolean };

const kernel = (name: string, [q]: readonly Spec[], { scale, causal }: AttentionAttrs): KernelCall | undefined =>
  (q.dtype === "f32" || q.dtype === "f64") && scale > 0 ? { name, attrs: [scale, Number(causal)], strided: true } : undefined;
/** Multiply-adds of so many products of [T, n] by [n, S], times two. */
const work = ([q, k, v]: readonly Spec[], ofKeys: number, ofValues: number): number => 2 * q.shape[0] * q.shape[1] * q.shape[2] * k.shape[2] * (ofKeys * q.shape[3] + ofValues * v.shape[3]);

/** [q, k, v, mask?] -> [y [B, H, T, D], log of the sum of e^s [B, H, T], which is infinite where nothing is seen]. */
export const attentionOp = defineOp<AttentionAttrs>({
  name: "attention",
  trait: "opaque",
  infer: ([q, , v]) => [
    { shape: [...q.shape.slice(0, 3), v.shape[3]], dtype: q.dtype },
    { shape: q.shape.slice(0, 3), dtype: q.dtype },
  ],
  vjp: ({ inputs: [q, k, v, ...mask], outputs: [y, logs], grads: [grad], attrs }) => (grad === undefined ? [] : recordMany(attentionBackwardOp, [q, k, v, y, logs, grad, ...mask], attrs)),
  composite: ([q, k, v, mask], attrs) => {
    const { weights, scores } = weigh(q, k, { ...attrs, mask: mask as Tensor | undefined });
    const logs = logsumexp(scores, { dim: 3 });
    return [unfoldHeads(matmul(foldHeads(weights, k), v), q.shape), where(eq(logs, blockedScore), Infinity, logs)];
  },
  kernel: (inputs, attrs) => kernel("attention", inputs, attrs),
  flops: (inputs) => work(inputs, 1, 1),
});

/** [q, k, v, y, logs, dy, mask?] -> [dq, dk, dv]. */
const attentionBackwardOp = defineOp<AttentionAttrs>({
  name: "attentionBackward",
  trait: "opaque",
  infer: ([q, k, v]) => [q, k, v].map(({ shape, dtype }) => ({ shape, dtype })),
  // From q, k and v alone, not from the stored y and logs: so its gradient is complete.
  composite: ([q, k, v, , , dy, mask], attrs) => {
    const { weights } = weigh(q, k, { ...attrs, mask: mask as Tensor | undefined });
    const dw = unfoldHeads(matmul(foldHeads(dy, k), transpose(v)), q.shape);
    const ds = foldHeads(mul(mul(weights, sub(dw, sum(mul(dw, weights), { dim: 3, keepdim: true }))), attrs.scale), k);
    return [unfoldHeads(matmul(ds, k), q.shape), matmul(transpose(ds), foldHeads(q, k)), matmul(transpose(foldHeads(weights, k)), foldHeads(dy, k))];
  },
  kernel: (inputs, attrs) => kernel("attentionBackward", inputs, attrs),
  flops: (inputs) => work(inputs, 3, 2),
});
