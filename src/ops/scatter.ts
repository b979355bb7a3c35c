import { GraftError } from "../base/index.js";
import { computeDType, contiguousStrides, defineOp, normalizeDim, record, sameShape, showShape, sizeOf, type RefArray, type Tensor } from "../graph/index.js";
import { checkAlong, gather } from "./gather.js";
import { asIndex, indexAt, walk } from "./indexing.js";
import { reshape, slice } from "./movement.js";
import { asTensor } from "./operand.js";
import { cast } from "./scalar.js";
import { full } from "./source.js";

type Along = { dim: number };

const inferScatter = (name: string, [x, index, src]: readonly { shape: readonly number[]; dtype: Tensor["dtype"] }[], dim: number) => {
  checkAlong(name, x, dim, index);
  if (!sameShape(index.shape, src.shape)) throw new GraftError("shape", `${name}: src is ${showShape(src.shape)}, index ${showShape(index.shape)}. Both need one shape.`);
  return { shape: x.shape, dtype: x.dtype };
};

/** Copies x and lets `put` change the place that each index names, in the order of the index. */
function evaluateScatter(name: string, [x, index, src]: readonly RefArray[], dim: number, out: RefArray, put: (place: number, value: number) => void): void {
  out.data.set(x.data);
  const strides = contiguousStrides(x.shape);
  walk(index.shape, (i, at) => {
    const picked = indexAt(name, index, i, x.shape[dim]);
    put(at.reduce((sum, n, d) => sum + (d === dim ? picked : n) * strides[d], 0), src.data[i]);
  });
}

const scatterAddOp = defineOp<Along>({
  name: "scatterAdd",
  fallible: true,
  trait: "opaque",
  infer: (inputs, { dim }) => inferScatter("scatterAdd", inputs, dim),
  vjp: ({ inputs: [, index], grad, attrs: { dim }, needs }) => [grad, null, needs[2] ? gather(grad, dim, index) : null],
  evaluate: (inputs, { dim }, [out]) => evaluateScatter("scatterAdd", inputs, dim, out, (place, value) => (out.data[place] += value)),
  kernel: (_, { dim }) => ({ name: "scatterAdd", attrs: [dim] }),
  flops: ([, index]) => sizeOf(index.shape),
});

const scatterOp = defineOp<Along>({
  name: "scatter",
  fallible: true,
  trait: "opaque",
  infer: (inputs, { dim }) => inferScatter("scatter", inputs, dim),
  // What was overwritten gets nothing. With an index that repeats, every source is given the gradient, as in PyTorch.
  vjp: ({ inputs: [, index], grad, attrs: { dim }, needs }) => [
    needs[0] ? scatter(grad, dim, index, 0) : null,
    null,
    needs[2] ? gather(grad, dim, index) : null,
  ],
  evaluate: (inputs, { dim }, [out]) => evaluateScatter("scatter", inputs, dim, out, (place, value) => (out.data[place] = value)),
  kernel: (_, { dim }) => ({ name: "scatter", attrs: [dim] }),
});

/** The part of `src` that an index of a smaller shape reads. */
function sourceFor(op: string, index: Tensor, src: Tensor): Tensor {
  if (src.ndim !== index.ndim || src.shape.some((n, d) => n < index.shape[d])) {
    throw new GraftError("shape", `${op}: src is ${showShape(src.shape)}, index ${showShape(index.shape)}. src needs the same number of dims and at least the index's sizes.`);
  }
  return src.shape.reduce((part, _, d) => slice(part, d, 0, index.shape[d]), src);
}

/**
 * x with the elements of `src` added where `index` says: x[i][index[i][j]] += src[i][j] for dim 1. Places that are named several times
 * get the sum, always added in the same order.
 * @throws GraftError `index` when an index is negative or too large.
 */
export function scatterAdd(x: Tensor, dim: number, index: Tensor, src: Tensor): Tensor {
  const d = normalizeDim("scatterAdd", dim, asTensor("scatterAdd", "x", x).ndim);
  const at = asIndex("scatterAdd", "index", index);
  if (x.ndim === 0 && at.ndim === 0) return reshape(scatterAdd(reshape(x, [1]), 0, reshape(at, [1]), reshape(src, [1])), []);
  const values = sourceFor("scatterAdd", at, asTensor("scatterAdd", "src", src));
  const dtype = computeDType(x.dtype);
  return cast(record(scatterAddOp, [cast(x, dtype), at, cast(values, dtype)], { dim: d }), x.dtype);
}

/**
 * x with the elements of `src` (a tensor or one number) written where `index` says: x[i][index[i][j]] = src[i][j] for dim 1. Of several
 * writes to one place the last counts.
 * @throws GraftError `index` when an index is negative or too large.
 */
export function scatter(x: Tensor, dim: number, index: Tensor, src: Tensor | number): Tensor {
  const d = normalizeDim("scatter", dim, asTensor("scatter", "x", x).ndim);
  const at = asIndex("scatter", "index", index);
  const values = typeof src === "number" ? full(at.shape, src, { dtype: x.dtype }) : sourceFor("scatter", at, asTensor("scatter", "src", src));
  if (x.ndim === 0 && at.ndim === 0) return reshape(scatter(reshape(x, [1]), 0, reshape(at, [1]), reshape(values, [1])), []);
  return record(scatterOp, [x, at, cast(values, x.dtype)], { dim: d });
}
