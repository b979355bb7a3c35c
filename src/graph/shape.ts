import { GraftError } from "../base/index.js";

/** Sizes of the dimensions, outermost first; `[]` is a scalar. */
export type Shape = readonly number[];

/** Shapes have at most this many dimensions (plans store fixed-size views). */
export const maxRank = 8;

/** Number of elements. */
export function sizeOf(shape: Shape): number {
  let size = 1;
  for (let i = 0; i < shape.length; i++) size *= shape[i];
  return size;
}

export function sameShape(a: Shape, b: Shape): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** `[2, 3]` as text for messages. */
export const showShape = (shape: Shape): string => `[${shape.join(", ")}]`;

/** Strides in elements of a contiguous tensor. */
export function contiguousStrides(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

/** Turns a dimension that may count from the end into 0..rank-1. */
export function normalizeDim(op: string, dim: number, rank: number): number {
  const limit = Math.max(rank, 1); // a scalar accepts 0 and -1, as in PyTorch
  if (!Number.isInteger(dim) || dim < -limit || dim >= limit) {
    throw new GraftError("shape", `${op}: dim ${dim} is out of range for ${rank} dimensions. Use ${-limit} to ${limit - 1}.`);
  }
  return dim < 0 ? dim + limit : dim;
}

/** Dimensions named by an option: all when undefined, without duplicates, ascending. */
export function normalizeDims(op: string, dim: number | readonly number[] | undefined, rank: number): number[] {
  if (dim === undefined) return Array.from({ length: rank }, (_, i) => i);
  const dims = (typeof dim === "number" ? [dim] : dim).map((d) => normalizeDim(op, d, rank));
  if (new Set(dims).size !== dims.length) throw new GraftError("shape", `${op}: dim ${showShape(dims)} names a dimension twice. Name each once.`);
  return rank === 0 ? [] : dims.sort((a, b) => a - b);
}

/** Throws unless every size is a whole number of 0 or more and the rank is supported. */
export function checkShape(op: string, shape: Shape): void {
  for (let i = 0; i < shape.length; i++) {
    const size = shape[i];
    if (!Number.isInteger(size) || size < 0) throw new GraftError("shape", `${op}: ${showShape(shape)} is not a shape: sizes are whole numbers of 0 or more.`);
  }
  if (shape.length > maxRank) throw new GraftError("shape", `${op}: ${showShape(shape)} has ${shape.length} dimensions, at most ${maxRank} are supported. Merge some with reshape.`);
}

/** The common shape of two operands under broadcasting (sizes match from the right; 1 stretches). */
export function broadcastShapes(op: string, a: Shape, b: Shape): Shape {
  if (sameShape(a, b)) return a;
  const rank = Math.max(a.length, b.length);
  const shape = new Array<number>(rank);
  for (let i = 1; i <= rank; i++) {
    const x = i <= a.length ? a[a.length - i] : 1;
    const y = i <= b.length ? b[b.length - i] : 1;
    if (x !== y && x !== 1 && y !== 1) {
      throw new GraftError(
        "shape",
        `${op}: shapes do not broadcast: a is ${showShape(a)}, b is ${showShape(b)} (${x} != ${y} at dim ${-i}). Sizes must be equal or 1, counted from the right.`,
      );
    }
    shape[rank - i] = x === 1 ? y : x;
  }
  return shape;
}
