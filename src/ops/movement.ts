import { GraftError } from "../base/index.js";
import {
  broadcastShapes, checkShape, contiguousStrides, defineOp, normalizeDim, normalizeDims, record, sameShape, showShape, sizeOf,
  type Attrs, type Op, type RefArray, type Shape, type StridedView, type Tensor,
} from "../graph/index.js";
import { padZeros } from "./join.js";
import { asTensor } from "./operand.js";
import { add } from "./scalar.js";
import { broadcastStrides, reshapeView } from "./views.js";

/** Reference evaluation of a movement op: walk the view over the input's memory. */
function gatherView(input: RefArray, view: StridedView, out: RefArray): void {
  const index = new Array<number>(view.shape.length).fill(0);
  for (let i = 0, at = view.offset; i < out.data.length; i++) {
    out.data[i] = input.data[at];
    for (let d = index.length - 1; d >= 0; d--) {
      at += view.strides[d];
      if (++index[d] < view.shape[d]) break;
      at -= view.strides[d] * view.shape[d];
      index[d] = 0;
    }
  }
}

/** Registers an op that only looks at its input differently; its view is also its reference evaluation. */
function defineMovement<A extends Attrs>(definition: Pick<Op<A>, "name" | "infer" | "vjp"> & { view: NonNullable<Op<A>["view"]> }): Op<A> {
  return defineOp<A>({
    ...definition,
    trait: "movement",
    evaluate: ([x], attrs, [out]) => {
      const view = definition.view({ shape: x.shape, strides: contiguousStrides(x.shape), offset: 0 }, attrs, out);
      gatherView(x, view!, out); // a contiguous input can always be viewed
    },
  });
}

type ShapeAttrs = { shape: readonly number[] };

const reshapeOp = defineMovement<ShapeAttrs>({
  name: "reshape",
  infer: ([x], { shape }) => ({ shape, dtype: x.dtype }),
  vjp: ({ inputs: [x], grad }) => [reshape(grad, x.shape)],
  view: (input, { shape }) => reshapeView(input, shape),
});

/** The same elements in another shape; one size may be -1 and is worked out. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  asTensor("reshape", "x", x);
  if (sameShape(x.shape, shape)) return x;
  const free = shape.indexOf(-1);
  const target = [...shape];
  if (free >= 0) {
    const known = shape.reduce((size, n, d) => (d === free ? size : size * n), 1);
    target[free] = known === 0 ? 0 : x.size / known;
  }
  if (free >= 0 && !Number.isInteger(target[free])) throw new GraftError("shape", `reshape: ${showShape(x.shape)} (${x.size} elements) does not fill ${showShape(shape)}. The known sizes must divide ${x.size}.`);
  checkShape("reshape", target);
  if (sizeOf(target) !== x.size) throw new GraftError("shape", `reshape: ${showShape(x.shape)} has ${x.size} elements, ${showShape(shape)} needs ${sizeOf(target)}. Use -1 for one size to have it worked out.`);
  return sameShape(x.shape, target) ? x : record(reshapeOp, [x], { shape: target });
}

export const permuteOp = defineMovement<{ dims: readonly number[] }>({
  name: "permute",
  infer: ([x], { dims }) => ({ shape: dims.map((d) => x.shape[d]), dtype: x.dtype }),
  vjp: ({ grad, attrs: { dims } }) => [permute(grad, dims.map((_, d) => dims.indexOf(d)))],
  view: ({ shape, strides, offset }, { dims }) => ({ shape: dims.map((d) => shape[d]), strides: dims.map((d) => strides[d]), offset }),
});

/** Reorders the dims: result dim i is dim `dims[i]` of x. */
export function permute(x: Tensor, dims: readonly number[]): Tensor {
  const order = dims.map((d) => normalizeDim("permute", d, asTensor("permute", "x", x).ndim));
  if (order.length !== x.ndim || new Set(order).size !== x.ndim) {
    throw new GraftError("shape", `permute: dims ${showShape(dims)} do not name each of the ${x.ndim} dims of ${showShape(x.shape)} once.`);
  }
  return order.every((d, i) => d === i) ? x : record(permuteOp, [x], { dims: order });
}

/** Swaps two dims (the last two by default). */
export function transpose(x: Tensor, a = -2, b = -1): Tensor {
  const dims = asTensor("transpose", "x", x).shape.map((_, d) => d);
  const [i, j] = [normalizeDim("transpose", a, x.ndim), normalizeDim("transpose", b, x.ndim)];
  [dims[i], dims[j]] = [j, i];
  return permute(x, dims);
}

const expandOp = defineMovement<ShapeAttrs>({
  name: "expand",
  infer: ([x], { shape }) => ({ shape, dtype: x.dtype }),
  vjp: ({ grad }) => [grad], // summed back over the stretched dims by the driver
  view: (input, { shape }) => ({ shape, strides: broadcastStrides(input, shape), offset: input.offset }),
});

/** Stretches dims of size 1 (and adds leading dims) to `shape` without copying; -1 keeps a size. */
export function expand(x: Tensor, shape: Shape): Tensor {
  const lead = shape.length - asTensor("expand", "x", x).ndim;
  const target = shape.map((size, d) => (size === -1 && d >= lead ? x.shape[d - lead] : size));
  checkShape("expand", target);
  if (sameShape(x.shape, target)) return x;
  if (lead < 0 || !sameShape(broadcastShapes("expand", x.shape, target), target)) throw new GraftError("shape", `expand: ${showShape(x.shape)} cannot be stretched to ${showShape(shape)}. Only dims of size 1 stretch.`);
  return record(expandOp, [x], { shape: target });
}

type SliceAttrs = { starts: readonly number[]; sizes: readonly number[]; steps: readonly number[] };

const sliceOp = defineMovement<SliceAttrs>({
  name: "slice",
  infer: ([x], { sizes }) => ({ shape: sizes, dtype: x.dtype }),
  vjp: ({ inputs: [x], grad, attrs }) => [unslice(grad, x.shape, attrs)],
  view: ({ strides, offset }, { starts, sizes, steps }) => ({
    shape: sizes,
    strides: strides.map((stride, d) => stride * steps[d]),
    offset: strides.reduce((at, stride, d) => at + stride * (sizes[d] > 0 ? starts[d] : 0), offset),
  }),
});

/** Elements `start, start + step, ...` (`size` of them) along `dim`; a negative step walks backwards. */
export function slice(x: Tensor, dim: number, start: number, size: number, step = 1): Tensor {
  const d = normalizeDim("slice", dim, asTensor("slice", "x", x).ndim);
  const n = x.shape[d];
  const last = start + (size - 1) * step;
  if (![start, size, step].every(Number.isInteger) || step === 0 || size < 0 || (size > 0 && (start < 0 || start >= n || last < 0 || last >= n))) {
    throw new GraftError("index", `slice: elements ${start}..${last} (step ${step}) are not inside dim ${dim} of ${showShape(x.shape)}. It holds 0..${n - 1}.`);
  }
  if (start === 0 && size === n && step === 1) return x;
  const pick = (value: number, other: (i: number) => number) => x.shape.map((_, i) => (i === d ? value : other(i)));
  return record(sliceOp, [x], { starts: pick(start, () => 0), sizes: pick(size, (i) => x.shape[i]), steps: pick(step, () => 1) });
}

/** Puts the elements of a slice back into zeros of `shape`: the gradient of slice. */
function unslice(x: Tensor, shape: Shape, { starts, steps }: SliceAttrs): Tensor {
  let result = x;
  const pads: number[][] = [];
  for (let d = 0; d < shape.length; d++) {
    const step = Math.abs(steps[d]);
    let first = starts[d];
    if (steps[d] < 0) {
      result = flip(result, [d]);
      first = starts[d] - (x.shape[d] - 1) * step;
    }
    if (step > 1) result = dilate(result, d, step);
    pads.push(x.shape[d] === 0 ? [0, shape[d]] : [first, shape[d] - first - result.shape[d]]);
  }
  return padZeros(result, pads.flat());
}

/** Puts `step - 1` zeros between neighbours along `dim`. */
export function dilate(x: Tensor, dim: number, step: number): Tensor {
  if (step === 1 || x.shape[dim] === 0) return x;
  const split = [...x.shape.slice(0, dim + 1), 1, ...x.shape.slice(dim + 1)];
  const pads = split.flatMap((_, d) => [0, d === dim + 1 ? step - 1 : 0]);
  const wide = reshape(padZeros(reshape(x, split), pads), x.shape.map((size, d) => (d === dim ? size * step : size)));
  return slice(wide, dim, 0, x.shape[dim] * step - (step - 1));
}

/** Reverses the order along `dims`. */
export function flip(x: Tensor, dims: readonly number[]): Tensor {
  return normalizeDims("flip", dims, asTensor("flip", "x", x).ndim).reduce((y, d) => (y.shape[d] < 2 ? y : slice(y, d, y.shape[d] - 1, y.shape[d], -1)), x);
}

/**
 * All windows along `dim`: a new last dim of length `size` holds elements `i * step + k * dilation` of window i. No memory is copied.
 */
const windowsOp = defineMovement<{ dim: number; size: number; step: number; dilation: number }>({
  name: "windows",
  infer: ([x], { dim, size, step, dilation }) => ({
    shape: [...x.shape.map((n, d) => (d === dim ? Math.floor((n - dilation * (size - 1) - 1) / step) + 1 : n)), size],
    dtype: x.dtype,
  }),
  vjp: ({ inputs: [x], grad, attrs: { dim, size, step, dilation } }) => {
    // Overlapping windows add up: one shifted, zero-stuffed copy per position inside the window.
    let total: Tensor | undefined;
    for (let k = 0; k < size; k++) {
      const tap = dilate(reshape(slice(grad, grad.ndim - 1, k, 1), grad.shape.slice(0, -1)), dim, step);
      const pads = x.shape.flatMap((n, d) => (d === dim ? [k * dilation, n - k * dilation - tap.shape[dim]] : [0, 0]));
      const placed = padZeros(tap, pads);
      total = total === undefined ? placed : add(total, placed);
    }
    return [total];
  },
  view: ({ strides, offset }, { dim, step, dilation }, output) => ({
    shape: output.shape,
    strides: [...strides.map((stride, d) => (d === dim ? stride * step : stride)), strides[dim] * dilation],
    offset,
  }),
});

/** Sliding windows of `size` along `dim`, as a new last dim; see {@link windowsOp}. */
export function windows(x: Tensor, dim: number, size: number, step = 1, dilation = 1): Tensor {
  const d = normalizeDim("windows", dim, asTensor("windows", "x", x).ndim);
  if (x.shape[d] < dilation * (size - 1) + 1) throw new GraftError("shape", `windows: dim ${dim} of ${showShape(x.shape)} is shorter than a window of ${dilation * (size - 1) + 1}. Pad it or use a smaller window.`);
  return record(windowsOp, [x], { dim: d, size, step, dilation });
}
