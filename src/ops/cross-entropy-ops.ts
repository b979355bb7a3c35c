import { GraftError } from "../base/index.js";
import { defineOp, record, showShape, sizeOf, type KernelCall, type RefArray, type Shape, type Spec, type Tensor } from "../graph/index.js";
import { expand, reshape } from "./movement.js";
import { max, sum } from "./reduce.js";
import { besides, floatKernel, logSumOf, plainLogSoftmax, slicesOf } from "./rows.js";
import { add, cast, div, eq, exp, log, mul, ne, sub, where } from "./scalar.js";
import { iota, ones, zeros, zerosLike } from "./source.js";

// One op for cross entropy of logits and for negative log likelihood, over dim 1 of a matrix or a cube. For a row x with label t, class weights w (1 where there are none),
// smoothing s over C classes and ln p = x - max - ln(sum e^(x - max)) (ln p = x for negative log likelihood):
//   loss = -(1 - s) w_t ln p_t - s / C * sum_c w_c ln p_c       (0 where t is the label to ignore)
//   dx_c = k ((1 - s) w_t (p_c - [c = t]) + s / C (W p_c - w_c)),  W = sum_c w_c, k = gradient of the row's loss
// The mean divides by the sum of w_t over the rows that are not ignored. The probabilities are never stored.

export type LabelLossAttrs = {
  readonly name: "crossEntropy" | "nllLoss";
  readonly ignoreIndex: number;
  readonly smoothing: number;
  readonly reduction: "none" | "sum" | "mean";
  /** Where the target begins in the one that a user gave, which an error names. */
  readonly firstRow: number;
};

const reductionCode = { none: 0, sum: 1, mean: 2 } as const;
const kernelAttrs = ({ name, ignoreIndex, smoothing, reduction, firstRow }: LabelLossAttrs): number[] => [ignoreIndex, smoothing, reductionCode[reduction], name === "nllLoss" ? 1 : 0, firstRow];

/** Whether the kernels go along the columns of a cube: as network outputs have them mostly, logits, without smoothing. */
export const takesCubes = ({ name, smoothing }: Pick<LabelLossAttrs, "name" | "smoothing">): boolean => name === "crossEntropy" && smoothing === 0;

const kernelOf = (kernel: string, inputs: readonly Spec[], attrs: LabelLossAttrs): KernelCall | undefined =>
  inputs[0].shape.length === 2 || takesCubes(attrs) ? floatKernel(inputs, kernel, kernelAttrs(attrs)) : undefined;

/** Throws for a label that names no class, with its place in the target. */
function checkLabel(name: string, label: number, row: number, shape: Shape, classes: number, { ignoreIndex, firstRow }: LabelLossAttrs): void {
  if (label >= 0 && label < classes) return;
  const place = shape.map((size, d) => (Math.floor(row / sizeOf(shape.slice(d + 1))) % size) + firstRow); // firstRow is 0 but for a vector
  throw new GraftError("index", `${name}: target ${label} at ${showShape(place)} is out of range for ${classes} classes. Use 0 to ${classes - 1}, or ${ignoreIndex} to ignore a row.`);
}

/** Calls `body` for every row that is not ignored, with where its logits begin, its label, and the label's weight. */
function eachLabelled(x: RefArray, target: RefArray, weight: RefArray | undefined, attrs: LabelLossAttrs, body: (row: number, at: number, label: number, weight: number) => void): void {
  const { n: classes, at } = slicesOf(x);
  target.data.forEach((label, row) => {
    if (label === attrs.ignoreIndex) return;
    checkLabel(attrs.name, label, row, target.shape, classes, attrs);
    body(row, at(row), label, weight?.data[label] ?? 1);
  });
}

/** What the composites of both ops need, in x's shape or with 1 class. */
function parts(x: Tensor, target: Tensor, weight: Tensor | undefined, { name, ignoreIndex }: LabelLossAttrs) {
  const [outer, classes, ...inner] = x.shape;
  const perRow = [outer, 1, ...inner];
  const label = reshape(target, perRow);
  const counts = ne(label, ignoreIndex);
  const isLabel = eq(label, iota(x.shape, 1));
  const weights = reshape(weight ?? ones([classes], { dtype: x.dtype }), [classes, ...inner.map(() => 1)]);
  const own = mul(sum(where(isLabel, expand(weights, x.shape), 0), { dim: 1, keepdim: true }), cast(counts, x.dtype)); // w_t, 0 for ignored rows
  return { perRow, classes, counts, isLabel, weights, own, logProbs: name === "nllLoss" ? x : plainLogSoftmax(x) };
}

/** [x [rows, C] or [outer, C, inner], target i32 (rows = outer inner elements), weight [C]?] -> [loss, sum of w_t, [rows, 2] with max and ln(sum)]. */
export const labelLossOp = defineOp<LabelLossAttrs>({
  name: "labelLoss",
  fallible: true,
  trait: "opaque",
  infer: ([x, target], { reduction }) => [
    { shape: reduction === "none" ? target.shape : [], dtype: x.dtype },
    { shape: [], dtype: x.dtype },
    { shape: [slicesOf(x).count, 2], dtype: x.dtype },
  ],
  vjp: ({ inputs: [x, target, weight], outputs: [, total, stats], grads: [grad], attrs }) =>
    grad === undefined ? [] : [record(labelLossBackwardOp, [x, target, total, stats, grad, ...(weight ? [weight] : [])], attrs)],
  evaluate: ([x, target, weight], attrs, [loss, total, stats]) => {
    const { count, n: classes, inner } = slicesOf(x);
    const losses = new Float64Array(count);
    total.data.fill(0);
    stats.data.fill(0);
    eachLabelled(x, target, weight, attrs, (row, at, label, own) => {
      const [top, logSum] = attrs.name === "nllLoss" ? [0, 0] : logSumOf(x.data, at, classes, inner);
      stats.data.set([top, logSum], row * 2);
      const cost = (c: number): number => logSum - (x.data[at + c * inner] - top); // -ln p_c
      let spread = 0;
      if (attrs.smoothing > 0) for (let c = 0; c < classes; c++) spread += cost(c) * (weight?.data[c] ?? 1);
      losses[row] = (1 - attrs.smoothing) * own * cost(label) + (attrs.smoothing / classes) * spread;
      total.data[0] += own;
    });
    const all = losses.reduce((a, b) => a + b, 0);
    if (attrs.reduction === "none") loss.data.set(losses);
    else loss.data[0] = attrs.reduction === "sum" ? all : all / total.data[0]; // 0 / 0 = NaN where no row counts, as in PyTorch
  },
  composite: ([x, target, weight], attrs) => {
    const { classes, counts, isLabel, weights, own, logProbs } = parts(x, target, weight, attrs);
    const rows = sizeOf(target.shape);
    let losses = mul(mul(sum(where(isLabel, logProbs, 0), { dim: 1, keepdim: true }), own), attrs.smoothing - 1);
    if (attrs.smoothing > 0) losses = sub(losses, where(counts, mul(sum(mul(logProbs, weights), { dim: 1, keepdim: true }), attrs.smoothing / classes), 0));
    const total = sum(own);
    const loss = attrs.reduction === "none" ? reshape(losses, target.shape) : attrs.reduction === "sum" ? sum(losses) : div(sum(losses), total);
    if (attrs.name === "nllLoss") return [loss, total, zeros([rows, 2], { dtype: x.dtype })];
    const top = max(x, { dim: 1, keepdim: true });
    const logSum = log(sum(exp(sub(x, top)), { dim: 1, keepdim: true }));
    return [loss, total, besides(reshape(top, [rows, 1]), reshape(logSum, [rows, 1]))];
  },
  kernel: (inputs, attrs) => kernelOf("crossEntropy", inputs, attrs),
  flops: ([x]) => sizeOf(x.shape) * 15,
});

/** [x, target, sum of w_t, [rows, 2], gradient of the loss, weight?] -> dx. */
export const labelLossBackwardOp = defineOp<LabelLossAttrs>({
  name: "labelLossBackward",
  trait: "opaque",
  infer: ([x]): Spec => ({ shape: x.shape, dtype: x.dtype }),
  evaluate: ([x, target, total, stats, grad, weight], attrs, [dx]) => {
    const { n: classes, inner } = slicesOf(x);
    const allWeights = weight ? weight.data.reduce((a, b) => a + b, 0) : classes;
    const spread = attrs.smoothing / classes;
    dx.data.fill(0);
    eachLabelled(x, target, weight, attrs, (row, at, label, own) => {
      const k = grad.data[attrs.reduction === "none" ? row : 0] / (attrs.reduction === "mean" ? total.data[0] : 1);
      const share = (1 - attrs.smoothing) * own;
      for (let c = 0; c < classes && attrs.name === "crossEntropy"; c++) {
        const p = Math.exp(x.data[at + c * inner] - stats.data[2 * row] - stats.data[2 * row + 1]);
        dx.data[at + c * inner] = k * ((share + spread * allWeights) * p - spread * (weight?.data[c] ?? 1));
      }
      dx.data[at + label * inner] -= k * share;
    });
  },
  // From x alone, not from the stored statistics: so its gradient is complete.
  composite: ([x, target, , , grad, weight], attrs) => {
    const { perRow, classes, counts, isLabel, weights, own, logProbs } = parts(x, target, weight, attrs);
    const share = mul(own, 1 - attrs.smoothing);
    const spread = attrs.smoothing / classes;
    const scaled = attrs.reduction === "mean" ? div(grad, sum(own)) : grad;
    const k = where(counts, attrs.reduction === "none" ? reshape(scaled, perRow) : scaled, 0);
    const hit = where(isLabel, share, 0);
    if (attrs.name === "nllLoss") return mul(sub(zerosLike(x), hit), k);
    const all = mul(exp(logProbs), add(share, weight ? mul(sum(weight), spread) : attrs.smoothing));
    return mul(sub(sub(all, hit), mul(weights, spread)), k);
  },
  kernel: (inputs, attrs) => {
    const call = kernelOf("crossEntropyBackward", inputs, attrs);
    return call && { ...call, inPlace: true };
  },
  flops: ([x]) => sizeOf(x.shape) * 15,
});
