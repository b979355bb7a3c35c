import { defineOp, recordMany, sizeOf, type Spec, type Tensor } from "../graph/index.js";
import { column, eachElement } from "./channels.js";
import { reshape } from "./movement.js";
import { mean, sum } from "./reduce.js";
import { floatKernel } from "./rows.js";
import { add, mul, rsqrt, square, sub } from "./scalar.js";

// Batch norm in training, x [B, C, S], N = B S values per channel, var the biased variance:
//   xhat = (x - mean) r, r = 1 / sqrt(var + eps), y = xhat w + b
//   db = sum dy, dw = sum dy xhat, dx = w r (dy - db / N - xhat dw / N)

type BatchNormAttrs = { readonly eps: number; readonly weight: boolean; readonly bias: boolean };
type BatchNormBackwardAttrs = { readonly eps: number; readonly weight: boolean };

const perChannel = { dim: [0, 2], keepdim: true } as const;

/** Statistics and xhat, from other ops: mean, variance and r are [1, C, 1]. */
function normalised(x: Tensor, eps: number): { xhat: Tensor; middle: Tensor; variance: Tensor; r: Tensor } {
  const middle = mean(x, perChannel);
  const distance = sub(x, middle);
  const variance = mean(square(distance), perChannel);
  const r = rsqrt(add(variance, eps));
  return { xhat: mul(distance, r), middle, variance, r };
}

const shapes = ([x]: readonly Spec[]): Spec[] => [x, { shape: [x.shape[1]], dtype: x.dtype }, { shape: [x.shape[1]], dtype: x.dtype }].map(({ shape, dtype }) => ({ shape, dtype }));

/** [x [B, C, S], w [C]?, b [C]?] -> [y, mean [C], var [C]]. */
export const batchNormOp = defineOp<BatchNormAttrs>({
  name: "batchNorm",
  trait: "opaque",
  infer: shapes,
  vjp: ({ inputs: [x, ...parameters], outputs: [, middle, variance], grads: [grad], attrs: { eps, weight, bias } }) => {
    if (grad === undefined) return [];
    const [dx, dw, db] = recordMany(batchNormBackwardOp, [x, middle, variance, grad, ...(weight ? [parameters[0]] : [])], { eps, weight });
    return [dx, ...(weight ? [dw] : []), ...(bias ? [db] : [])];
  },
  evaluate: ([x, ...parameters], { eps, weight, bias }, [y, middle, variance]) => {
    const [w, b] = [weight ? parameters[0].data : undefined, bias ? parameters[weight ? 1 : 0].data : undefined];
    const count = x.shape[0] * x.shape[2];
    middle.data.fill(0);
    variance.data.fill(0);
    eachElement(x, (i, c) => void (middle.data[c] += x.data[i] / count));
    eachElement(x, (i, c) => void (variance.data[c] += (x.data[i] - middle.data[c]) ** 2 / count));
    eachElement(x, (i, c) => void (y.data[i] = ((x.data[i] - middle.data[c]) / Math.sqrt(variance.data[c] + eps)) * (w?.[c] ?? 1) + (b?.[c] ?? 0)));
  },
  composite: ([x, ...parameters], { eps, weight, bias }) => {
    const { xhat, middle, variance } = normalised(x, eps);
    const scaled = weight ? mul(xhat, column(parameters[0])) : xhat;
    const channels = [x.shape[1]];
    return [bias ? add(scaled, column(parameters[weight ? 1 : 0])) : scaled, reshape(middle, channels), reshape(variance, channels)];
  },
  kernel: (inputs, { eps, weight, bias }) => floatKernel(inputs, "batchNorm", [eps, Number(weight), Number(bias)]),
  flops: ([x]) => sizeOf(x.shape) * 8,
});

/** [x, mean, var, dy, w?] -> [dx, dw, db]. */
const batchNormBackwardOp = defineOp<BatchNormBackwardAttrs>({
  name: "batchNormBackward",
  trait: "opaque",
  infer: shapes,
  evaluate: ([x, middle, variance, dy, w], { eps }, [dx, dw, db]) => {
    const count = x.shape[0] * x.shape[2];
    const r = variance.data.map((v) => 1 / Math.sqrt(v + eps));
    const xhat = (i: number, c: number): number => (x.data[i] - middle.data[c]) * r[c];
    dw.data.fill(0);
    db.data.fill(0);
    eachElement(x, (i, c) => {
      dw.data[c] += dy.data[i] * xhat(i, c);
      db.data[c] += dy.data[i];
    });
    eachElement(x, (i, c) => void (dx.data[i] = (w?.data[c] ?? 1) * r[c] * (dy.data[i] - db.data[c] / count - (xhat(i, c) * dw.data[c]) / count)));
  },
  // From x alone, not from the stored statistics: so its gradient is complete.
  composite: ([x, , , dy, w], { eps, weight }) => {
    const { xhat, r } = normalised(x, eps);
    const product = mul(dy, xhat);
    const inner = mul(r, sub(sub(dy, mean(dy, perChannel)), mul(xhat, mean(product, perChannel))));
    return [weight ? mul(inner, column(w)) : inner, sum(product, { dim: [0, 2] }), sum(dy, { dim: [0, 2] })];
  },
  kernel: (inputs, { eps, weight }) => floatKernel(inputs, "batchNormBackward", [eps, Number(weight)]),
  flops: ([x]) => sizeOf(x.shape) * 14,
});
