import type { KernelCall, Spec, Tensor } from "../graph/index.js";
import { logsumexp } from "./reduce.js";
import { eq, sub, where } from "./scalar.js";
import { iota } from "./source.js";

// What the ops over the rows of a matrix share (softmax, cross entropy, normalisation).

/** The hand-written kernels know f32 and f64; for anything else the composite definition is used. */
export const floatKernel = (inputs: readonly Spec[], name: string, attrs: readonly number[]): KernelCall | undefined =>
  inputs[0].dtype === "f32" || inputs[0].dtype === "f64" ? { name, attrs } : undefined;

/** ln(sum e^x) of the n values from `at`, in two parts so that nothing overflows: the maximum, and ln(sum e^(x - maximum)). */
export function logSumOf(x: Float64Array, at: number, n: number): [top: number, logSum: number] {
  let top = -Infinity;
  for (let i = at; i < at + n; i++) top = Number.isNaN(top) ? NaN : Math.max(top, x[i]);
  let total = 0;
  for (let i = at; i < at + n; i++) total += Math.exp(x[i] - top);
  return [top, Math.log(total)];
}

/** ln(softmax) of the rows of a matrix, from other ops. */
export const plainLogSoftmax = (x: Tensor): Tensor => sub(x, logsumexp(x, { dim: 1, keepdim: true }));

/** Two columns [rows, 1] side by side; fused, unlike cat. */
export const besides = (a: Tensor, b: Tensor): Tensor => where(eq(iota([a.shape[0], 2], 1), 0), a, b);
