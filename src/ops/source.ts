import { checkOptions, GraftError } from "../base/index.js";
import { checkDType, checkShape, defineOp, fromData, isFloat, record, sizeOf, tensor, allocate, encode, type DType, type Shape, type Tensor } from "../graph/index.js";

/** Options of the constructors. */
export interface CreateOptions {
  readonly dtype?: DType;
  readonly requiresGrad?: boolean;
}

export const fullOp = defineOp<{ value: number; shape: readonly number[]; dtype: DType }>({
  name: "full",
  trait: "source",
  infer: (_, { shape, dtype }) => ({ shape, dtype }),
  evaluate: (_, { value }, [out]) => void out.data.fill(value),
});

/** Positions: the element at index i is `start + step * i[dim]`, as i32 (trait `source`; a backend makes it without memory). */
export const iotaOp = defineOp<{ shape: readonly number[]; dim: number; start: number; step: number }>({
  name: "iota",
  trait: "source",
  infer: (_, { shape }) => ({ shape, dtype: "i32" }),
  evaluate: (_, { shape, dim, start, step }, [out]) => {
    const inner = sizeOf(shape.slice(dim + 1));
    for (let i = 0; i < out.data.length; i++) out.data[i] = start + step * (Math.floor(i / inner) % shape[dim]);
  },
});

/** A constant in the graph: it takes no memory and is part of the plan. */
export function full(shape: Shape, value: number, options: CreateOptions = {}): Tensor {
  checkOptions("full", options, ["dtype", "requiresGrad"]);
  checkShape("full", shape);
  const dtype = options.dtype === undefined ? "f32" : checkDType("full", options.dtype);
  if (options.requiresGrad) return fromData(allocate(dtype, sizeOf(shape)).fill(encode(dtype, value)), shape, dtype, true);
  return record(fullOp, [], { value, shape: [...shape], dtype });
}

/** Zeros of a shape; f32 unless `dtype` says otherwise. */
export const zeros = (shape: Shape, options?: CreateOptions): Tensor => full(shape, 0, options);
/** Ones of a shape; f32 unless `dtype` says otherwise. */
export const ones = (shape: Shape, options?: CreateOptions): Tensor => full(shape, 1, options);
/** Zeros with the shape and dtype of `x`. */
export const zerosLike = (x: Tensor): Tensor => full(x.shape, 0, { dtype: x.dtype });
/** Ones with the shape and dtype of `x`. */
export const onesLike = (x: Tensor): Tensor => full(x.shape, 1, { dtype: x.dtype });

/** Index along `dim` of every element of `shape`, as i32. */
export const iota = (shape: Shape, dim: number, start = 0, step = 1): Tensor => record(iotaOp, [], { shape: [...shape], dim, start, step });

/**
 * Values from `start` (default 0) up to but without `end`, in steps of `step` (default 1). Whole numbers give i32, fractions f32.
 * @example arange(4); // [0, 1, 2, 3]
 */
export function arange(...args: [end: number, options?: CreateOptions] | [start: number, end: number, step?: number, options?: CreateOptions]): Tensor {
  const numbers = args.filter((value): value is number => typeof value === "number");
  const options = args.find((value): value is CreateOptions => typeof value === "object") ?? {};
  const [start, end, step] = numbers.length === 1 ? [0, numbers[0], 1] : [numbers[0], numbers[1], numbers[2] ?? 1];
  if (step === 0 || !Number.isFinite(start + end + step)) throw new GraftError("argument", `arange: start ${start}, end ${end}, step ${step} give no finite range. Use finite numbers and a step that is not 0.`);
  const count = Math.max(0, Math.ceil((end - start) / step));
  const whole = Number.isInteger(start) && Number.isInteger(step);
  const dtype = options.dtype ?? (whole && Number.isInteger(end) ? "i32" : "f32");
  if (whole && !isFloat(dtype) && dtype === "i32" && !options.requiresGrad) return iota([count], 0, start, step);
  const values = Float64Array.from({ length: count }, (_, i) => start + i * step);
  return tensor(values, { dtype, requiresGrad: options.requiresGrad });
}

/** `steps` values from `start` to `end`, both included. */
export function linspace(start: number, end: number, steps: number, options: CreateOptions = {}): Tensor {
  checkOptions("linspace", options, ["dtype", "requiresGrad"]);
  if (!Number.isInteger(steps) || steps < 0) throw new GraftError("argument", `linspace: steps is ${steps}. Use a whole number of 0 or more.`);
  const values = Float64Array.from({ length: steps }, (_, i) => (steps === 1 ? start : start + ((end - start) * i) / (steps - 1)));
  return tensor(values, { dtype: options.dtype ?? "f32", requiresGrad: options.requiresGrad });
}
