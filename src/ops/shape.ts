import { checkOptions, GraftError } from "../base/index.js";
import { checkShape, normalizeDim, normalizeDims, showShape, type Shape, type Tensor } from "../graph/index.js";
import { cat } from "./join.js";
import { expand, permute, reshape, slice } from "./movement.js";
import { asTensor, scalar, type Operand } from "./operand.js";
import { cast, ge, le, sub, where } from "./scalar.js";
import { iota } from "./source.js";

/** Drops dims of size 1: those named by `dim` (one that is longer stays, as in PyTorch), or all. */
export function squeeze(x: Tensor, dim?: number | readonly number[]): Tensor {
  const dims = normalizeDims("squeeze", dim, asTensor("squeeze", "x", x).ndim);
  return reshape(x, x.shape.filter((n, d) => n !== 1 || !dims.includes(d)));
}

/** Inserts a dim of size 1 before dim `dim`; -1 appends one. */
export function unsqueeze(x: Tensor, dim: number): Tensor {
  const d = normalizeDim("unsqueeze", dim, asTensor("unsqueeze", "x", x).ndim + 1);
  return reshape(x, [...x.shape.slice(0, d), 1, ...x.shape.slice(d)]);
}

/** Merges dims `startDim` to `endDim` (all by default) into one. */
export function flatten(x: Tensor, startDim = 0, endDim = -1): Tensor {
  const [a, b] = [startDim, endDim].map((d) => normalizeDim("flatten", d, asTensor("flatten", "x", x).ndim));
  if (a > b) throw new GraftError("argument", `flatten: startDim ${startDim} comes after endDim ${endDim} in ${showShape(x.shape)}. Swap them.`);
  return reshape(x, [...x.shape.slice(0, a), x.shape.slice(a, b + 1).reduce((size, n) => size * n, 1), ...x.shape.slice(b + 1)]);
}

/** Splits one dim into several; one of the sizes may be -1. */
export function unflatten(x: Tensor, dim: number, sizes: Shape): Tensor {
  const d = normalizeDim("unflatten", dim, asTensor("unflatten", "x", x).ndim);
  const known = sizes.reduce((size, n) => (n === -1 ? size : size * n), 1);
  const full = sizes.map((n) => (n === -1 ? x.shape[d] / known : n));
  if (sizes.filter((n) => n === -1).length > 1 || full.reduce((size, n) => size * n, 1) !== x.shape[d] || !full.every(Number.isInteger)) {
    throw new GraftError("shape", `unflatten: ${showShape(sizes)} does not fill dim ${dim} of ${showShape(x.shape)}. The sizes must multiply to ${x.shape[d]}; one may be -1.`);
  }
  return reshape(x, [...x.shape.slice(0, d), ...full, ...x.shape.slice(d + 1)]);
}

/** Moves dim `from` to place `to`; the other dims keep their order. */
export function movedim(x: Tensor, from: number, to: number): Tensor {
  const [a, b] = [from, to].map((d) => normalizeDim("movedim", d, asTensor("movedim", "x", x).ndim));
  const dims = x.shape.map((_, d) => d).filter((d) => d !== a);
  dims.splice(b, 0, a);
  return permute(x, dims);
}

/** x repeated `sizes[d]` times along each dim; more sizes than dims add leading dims. */
export function repeat(x: Tensor, sizes: readonly number[]): Tensor {
  const lead = sizes.length - asTensor("repeat", "x", x).ndim;
  checkShape("repeat", sizes);
  if (lead < 0) throw new GraftError("shape", `repeat: ${showShape(sizes)} has fewer entries than ${showShape(x.shape)} has dims. Give at least ${x.ndim}, or use tile.`);
  const shape = [...new Array<number>(lead).fill(1), ...x.shape];
  // Each repeated dim becomes [times, size], stretched from [1, size]; dims repeated once need no place of their own.
  const split = shape.flatMap((n, d) => (sizes[d] === 1 ? [n] : [1, n]));
  const wide = shape.flatMap((n, d) => (sizes[d] === 1 ? [n] : [sizes[d], n]));
  return reshape(expand(reshape(x, split), wide), shape.map((n, d) => n * sizes[d]));
}

/** As {@link repeat}, but missing sizes (for the leading dims) count as 1. */
export const tile = (x: Tensor, sizes: readonly number[]): Tensor => repeat(x, [...new Array<number>(Math.max(0, asTensor("tile", "x", x).ndim - sizes.length)).fill(1), ...sizes]);

/** Every slice along `dim` `times` times in a row (`repeat` repeats the whole instead). Without `dim` x is flattened first. */
export function repeatInterleave(x: Tensor, times: number, dim?: number): Tensor {
  if (!Number.isInteger(times) || times < 0) throw new GraftError("argument", `repeatInterleave: times is ${times}. Use a whole number of 0 or more.`);
  if (dim === undefined) return repeatInterleave(reshape(x, [asTensor("repeatInterleave", "x", x).size]), times, 0);
  const d = normalizeDim("repeatInterleave", dim, asTensor("repeatInterleave", "x", x).ndim);
  const wide = [...x.shape.slice(0, d + 1), times, ...x.shape.slice(d + 1)];
  return reshape(expand(unsqueeze(x, d + 1), wide), x.shape.map((n, i) => (i === d ? n * times : n)));
}

/** Shifts elements along dims; what leaves at one end comes back at the other. Without `dims` the flattened tensor is shifted. */
export function roll(x: Tensor, shifts: number | readonly number[], dims?: number | readonly number[]): Tensor {
  const steps = typeof shifts === "number" ? [shifts] : shifts;
  if (dims === undefined) {
    if (steps.length !== 1) throw new GraftError("argument", `roll: ${steps.length} shifts need as many dims. Pass dims, or one shift for the flattened tensor.`);
    return reshape(roll(reshape(x, [asTensor("roll", "x", x).size]), steps, [0]), x.shape);
  }
  const along = (typeof dims === "number" ? [dims] : dims).map((d) => normalizeDim("roll", d, asTensor("roll", "x", x).ndim));
  if (along.length !== steps.length || !steps.every(Number.isInteger)) throw new GraftError("argument", `roll: shifts ${showShape(steps)} and dims ${showShape(along)} must be equally many whole numbers.`);
  return along.reduce((y, d, i) => {
    const n = y.shape[d];
    const shift = n === 0 ? 0 : ((steps[i] % n) + n) % n;
    return shift === 0 ? y : cat([slice(y, d, n - shift, shift), slice(y, d, 0, n - shift)], d);
  }, x);
}

/** Column minus row of every place in the last two dims, or an error where there are none. */
function diagonalNumber(op: string, x: Tensor): Tensor {
  const shape = asTensor(op, "x", x).shape.slice(-2);
  if (shape.length < 2) throw new GraftError("shape", `${op}: x is ${showShape(x.shape)}, but a matrix (at least two dims) is needed.`);
  return sub(iota(shape, 1), iota(shape, 0));
}

/** The lower triangle of the last two dims: 0 above diagonal number `diagonal` (0 is the main one, 1 the next above). */
export const tril = (x: Tensor, diagonal = 0): Tensor => where(le(diagonalNumber("tril", x), diagonal), x, scalar(0, x.dtype));

/** The upper triangle of the last two dims: 0 below diagonal number `diagonal`. */
export const triu = (x: Tensor, diagonal = 0): Tensor => where(ge(diagonalNumber("triu", x), diagonal), x, scalar(0, x.dtype));

/** Diagonal number `offset` of the matrices in dims `dim1` and `dim2`, as a new last dim. */
export function diagonal(x: Tensor, offset = 0, dim1 = 0, dim2 = 1): Tensor {
  const [a, b] = [dim1, dim2].map((d) => normalizeDim("diagonal", d, asTensor("diagonal", "x", x).ndim));
  if (x.ndim < 2 || a === b) throw new GraftError("shape", `diagonal: dims ${dim1} and ${dim2} of ${showShape(x.shape)} are not two dims. Name two different ones.`);
  const rest = x.shape.map((_, d) => d).filter((d) => d !== a && d !== b);
  const [rows, cols] = [x.shape[a], x.shape[b]];
  const [row, col] = [Math.max(0, -offset), Math.max(0, offset)];
  const length = Math.max(0, Math.min(rows - row, cols - col));
  const batch = rest.map((d) => x.shape[d]);
  const flat = reshape(permute(x, [...rest, a, b]), [...batch, rows * cols]);
  return slice(flat, rest.length, length === 0 ? 0 : row * cols + col, length, cols + 1);
}

/** Elements of `x`, and `value` (in x's dtype) where `mask` is not 0. The mask broadcasts to the shape of x. */
export const maskedFill = (x: Tensor, mask: Tensor, value: Operand): Tensor => cast(where(mask, value, x), asTensor("maskedFill", "x", x).dtype);

/**
 * Coordinate grids of 1-d tensors: result i has tensor i along dim i and repeats along the others. With `indexing: "xy"` the first two
 * dims are swapped.
 */
export function meshgrid(tensors: readonly Tensor[], options: { readonly indexing?: "ij" | "xy" } = {}): Tensor[] {
  checkOptions("meshgrid", options, ["indexing"]);
  const swap = (options.indexing ?? "ij") === "xy" && tensors.length > 1;
  const order = swap ? [tensors[1], tensors[0], ...tensors.slice(2)] : tensors;
  const shape = order.map((t, i) => asTensor("meshgrid", `tensor ${i}`, t).size);
  const bad = tensors.find((t) => t.ndim > 1);
  if (bad) throw new GraftError("shape", `meshgrid: a tensor is ${showShape(bad.shape)}, but all have one dim. Flatten it.`);
  const grids = order.map((t, i) => expand(reshape(t, shape.map((n, d) => (d === i ? n : 1))), shape));
  return swap ? [grids[1], grids[0], ...grids.slice(2)] : grids;
}
