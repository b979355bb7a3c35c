import { computeDType, defineOp, normalizeDim, record, sizeOf, type RefArray, type Tensor } from "../graph/index.js";
import { permute, reshape } from "./movement.js";
import { asTensor } from "./operand.js";
import { detach } from "./identity.js";
import { max, sum } from "./reduce.js";
import { floatKernel, logSumOf, plainLogSoftmax } from "./rows.js";
import { cast, div, exp, mul, neg, requireFloat, sub } from "./scalar.js";

type SoftmaxAttrs = { logarithm: boolean };

/** Calls `body` with the place of every row of a matrix [rows, n]. */
function eachRow(x: RefArray, body: (at: number, n: number) => void): void {
  const [rows, n] = x.shape;
  for (let r = 0; r < rows; r++) body(r * n, n);
}

/** Softmax, or its logarithm, of the rows of a matrix. */
const softmaxOp = defineOp<SoftmaxAttrs>({
  name: "softmax",
  trait: "opaque",
  infer: ([x]) => ({ shape: x.shape, dtype: x.dtype }),
  vjp: ({ output, grad, attrs }) => [record(softmaxBackwardOp, [output, grad], attrs)],
  evaluate: ([x], { logarithm }, [y]) =>
    eachRow(x, (at, n) => {
      const [top, logSum] = logSumOf(x.data, at, n);
      for (let i = at; i < at + n; i++) y.data[i] = logarithm ? x.data[i] - top - logSum : Math.exp(x.data[i] - top - logSum);
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
    eachRow(y, (at, n) => {
      let total = 0;
      for (let i = at; i < at + n; i++) total += logarithm ? dy.data[i] : dy.data[i] * y.data[i];
      for (let i = at; i < at + n; i++) dx.data[i] = logarithm ? dy.data[i] - Math.exp(y.data[i]) * total : y.data[i] * (dy.data[i] - total);
    }),
  composite: ([y, dy], { logarithm }) =>
    logarithm ? sub(dy, mul(exp(y), sum(dy, { dim: 1, keepdim: true }))) : mul(y, sub(dy, sum(mul(dy, y), { dim: 1, keepdim: true }))),
  kernel: (inputs, { logarithm }) => floatKernel(inputs, "softmaxBackward", [Number(logarithm)]),
  flops: ([y]) => sizeOf(y.shape) * 4,
});

/** Moves `dim` to the end, runs the op on the rows, and moves it back; bf16 and f16 are computed in f32. */
function alongDim(name: string, x: Tensor, dim: number, logarithm: boolean): Tensor {
  requireFloat(name, "x", asTensor(name, "x", x));
  const d = normalizeDim(name, dim, x.ndim);
  if (x.ndim === 0) return reshape(alongDim(name, reshape(x, [1]), 0, logarithm), []);
  const last = x.ndim - 1;
  const order = x.shape.map((_, i) => (i < d ? i : i < last ? i + 1 : d));
  const moved = permute(cast(x, computeDType(x.dtype)), order);
  const n = x.shape[d];
  const rows = record(softmaxOp, [reshape(moved, [n === 0 ? 0 : x.size / n, n])], { logarithm });
  return cast(permute(reshape(rows, moved.shape), order.map((_, i) => order.indexOf(i))), x.dtype);
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
