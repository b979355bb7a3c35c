import { defineOp, recordMany, sizeOf, type RefArray, type Spec, type Tensor } from "../graph/index.js";
import { mean, sum } from "./reduce.js";
import { besides, floatKernel } from "./rows.js";
import { add, mul, rsqrt, square, sub } from "./scalar.js";
import { zerosLike } from "./source.js";

// Layer norm (centred) and RMS norm of the rows of a matrix [rows, n]:
//   xhat = (x - mean) r with r = 1 / sqrt(var + eps), or xhat = x r with r = 1 / sqrt(mean(x^2) + eps);  y = xhat w + b
//   g = dy w:  dx = r (g - mean(g) - xhat mean(g xhat)) (RMS norm: without mean(g)),  dw = sum_rows dy xhat,  db = sum_rows dy

type NormAttrs = { readonly centred: boolean; readonly eps: number; readonly weight: boolean; readonly bias: boolean };
type NormBackwardAttrs = { readonly centred: boolean; readonly eps: number; readonly weight: boolean; readonly wantsWeight: boolean; readonly wantsBias: boolean };

const alongRow = { dim: 1, keepdim: true } as const;

/** xhat and r of every row, from other ops. */
export function normalised(x: Tensor, { centred, eps }: { centred: boolean; eps: number }): { xhat: Tensor; middle: Tensor; r: Tensor } {
  const middle = centred ? mean(x, alongRow) : undefined;
  const distance = middle === undefined ? x : sub(x, middle);
  const r = rsqrt(add(mean(square(distance), alongRow), eps));
  return { xhat: mul(distance, r), middle: middle ?? zerosLike(r), r };
}

/** dx = r (g - mean(g) - xhat mean(g xhat)) of every row, not centred without mean(g); from other ops. */
export function rowSlopes(g: Tensor, xhat: Tensor, r: Tensor, centred: boolean): Tensor {
  const centredG = centred ? sub(g, mean(g, alongRow)) : g;
  return mul(r, sub(centredG, mul(xhat, mean(mul(g, xhat), alongRow))));
}

/** [x [rows, n], w [n]?, b [n]?] -> [y, [rows, 2] with mean (0 for RMS norm) and r]. */
export const normOp = defineOp<NormAttrs>({
  name: "norm",
  trait: "opaque",
  infer: ([x]) => [
    { shape: x.shape, dtype: x.dtype },
    { shape: [x.shape[0], 2], dtype: x.dtype },
  ],
  vjp: ({ inputs: [x, ...parameters], outputs: [, stats], grads: [grad], attrs: { centred, eps, weight, bias }, needs }) => {
    if (grad === undefined) return [];
    const [wantsWeight, wantsBias] = [weight && needs[1], bias && needs[weight ? 2 : 1]];
    const found = recordMany(normBackwardOp, [x, stats, grad, ...(weight ? [parameters[0]] : [])], { centred, eps, weight, wantsWeight, wantsBias });
    return [found[0], ...(weight ? [wantsWeight ? found[1] : null] : []), ...(bias ? [wantsBias ? found[found.length - 1] : null] : [])];
  },
  evaluate: ([x, ...parameters], { centred, eps, weight, bias }, [y, stats]) => {
    const [rows, n] = x.shape;
    const [w, b] = [weight ? parameters[0].data : undefined, bias ? parameters[weight ? 1 : 0].data : undefined];
    for (let r = 0, at = 0; r < rows; r++, at += n) {
      let middle = 0;
      let squares = 0;
      for (let i = at; i < at + n && centred; i++) middle += x.data[i] / n;
      for (let i = at; i < at + n; i++) squares += (x.data[i] - middle) ** 2 / n;
      const scale = 1 / Math.sqrt(squares + eps);
      for (let i = 0; i < n; i++) y.data[at + i] = (x.data[at + i] - middle) * scale * (w?.[i] ?? 1) + (b?.[i] ?? 0);
      stats.data.set([middle, scale], 2 * r);
    }
  },
  composite: ([x, ...parameters], { weight, bias, ...attrs }) => {
    const { xhat, middle, r } = normalised(x, attrs);
    const scaled = weight ? mul(xhat, parameters[0]) : xhat;
    return [bias ? add(scaled, parameters[weight ? 1 : 0]) : scaled, besides(middle, r)];
  },
  kernel: (inputs, { centred, eps, weight, bias }) => floatKernel(inputs, "norm", [Number(centred), eps, Number(weight), Number(bias)]),
  flops: ([x]) => sizeOf(x.shape) * 8,
});

/** [x, [rows, 2], dy, w?] -> [dx, dw?, db?]. */
const normBackwardOp = defineOp<NormBackwardAttrs>({
  name: "normBackward",
  trait: "opaque",
  infer: ([x], { wantsWeight, wantsBias }) => {
    const parameter: Spec = { shape: [x.shape[1]], dtype: x.dtype };
    return [{ shape: x.shape, dtype: x.dtype }, ...(wantsWeight ? [parameter] : []), ...(wantsBias ? [parameter] : [])];
  },
  evaluate: (inputs, { centred, wantsWeight, wantsBias }, outputs) => {
    const [x, stats, dy, w] = inputs as readonly (RefArray | undefined)[] as readonly [RefArray, RefArray, RefArray, RefArray | undefined];
    const dx = outputs[0].data;
    const dw = wantsWeight ? outputs[1].data.fill(0) : undefined;
    const db = wantsBias ? outputs[outputs.length - 1].data.fill(0) : undefined;
    const [rows, n] = x.shape;
    for (let r = 0, at = 0; r < rows; r++, at += n) {
      const [middle, scale] = [stats.data[2 * r], stats.data[2 * r + 1]];
      const xhat = (i: number): number => (x.data[at + i] - middle) * scale;
      const g = (i: number): number => dy.data[at + i] * (w?.data[i] ?? 1);
      let meanG = 0;
      let meanGx = 0;
      for (let i = 0; i < n; i++) {
        if (centred) meanG += g(i) / n;
        meanGx += (g(i) * xhat(i)) / n;
        if (dw) dw[i] += dy.data[at + i] * xhat(i);
        if (db) db[i] += dy.data[at + i];
      }
      for (let i = 0; i < n; i++) dx[at + i] = scale * (g(i) - meanG - xhat(i) * meanGx);
    }
  },
  // From x alone, not from the stored statistics: so its gradient is complete.
  composite: ([x, , dy, w], { wantsWeight, wantsBias, ...attrs }) => {
    const { xhat, r } = normalised(x, attrs);
    const g = attrs.weight ? mul(dy, w) : dy;
    return [rowSlopes(g, xhat, r, attrs.centred), ...(wantsWeight ? [sum(mul(dy, xhat), { dim: 0 })] : []), ...(wantsBias ? [sum(dy, { dim: 0 })] : [])];
  },
  kernel: (inputs, { centred, weight, wantsWeight, wantsBias }) => floatKernel(inputs, "normBackward", [centred, weight, wantsWeight, wantsBias].map(Number)),
  flops: ([x]) => sizeOf(x.shape) * 14,
});
