import { checkOptions } from "../base/index.js";
import { contiguousStrides, defineOp, normalizeDims, record, sameShape, sizeOf, type Op, type Shape, type Tensor } from "../graph/index.js";
import { detach } from "./identity.js";
import { expand, reshape } from "./movement.js";
import { asTensor, scalar, toCompute, toFloat } from "./operand.js";
import { add, cast, div, eq, exp, log, logicalAnd, mul, sqrt, square, sub, where } from "./scalar.js";

type ReduceAttrs = { dims: readonly number[] };
type Kind = "sum" | "prod" | "max" | "min";

/** Options of reductions: `dim` (all when absent; negative counts from the end) and `keepdim` (keep reduced dims with size 1). */
export interface ReduceOptions {
  readonly dim?: number | readonly number[];
  readonly keepdim?: boolean;
}

/** The shape with the reduced dims at size 1. */
const keptShape = (shape: Shape, dims: readonly number[]): number[] => shape.map((size, d) => (dims.includes(d) ? 1 : size));

/** Element-wise reduction op; the output keeps reduced dims with size 1. */
function defineReduce(name: Kind, start: number, fold: (a: number, b: number) => number, vjp: Op<ReduceAttrs>["vjp"]): Op<ReduceAttrs> {
  return defineOp<ReduceAttrs>({
    name,
    trait: "reduce",
    infer: ([x], { dims }) => ({ shape: keptShape(x.shape, dims), dtype: x.dtype }),
    vjp,
    evaluate: ([x], { dims }, [out]) => {
      out.data.fill(start);
      const strides = contiguousStrides(out.shape).map((stride, d) => (dims.includes(d) ? 0 : stride));
      const index = new Array<number>(x.shape.length).fill(0);
      for (let i = 0, at = 0; i < x.data.length; i++) {
        out.data[at] = fold(out.data[at], x.data[i]);
        for (let d = index.length - 1; d >= 0; d--) {
          at += strides[d];
          if (++index[d] < x.shape[d]) break;
          at -= strides[d] * x.shape[d];
          index[d] = 0;
        }
      }
    },
    flops: ([x]) => sizeOf(x.shape),
  });
}

const sumOp = defineReduce("sum", 0, (a, b) => a + b, ({ inputs: [x], grad }) => [expand(grad, x.shape)]);

const prodOp = defineReduce("prod", 1, (a, b) => a * b, ({ inputs: [x], output, grad, attrs: { dims } }) => {
  // dx_i = dy * product of the others: y / x_i without zeros; with one zero only that element gets the product of the rest.
  const isZero = eq(x, 0);
  const zeros = sum(cast(isZero, x.dtype), { dim: dims, keepdim: true });
  const rest = prod(where(isZero, 1, x), { dim: dims, keepdim: true });
  const others = where(isZero, where(eq(zeros, 1), rest, scalar(0, x.dtype)), where(eq(zeros, 0), div(output, where(isZero, 1, x)), scalar(0, x.dtype)));
  return [mul(grad, others)];
});

// Equal extremes share the gradient, as PyTorch's amax and amin do.
const extremeRule: Op<ReduceAttrs>["vjp"] = ({ inputs: [x], output, grad, attrs: { dims } }) => {
  const winners = cast(eq(x, output), x.dtype);
  return [mul(div(grad, sum(winners, { dim: dims, keepdim: true })), winners)];
};
const maxOp = defineReduce("max", -Infinity, (a, b) => (Number.isNaN(a) || Number.isNaN(b) ? NaN : Math.max(a, b)), extremeRule);
const minOp = defineReduce("min", Infinity, (a, b) => (Number.isNaN(a) || Number.isNaN(b) ? NaN : Math.min(a, b)), extremeRule);

function reduce(op: Op<ReduceAttrs>, x: Tensor, options: ReduceOptions): Tensor {
  asTensor(op.name, "x", x);
  checkOptions(op.name, options, ["dim", "keepdim"]);
  const { dim, keepdim = false } = options;
  const dims = normalizeDims(op.name, dim, x.ndim);
  const kept = dims.length === 0 ? x : record(op, [x], { dims });
  return keepdim || dims.length === 0 ? kept : reshape(kept, x.shape.filter((_, d) => !dims.includes(d)));
}

/** Number of elements that one result of a reduction is made of. */
export function reducedCount(op: string, x: Tensor, dim: ReduceOptions["dim"]): number {
  return normalizeDims(op, dim, x.ndim).reduce((count, d) => count * x.shape[d], 1);
}

const countable = (x: Tensor): Tensor => (x.dtype === "bool" || x.dtype === "u8" ? cast(x, "i32") : x);

/** Sum over `dim` (all when absent). bool and u8 are summed as i32. */
export const sum = (x: Tensor, options: ReduceOptions = {}): Tensor => reduce(sumOp, countable(asTensor("sum", "x", x)), options);
/** Product over `dim` (all when absent). */
export const prod = (x: Tensor, options: ReduceOptions = {}): Tensor => reduce(prodOp, countable(asTensor("prod", "x", x)), options);
/** Largest value over `dim` (all when absent); equal maxima share the gradient. */
export const max = (x: Tensor, options: ReduceOptions = {}): Tensor => reduce(maxOp, x, options);
/** Smallest value over `dim` (all when absent); equal minima share the gradient. */
export const min = (x: Tensor, options: ReduceOptions = {}): Tensor => reduce(minOp, x, options);

/** Mean over `dim` (all when absent); integers as f32. */
export function mean(x: Tensor, options: ReduceOptions = {}): Tensor {
  checkOptions("mean", options, ["dim", "keepdim"]);
  const total = sum(toCompute(asTensor("mean", "x", x)), options);
  return cast(mul(total, 1 / reducedCount("mean", x, options.dim)), toFloat(x).dtype);
}

/** Options of {@link variance} and {@link std}. */
export interface VarianceOptions extends ReduceOptions {
  /** Subtracted from the count: 1 (default) for a sample, 0 for a whole population. */
  readonly correction?: number;
}

/** Variance over `dim`: sum (x - mean)^2 / (n - correction); `correction` is 1 by default (Bessel). */
export function variance(x: Tensor, options: VarianceOptions = {}): Tensor {
  return cast(wideVariance("var", x, options), toFloat(x).dtype);
}

function wideVariance(op: string, x: Tensor, options: VarianceOptions): Tensor {
  checkOptions(op, options, ["dim", "keepdim", "correction"]);
  const { dim, keepdim, correction = 1 } = options;
  const floats = toCompute(asTensor(op, "x", x));
  const centred = sub(floats, mean(floats, { dim, keepdim: true }));
  return mul(sum(square(centred), { dim, keepdim }), 1 / Math.max(0, reducedCount(op, x, dim) - correction));
}

/** Standard deviation over `dim`: the root of {@link variance}. */
export const std = (x: Tensor, options: VarianceOptions = {}): Tensor => cast(sqrt(wideVariance("std", x, options)), toFloat(x).dtype);

/** ln(sum(e^x)) over `dim`, shifted by the maximum so that nothing overflows. */
export function logsumexp(x: Tensor, options: ReduceOptions = {}): Tensor {
  checkOptions("logsumexp", options, ["dim", "keepdim"]);
  const floats = toCompute(asTensor("logsumexp", "x", x));
  const top = max(floats, { dim: options.dim, keepdim: true });
  // An infinite maximum would give inf - inf; its shift is 0 (all -inf stays -inf, any +inf stays +inf).
  const finite = logicalAnd(eq(sub(top, top), 0), eq(top, top));
  const shift = detach(where(finite, top, scalar(0, floats.dtype)));
  const total = cast(add(log(sum(exp(sub(floats, shift)), { dim: options.dim, keepdim: true })), shift), toFloat(x).dtype);
  return options.keepdim ? total : reshape(total, droppedShape(x, options.dim));
}

const droppedShape = (x: Tensor, dim: ReduceOptions["dim"]): number[] => {
  const dims = normalizeDims("logsumexp", dim, x.ndim);
  return x.shape.filter((_, d) => !dims.includes(d));
};

/** Sums `x` down to `shape`, the inverse of broadcasting; the gradient driver uses it. */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  const lead = x.ndim - shape.length;
  const dims = x.shape.flatMap((size, d) => (d < lead || (shape[d - lead] === 1 && size !== 1) ? [d] : []));
  return reshape(dims.length === 0 ? x : sum(x, { dim: dims, keepdim: true }), shape);
}

