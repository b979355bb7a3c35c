import { defineOp, recordMany, type KernelCall, type Spec, type Tensor } from "../graph/index.js";
import { blockedScore, foldHeads, unfoldHeads, weigh } from "./attention-weights.js";
import { matmul } from "./matmul.js";
import { transpose } from "./movement.js";
import { uniformOf } from "./random.js";
import { logsumexp, sum } from "./reduce.js";
import { cast, eq, ge, mul, sub, where } from "./scalar.js";
import { narrow } from "./split.js";

// Attention in tiles, without ever holding the scores [T, S] (Dao et al., "FlashAttention", 2022). q [B, H, T, E], k [B, Hk, S, E], v [B, Hk, S, D] with
// H a multiple of Hk: query head h reads key head floor(h Hk / H). A bool mask [B, H, T, S] says where a query may look; without any place it gets zeros.
// Dropout takes its numbers from a key, in both passes the same ones: f is 0 with probability p, else 1 / (1 - p); without dropout it is 1.
//   s = scale q k^T,  w = softmax(s),  y = (f w) v
//   dv = (f w)^T dy,  dw = f dy v^T,  ds = w (dw - sum(dw w)) scale,  dq = ds k,  dk = ds^T q

export type AttentionAttrs = { readonly scale: number; readonly causal: boolean; readonly dropout: number };

/** What stands behind the other inputs: the key of the dropout if there is one, and the mask if there is one. */
function extras(inputs: readonly Tensor[], { dropout }: AttentionAttrs): { key: Tensor | undefined; mask: Tensor | undefined } {
  return dropout > 0 ? { key: inputs[0], mask: inputs[1] } : { key: undefined, mask: inputs[0] };
}

/** Factors [B, H, T, S] of weights: rows of whole blocks of four random numbers, as the kernels draw them. */
function factors(weights: Tensor, key: Tensor, dropout: number): Tensor {
  const keys = weights.shape[3];
  const kept = ge(narrow(uniformOf(key, [...weights.shape.slice(0, 3), Math.ceil(keys / 4) * 4]), 3, 0, keys), dropout);
  return cast(mul(cast(kept, "f32"), dropout < 1 ? 1 / (1 - dropout) : 0), weights.dtype);
}

const kernel = (name: string, [q]: readonly Spec[], { scale, causal, dropout }: AttentionAttrs): KernelCall | undefined =>
  (q.dtype === "f32" || q.dtype === "f64") && scale > 0 ? { name, attrs: [scale, Number(causal), dropout], strided: true } : undefined;
/** Multiply-adds of so many products of [T, n] by [n, S], times two. */
const work = ([q, k, v]: readonly Spec[], ofKeys: number, ofValues: number): number => 2 * q.shape[0] * q.shape[1] * q.shape[2] * k.shape[2] * (ofKeys * q.shape[3] + ofValues * v.shape[3]);

/** [B, H, T, n] as [B, T, H, n], as results and gradients are stored: heads of a token side by side, so that joining them copies nothing. And the way back. */
export const swapHeads = (x: Tensor): Tensor => transpose(x, 1, 2);
const swapped = ({ shape: [B, H, T, n], dtype }: Spec): Spec => ({ shape: [B, T, H, n], dtype });

/** [q, k, v, key?, mask?] -> [y [B, T, H, D], log of the sum of e^s [B, H, T], which is infinite where nothing is seen]. */
export const attentionOp = defineOp<AttentionAttrs>({
  name: "attention",
  trait: "opaque",
  infer: ([q, , v]) => [
    swapped({ shape: [...q.shape.slice(0, 3), v.shape[3]], dtype: q.dtype }),
    { shape: q.shape.slice(0, 3), dtype: q.dtype },
  ],
  vjp: ({ inputs: [q, k, v, ...rest], outputs: [y, logs], grads: [dy], attrs }) => (dy === undefined ? [] : recordMany(attentionBackwardOp, [q, k, v, y, logs, dy, ...rest], attrs).map(swapHeads)),
  composite: ([q, k, v, ...rest], attrs) => {
    const { key, mask } = extras(rest, attrs);
    const { weights: all, scores } = weigh(q, k, { ...attrs, mask });
    const weights = key ? mul(all, factors(all, key, attrs.dropout)) : all;
    const logs = logsumexp(scores, { dim: 3 });
    return [swapHeads(unfoldHeads(matmul(foldHeads(weights, k), v), q.shape)), where(eq(logs, blockedScore), Infinity, logs)];
  },
  kernel: (inputs, attrs) => kernel("attention", inputs, attrs),
  flops: (inputs) => work(inputs, 1, 1),
});

/** [q, k, v, y, logs, dy [B, T, H, D], key?, mask?] -> [dq [B, T, H, E], dk [B, S, Hk, E], dv [B, S, Hk, D]]. */
const attentionBackwardOp = defineOp<AttentionAttrs>({
  name: "attentionBackward",
  trait: "opaque",
  infer: ([q, k, v]) => [q, k, v].map(swapped),
  // From q, k and v alone, not from the stored y and logs: so its gradient is complete.
  composite: ([q, k, v, , , grad, ...rest], attrs) => {
    const dy = swapHeads(grad);
    const { key, mask } = extras(rest, attrs);
    const { weights } = weigh(q, k, { ...attrs, mask });
    const factor = key && factors(weights, key, attrs.dropout);
    const dropped = (x: Tensor): Tensor => (factor ? mul(x, factor) : x);
    const dw = dropped(unfoldHeads(matmul(foldHeads(dy, k), transpose(v)), q.shape));
    const ds = foldHeads(mul(mul(weights, sub(dw, sum(mul(dw, weights), { dim: 3, keepdim: true }))), attrs.scale), k);
    return [unfoldHeads(matmul(ds, k), q.shape), matmul(transpose(ds), foldHeads(q, k)), matmul(transpose(foldHeads(dropped(weights), k)), foldHeads(dy, k))].map(swapHeads);
  },
  kernel: (inputs, attrs) => kernel("attentionBackward", inputs, attrs),
  flops: (inputs) => work(inputs, 3, 2),
});
