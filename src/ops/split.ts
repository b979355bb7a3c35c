import { GraftError } from "../base/index.js";
import { normalizeDim, sameShape, showShape, type Tensor } from "../graph/index.js";
import { cat } from "./join.js";
import { reshape, slice } from "./movement.js";
import { asTensor } from "./operand.js";
import { unsqueeze } from "./shape.js";

/** `length` elements along `dim` from `start` on (negative counts from the end). */
export function narrow(x: Tensor, dim: number, start: number, length: number): Tensor {
  const d = normalizeDim("narrow", dim, asTensor("narrow", "x", x).ndim);
  const n = x.shape[d] ?? 0;
  const first = start < 0 ? start + n : start;
  if (x.ndim === 0 || ![start, length].every(Number.isInteger) || length < 0 || first < 0 || first + length > n) {
    throw new GraftError("index", `narrow: ${length} elements from ${start} on are not inside dim ${dim} of ${showShape(x.shape)}. It holds ${n}.`);
  }
  return slice(x, d, Math.min(first, Math.max(0, n - 1)), length);
}

/** The slice at position `index` along `dim` (negative counts from the end), without that dim. */
export function select(x: Tensor, dim: number, index: number): Tensor {
  const d = normalizeDim("select", dim, asTensor("select", "x", x).ndim);
  const n = x.shape[d] ?? 0;
  if (x.ndim === 0 || !Number.isInteger(index) || index < -n || index >= n) {
    throw new GraftError("index", `select: index ${index} is out of range for dim ${dim} of ${showShape(x.shape)}. ${n > 0 ? `Use ${-n} to ${n - 1}.` : "It holds nothing."}`);
  }
  return reshape(slice(x, d, index < 0 ? index + n : index, 1), x.shape.filter((_, i) => i !== d));
}

/** All slices along `dim`, without that dim. */
export const unbind = (x: Tensor, dim = 0): Tensor[] => {
  const d = normalizeDim("unbind", dim, asTensor("unbind", "x", x).ndim);
  return Array.from({ length: x.shape[d] ?? 0 }, (_, i) => select(x, d, i));
};

/** Pieces along `dim`: of one size (the last may be shorter), or of the given sizes, which must add up. */
export function split(x: Tensor, sizes: number | readonly number[], dim = 0): Tensor[] {
  const d = normalizeDim("split", dim, asTensor("split", "x", x).ndim);
  const n = x.shape[d] ?? 0;
  if (typeof sizes === "number") {
    if (!Number.isInteger(sizes) || sizes < 1) throw new GraftError("argument", `split: the size of a piece is ${sizes}. Use a whole number of 1 or more.`);
    return split(x, Array.from({ length: Math.max(1, Math.ceil(n / sizes)) }, (_, i) => Math.min(sizes, n - i * sizes)), d);
  }
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (x.ndim === 0 || total !== n) throw new GraftError("shape", `split: sizes ${showShape(sizes)} add up to ${total}, dim ${dim} of ${showShape(x.shape)} is ${n}. They must be equal.`);
  let start = 0;
  return sizes.map((size) => narrow(x, d, (start += size) - size, size));
}

/** At most `chunks` pieces of equal size along `dim` (the last may be shorter). */
export function chunk(x: Tensor, chunks: number, dim = 0): Tensor[] {
  if (!Number.isInteger(chunks) || chunks < 1) throw new GraftError("argument", `chunk: chunks is ${chunks}. Use a whole number of 1 or more.`);
  const d = normalizeDim("chunk", dim, asTensor("chunk", "x", x).ndim);
  const n = x.shape[d] ?? 0;
  // An empty dim gives that many empty pieces, as in PyTorch.
  return n === 0 && x.ndim > 0 ? split(x, new Array<number>(chunks).fill(0), d) : split(x, Math.ceil(n / chunks) || 1, d);
}

/** Joins tensors of one shape along a new dim. */
export function stack(tensors: readonly Tensor[], dim = 0): Tensor {
  if (tensors.length === 0) throw new GraftError("argument", "stack: the list of tensors is empty. Pass at least one.");
  const first = asTensor("stack", "tensor 0", tensors[0]);
  const d = normalizeDim("stack", dim, first.ndim + 1);
  tensors.forEach((t, i) => {
    if (!sameShape(asTensor("stack", `tensor ${i}`, t).shape, first.shape)) {
      throw new GraftError("shape", `stack: tensor ${i} is ${showShape(t.shape)}, tensor 0 is ${showShape(first.shape)}. All shapes must be equal.`);
    }
  });
  return cat(tensors.map((t) => unsqueeze(t, d)), d);
}
