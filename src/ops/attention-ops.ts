import { defineOp, recordMany, type KernelCall, type Shape, type Spec, type Tensor } from "../graph/index.js";
import { matmul } from "./matmul.js";
import { reshape, transpose } from "./movement.js";
import { logsumexp, sum } from "./reduce.js";
import { eq, ge, logicalAnd, logicalNot, mul, sub, where } from "./scalar.js";
import { softmax } from "./softmax.js";
import { iota } from "./source.js";

// Attention in tiles, without ever holding the scores [T, S] (Dao et al., "FlashAttention", 2022). q [B, H, T, E], k [B, Hk, S, E], v [B, Hk, S, D] with
// H a multiple of Hk: query head h reads key head floor(h Hk / H). A bool mask [B, H, T, S] says where a query may look; without any place it gets zeros.
//   s = scale q k^T,  w = softmax(s),  y = w v
//   dv = w^T dy,  dw = dy v^T,  ds = w (dw - sum(dw w)) scale,  dq = ds k,  dk = ds^T q

export type AttentionAttrs = { readonly scale: number; readonly causal: boolean };

/** Next to any real score its exponential is 0; finite, so that a row without keys gives no NaN. */
export const blockedScore = -1e30;

/** Heads that read the same keys become more rows of one matrix. */
const fold = (x: Tensor, keyHeads: number): Tensor => {
  const [B, H, T, n] = x.shape;
  return H === keyHeads ? x : reshape(x, [B, keyHeads, (H / keyHeads) * T, n]);
};
const unfold = (x: Tensor, heads: Shape): Tensor => reshape(x, [heads[0], heads[1], heads[2], x.shape[3]]);

/** Weights [B, H, T, S] and the logarithm of the sum of e^s [B, H, T], from other ops. */
function weigh([q, k, mask]: readonly [Tensor, Tensor, Tensor | undefined], { scale, causal }: AttentionAttrs): { weights: Tensor; logs: Tensor } {
  const [, , T] = q.shape;
  const [, keyHeads, S] = k.shape;
  const scores = mul(unfold(matmul(fold(q, keyHeads), transpose(k)), q.shape), scale);
  const early = causal ? ge(iota([T, S], 0), iota([T, S], 1)) : undefined;
  const open = early === undefined ? mask : mask === undefined ? early : logicalAnd(early, mask);
  if (open === undefined) return { weights: softmax(scores, -1), logs: logsumexp(scores, { dim: 3 }) };
  const masked = where(open, scores, blockedScore);
  const logs = logsumexp(masked, { dim: 3 });
  return { weights: where(logicalNot(open), 0, softmax(masked, -1)), logs: where(eq(logs, blockedScore), Infinity, logs) };
}

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
    const { weights, logs } = weigh([q, k, mask as Tensor | undefined], attrs);
    return [unfold(matmul(fold(weights, k.shape[1]), v), q.shape), logs];
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
    const { weights } = weigh([q, k, mask as Tensor | undefined], attrs);
    const heads = k.shape[1];
    const dw = unfold(matmul(fold(dy, heads), transpose(v)), q.shape);
    const ds = fold(mul(mul(weights, sub(dw, sum(mul(dw, weights), { dim: 3, keepdim: true }))), attrs.scale), heads);
    return [unfold(matmul(ds, k), q.shape), matmul(transpose(ds), fold(q, heads)), matmul(transpose(fold(weights, heads)), fold(dy, heads))];
  },
  kernel: (inputs, attrs) => kernel("attentionBackward", inputs, attrs),
  flops: (inputs) => work(inputs, 3, 2),
});
