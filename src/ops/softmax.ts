import { computeDType, defineOp, normalizeDim, record, sizeOf, type RefArray, type Tensor } from "../graph/index.js";
import { reshape } from "./movement.js";
import { asTensor } from "./operand.js";
import { detach } from "./identity.js";
import { max, sum } from "./reduce.js";
import { floatKernel, logSumOf, plainLogSoftmax, slicesOf } from "./rows.js";
import { cast, div, exp, mul, neg, requireFloat, sub } from "./scalar.js";

type SoftmaxAttrs = { logarithm: boolean };

/** Calls `body` with where every slice begins, its length and its step. */
function eachSlice(x: RefArray, body: (at: number, n: number, step: number) => void): void {
  const { count, n, inner, at } = slicesOf(x);
  for (let slice = 0; slice < count; slice++) body(at(slice), n, inner);
}

/** Softmax, or its logarithm, along dim 1 of a matrix or a cube. */
const softmaxOp = defineOp<SoftmaxAttrs>({
  name: "softmax",
  trait: "opaque",
  infer: ([x]) => ({ shape: x.shape, dtype: x.dtype }),
  vjp: ({ output, grad, attrs }) => [record(softmaxBackwardOp, [output, grad], attrs)],
  evaluate: ([x], { logarithm }, [y]) =>
    eachSlice(x, (at, n, step) => {
      const [top, logSum] = logSumOf(x.data, at, n, step);
      for (let i = at; i < at + n * step; i += step) y.data[i] = logarithm ? x.data[i] - top - logSum : Math.exp(x.data[i] - top - logSum);
    }),
  composite: ([x], { logarithm }) => {
    if (logarithm) return plainLogSoftmax(x);
    const powers = exp(sub(x, detach(max(x, { dim: 1, keepdim: true }))));
    return div(powers, sum(powers, { dim: 1, keepdim: true }));
  },
  kernel: (inputs, { logarithm }) => floatKernel(inputs, "softmax", [Number(logarithm)]),
  flops: ([x]) => sizeOf(x.shape) * 20,
});

/** From y and dy: dx = y (dy - sum dy y); for the logarithm dx = dy - e^y sum dy. */
const softmaxBackwardOp = defineOp<SoftmaxAttrs>({
  name: "softmaxBackward",
  trait: "opaque",
  infer: ([y]) => ({ shape: y.shape, dtype: y.dtype }),
  evaluate: ([y, dy], { logarithm }, [dx]) =>
    eachSlice(y, (at, n, step) => {
      let total = 0;
      for (let i = at; i < at + n * step; i += step) total += logarithm ? dy.data[i] : dy.data[i] * y.data[i];
      for (let i = at; i < at + n * step; i += step) dx.data[i] = logarithm ? dy.data[i] - Math.exp(y.data[i]) * total : y.data[i] * (dy.data[i] - total);
    }),
  composite: ([y, dy], { logarithm }) =>
    logarithm ? sub(dy, mul(exp(y), sum(dy, { dim: 1, keepdim: true }))) : mul(y, sub(dy, sum(mul(dy, y), { dim: 1, keepdim: true }))),
  kernel: (inputs, { logarithm }) => floatKernel(inputs, "softmaxBackward", [Number(logarithm)]),
  flops: ([y]) => sizeOf(y.shape) * 4,
});

/** The op along `dim`, of rows where that is the last; bf16 and f16 are computed in f32. */
function alongDim(name: string, x: Tensor, dim: number, logarithm: boolean): Tensor {
  requireFloat(name, "x", asTensor(name, "x", x));
  const d = normalizeDim(name, dim, x.ndim);
  if (x.ndim === 0) return reshape(alongDim(name, reshape(x, [1]), 0, logarithm), []);
  const [outer, n, inner] = [sizeOf(x.shape.slice(0, d)), x.shape[d], sizeOf(x.shape.slice(d + 1))];
  const slices = reshape(cast(x, computeDType(x.dtype)), d === x.ndim - 1 ? [outer, n] : [outer, n, inner]);
  return cast(reshape(record(softmaxOp, [slices], { logarithm }), x.shape), x.dtype);
}

/**
 * e^x / sum e^x along `dim` (the last by default): positive numbers that add up to 1. Same shape as x. A slice of only -Infinity gives NaN.
 * @throws GraftError `dtype` for integers, `shape` for a dim that x does not have.
 * @example F.softmax(tensor([[0, 0], [0, 1]]), 1); // [[0.5, 0.5], [0.2689, 0.7311]]
 */
export const softmax = (x: Tensor, dim = -1): Tensor => alongDim("softmax", x, dim, false);

/**
 * x - ln(sum e^x) along `dim` (the last by default): the logarithm of {@link softmax}, without the overflow and the lost digits.
 * @throws GraftError `dtype` for integers, `shape` for a dim that x does not have.
 * @example F.logSoftmax(tensor([0, 0]), 0); // [-0.6931, -0.6931]
 */
export const logSoftmax = (x: Tensor, dim = -1): Tensor => alongDim("logSoftmax", x, dim, true);

/**
 * Softmax of -x along `dim` (the last by default): the smallest value gets the most.
 * @throws GraftError `dtype` for integers, `shape` for a dim that x does not have.
 * @example F.softmin(tensor([0, 1]), 0); // [0.7311, 0.2689]
 */
export const softmin = (x: Tensor, dim = -1): Tensor => alongDim("softmin", neg(asTensor("softmin", "x", x)), dim, false);
