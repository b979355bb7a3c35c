import { GraftError } from "../base/index.js";
import { allocate, computeDType, encode, fromData, isFloat, promote, Tensor, type DType } from "../graph/index.js";
import { cast } from "./scalar.js";
import { full } from "./source.js";
import { currentTrace } from "./trace.js";

/** What a binary operator accepts: a tensor, or a number that takes the dtype of the other side. */
export type Operand = Tensor | number | boolean;

/** Checks that a value is a tensor; the usual cause is a missing `await` or a swapped argument. */
export function asTensor(op: string, name: string, value: unknown): Tensor {
  if (value instanceof Tensor) return value;
  const kind = value instanceof Promise ? "a Promise (is an await missing?)" : Array.isArray(value) ? "an array (wrap it with tensor(...))" : `${typeof value} ${String(value)}`;
  throw new GraftError("argument", `${op}: ${name} must be a Tensor, not ${kind}.`);
}

/** A 0-d constant that is part of the plan. */
export const scalar = (value: number, dtype: DType): Tensor => full([], value, { dtype });

/**
 * A 0-d leaf whose value may change from step to step without a new plan (a learning rate). Given as a function, it is asked again at each
 * replay of a compiled function.
 */
export function scalarInput(value: number | (() => number), dtype: DType = "f32"): Tensor {
  const data = allocate(dtype, 1);
  const set = (): void => void (data[0] = encode(dtype, typeof value === "number" ? value : value()));
  set();
  if (typeof value === "function") currentTrace()?.refresh.push(set);
  return fromData(data, [], dtype);
}

/** Brings two operands to tensors of one dtype, as PyTorch's promotion does; numbers take the tensor's dtype (f32 for a fraction with integers). */
export function operands(op: string, a: Operand, b: Operand): [Tensor, Tensor] {
  if (a instanceof Tensor && b instanceof Tensor) {
    if (a.dtype === b.dtype) return [a, b];
    const dtype = promote(a.dtype, b.dtype);
    return [cast(a, dtype), cast(b, dtype)];
  }
  if (a instanceof Tensor) return withNumber(a, asNumber(op, "b", b));
  if (b instanceof Tensor) {
    const [y, x] = withNumber(b, asNumber(op, "a", a));
    return [x, y];
  }
  return [scalar(asNumber(op, "a", a), "f32"), scalar(asNumber(op, "b", b), "f32")];
}

function asNumber(op: string, name: string, value: unknown): number {
  if (typeof value === "number" || typeof value === "boolean") return Number(value);
  asTensor(op, name, value);
  return NaN;
}

function withNumber(tensor: Tensor, value: number): [Tensor, Tensor] {
  if (isFloat(tensor.dtype)) return [tensor, scalar(value, tensor.dtype)];
  const dtype = Number.isInteger(value) ? (tensor.dtype === "bool" ? "i32" : tensor.dtype) : "f32";
  return [cast(tensor, dtype), scalar(value, dtype)];
}

/** Casts integers to f32 for functions that are only defined on real numbers. */
export const toFloat = (x: Tensor): Tensor => (isFloat(x.dtype) ? x : cast(x, "f32"));

/** Floats in the dtype that arithmetic uses, so that a sum in between neither overflows nor loses digits in 16 bits. Cast the result back. */
export const toCompute = (x: Tensor): Tensor => cast(toFloat(x), computeDType(toFloat(x).dtype));
