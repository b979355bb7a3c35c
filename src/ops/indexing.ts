import { GraftError } from "../base/index.js";
import { isFloat, showShape, sizeOf, type RefArray, type Shape, type Tensor } from "../graph/index.js";
import { asTensor } from "./operand.js";
import { cast } from "./scalar.js";

/** Checks that a tensor holds whole numbers and returns it as i32. */
export function asIndex(op: string, name: string, value: unknown): Tensor {
  const index = asTensor(op, name, value);
  if (isFloat(index.dtype)) throw new GraftError("dtype", `${op}: ${name} is ${index.dtype} ${showShape(index.shape)}, but indices are whole numbers. Use ${name}.to("i32").`);
  return cast(index, "i32");
}

/** A tensor seen as [outer, size, inner] around one dim. */
export interface Lines {
  readonly outer: number;
  readonly size: number;
  readonly inner: number;
}

/** The shape as [outer, size, inner] around `dim`. */
export const linesOf = (shape: Shape, dim: number): Lines => ({ outer: sizeOf(shape.slice(0, dim)), size: shape[dim], inner: sizeOf(shape.slice(dim + 1)) });

/** Calls `visit(position, coordinates)` for every element of `shape` in order; `coordinates` is reused. */
export function walk(shape: Shape, visit: (position: number, at: readonly number[]) => void): void {
  const at = new Array<number>(shape.length).fill(0);
  const size = sizeOf(shape);
  for (let i = 0; i < size; i++) {
    visit(i, at);
    for (let d = shape.length - 1; d >= 0 && ++at[d] === shape[d]; d--) at[d] = 0;
  }
}

/** The index at `position`, checked against the size of the dimension that it counts in (reference evaluation). */
export function indexAt(op: string, index: RefArray, position: number, size: number): number {
  const value = index.data[position];
  if (value >= 0 && value < size) return value;
  const at = index.shape.map((n, d) => Math.floor(position / sizeOf(index.shape.slice(d + 1))) % n);
  throw new GraftError("index", `${op}: index ${value} at ${showShape(at)} is out of range for a dimension of ${size}. ${size > 0 ? `Use 0 to ${size - 1}.` : "It holds nothing."}`);
}
