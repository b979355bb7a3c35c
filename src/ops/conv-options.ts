import { checkOptions, GraftError } from "../base/index.js";
import { isFloat, promote, showShape, sizeOf, type DType, type Tensor } from "../graph/index.js";
import { reshape } from "./movement.js";
import { asTensor } from "./operand.js";
import { cast } from "./scalar.js";

/** One number for every spatial dim, or one per spatial dim (depth, height, width). */
export type PerDim = number | readonly number[];

/** A setting as one whole number per spatial dim. */
export function perDim(op: string, name: string, value: PerDim | undefined, fallback: PerDim, rank: number, min: number): number[] {
  const given = value ?? fallback;
  const list = typeof given === "number" ? [given] : given;
  const valid = Array.isArray(list) && (list.length === rank || list.length === 1) && list.every((n) => Number.isInteger(n) && n >= min);
  if (!valid) {
    const shown = Array.isArray(list) && typeof given !== "number" ? showShape(list) : String(given);
    const many = rank === 1 ? "" : `, or ${rank} of them`;
    throw new GraftError("argument", `${op}: ${name} is ${shown}. Use a whole number of ${min} or more${many}.`);
  }
  return list.length === rank ? [...list] : new Array<number>(rank).fill(list[0]);
}

/** Elements that a window of `kernel` taps spans. */
export const span = (kernel: number, dilation: number): number => dilation * (kernel - 1) + 1;

/** An image batch for the 2-d kernels, and the way back. */
export interface Images {
  /** [N, C, H, W] for `rank` 2, [N, C, 1, L] for `rank` 1, [N, C, D, H, W] for `rank` 3; f32 or f64. */
  readonly x: Tensor;
  /** Gives a result the batch and the spatial dims that the input had, and its dtype. */
  readonly restore: (y: Tensor) => Tensor;
}

/** Checks an image batch [N, C, spatial...] (or one image without N) of floats. `dtype` is the dtype of the result. */
export function imagesOf(op: string, input: Tensor, rank: number, dtype?: DType): Images {
  const dims = ["L", "H, W", "D, H, W"][rank - 1];
  asTensor(op, "x", input);
  if (input.ndim !== rank + 1 && input.ndim !== rank + 2) throw new GraftError("shape", `${op}: x is ${showShape(input.shape)}. It must be [N, C, ${dims}] or [C, ${dims}].`);
  if (!isFloat(input.dtype)) throw new GraftError("dtype", `${op}: x is ${input.dtype} ${showShape(input.shape)}, but floats are needed. Use x.to("f32").`);
  const result = dtype ?? input.dtype;
  const single = input.ndim === rank + 1;
  const shape = [...(single ? [1] : []), ...input.shape];
  if (rank === 1) shape.splice(2, 0, 1);
  const x = reshape(cast(input, result === "f64" ? "f64" : "f32"), shape);
  const restore = (y: Tensor): Tensor => cast(reshape(y, y.shape.filter((_, d) => !(single && d === 0) && !(rank === 1 && d === 2))), result);
  return { x, restore };
}

/** `values` with a leading entry for the height of 1 that a 1-d problem gets. */
export const toPlane = (values: readonly number[], lead: number): [number, number] => (values.length === 1 ? [lead, values[0]] : [values[0], values[1]]);

/** Checks the parameters of a convolution: floats of the right rank, channels that fit the groups, a bias per output channel. */
export function checkWeights(op: string, x: Tensor, weight: Tensor, bias: Tensor | null | undefined, rank: number, groups: number, transposed: boolean): DType {
  asTensor(op, "x", x);
  asTensor(op, "weight", weight);
  const kernelDims = ["k", "kH, kW", "kD, kH, kW"][rank - 1];
  const layout = transposed ? `[in, out/groups, ${kernelDims}]` : `[out, in/groups, ${kernelDims}]`;
  if (weight.ndim !== rank + 2 || sizeOf(weight.shape.slice(2)) === 0) throw new GraftError("shape", `${op}: weight is ${showShape(weight.shape)}. It must be ${layout}.`);
  if (!isFloat(weight.dtype)) throw new GraftError("dtype", `${op}: weight is ${weight.dtype}, but floats are needed. Use weight.to("f32").`);
  if (!Number.isInteger(groups) || groups < 1) throw new GraftError("argument", `${op}: groups is ${groups}. Use a whole number of 1 or more.`);
  const [lead, inner] = weight.shape;
  const channels = x.shape[Math.max(0, x.ndim - rank - 1)];
  const expected = transposed ? lead : inner * groups;
  const shown = `${showShape(weight.shape)} ${layout}`;
  if (lead % groups !== 0) {
    throw new GraftError("shape", `${op}: weight is ${shown}, whose ${lead} ${transposed ? "input" : "output"} channels do not divide into ${groups} groups. Use a divisor of ${lead}.`);
  }
  if ((x.ndim === rank + 1 || x.ndim === rank + 2) && channels !== expected) {
    throw new GraftError("shape", `${op}: x is ${showShape(x.shape)} with ${channels} channels, weight is ${shown} with groups = ${groups}, which needs ${expected} channels.`);
  }
  const out = transposed ? inner * groups : lead;
  if (bias && (asTensor(op, "bias", bias).ndim !== 1 || bias.shape[0] !== out)) {
    throw new GraftError("shape", `${op}: bias is ${showShape(bias.shape)}, the output has ${out} channels. The bias must be [${out}].`);
  }
  return promote(x.dtype, weight.dtype);
}

/** Options that may be anything a user wrote: checks the keys. */
export function knownOptions<T extends object>(op: string, options: T | undefined, known: readonly (keyof T & string)[]): T {
  checkOptions(op, options, known);
  return options ?? ({} as T);
}
