import type { KernelCall, Spec, Tensor } from "../graph/index.js";
import { logsumexp } from "./reduce.js";
import { eq, sub, where } from "./scalar.js";
import { iota } from "./source.js";

// What the ops over the rows of a matrix share (softmax, cross entropy, normalisation).

/** The hand-written kernels know f32 and f64; for anything else the composite definition is used. */
export const floatKernel = (inputs: readonly Spec[], name: string, attrs: readonly number[]): KernelCall | undefined =>
  inputs[0].dtype === "f32" || inputs[0].dtype === "f64" ? { name, attrs } : undefined;

/** Slices along dim 1 of a matrix [rows, n] or a cube [outer, n, inner]: what softmax and cross entropy go along. */
export function slicesOf({ shape: [outer, n, inner = 1] }: Spec): { count: number; n: number; inner: number; at: (slice: number) => number } {
  return { count: outer * inner, n, inner, at: (slice) => Math.floor(slice / inner) * n * inner + (slice % inner) };
}

/** ln(sum e^x) of the n values from `at` on, `step` apart, in two parts so that nothing overflows: the maximum, and ln(sum e^(x - maximum)). */
export function logSumOf(x: Float64Array, at: number, n: number, step: number): [top: number, logSum: number] {
  let top = -Infinity;
  for (let k = 0; k < n; k++) top = Number.isNaN(top) ? NaN : Math.max(top, x[at + k * step]);
  let total = 0;
  for (let k = 0; k < n; k++) total += Math.exp(x[at + k * step] - top);
  return [top, Math.log(total)];
}

/** ln(softmax) along dim 1, from other ops. */
export const plainLogSoftmax = (x: Tensor): Tensor => sub(x, logsumexp(x, { dim: 1, keepdim: true }));

/** Two columns [rows, 1] side by side; fused, unlike cat. */
export const besides = (a: Tensor, b: Tensor): Tensor => where(eq(iota([a.shape[0], 2], 1), 0), a, b);
