import { checkNumber, checkOptions, GraftError } from "../base/index.js";
import { broadcastShapes, computeDType, normalizeDims, showShape, sizeOf, type Tensor } from "../graph/index.js";
import { distances, safeRoot } from "./distance-ops.js";
import { expand, reshape } from "./movement.js";
import { asTensor, operands, toCompute, toFloat } from "./operand.js";
import { max, min, sum, type ReduceOptions } from "./reduce.js";
import { abs, add, cast, div, eq, lt, mul, ne, pow, square, sub, where } from "./scalar.js";

/** Options of {@link norm}. */
export interface VectorNormOptions extends ReduceOptions {
  /** The order p: 2 by default ("fro" is the same), any number, Infinity or -Infinity (largest or smallest |x|), 0 (how many are not 0). */
  readonly ord?: number | "fro";
}

/**
 * (sum |x|^p)^(1/p) over `dim` (all values when absent), where p is `ord` (2 by default). Where the norm is 0 its gradient is 0.
 * @throws GraftError `argument` on an unknown order.
 * @example F.norm(tensor([3, 4])); // 5
 */
export function norm(x: Tensor, options: VectorNormOptions = {}): Tensor {
  checkOptions("norm", options, ["ord", "dim", "keepdim"]);
  const floats = toCompute(asTensor("norm", "x", x));
  const ord = options.ord === "fro" ? 2 : (options.ord ?? 2);
  checkNumber("norm", "ord", ord);
  const over: ReduceOptions = { dim: options.dim, keepdim: options.keepdim };
  return cast(vectorNorm(floats, ord, over), toFloat(x).dtype);
}

function vectorNorm(x: Tensor, ord: number, over: ReduceOptions): Tensor {
  if (ord === Infinity) return max(abs(x), over);
  if (ord === -Infinity) return min(abs(x), over);
  if (ord === 0) return sum(cast(ne(x, 0), x.dtype), over);
  if (ord === 1) return sum(abs(x), over);
  if (ord === 2) return safeRoot(sum(square(x), over), 2);
  return safeRoot(sum(power(x, ord), over), ord);
}

/** |x|^p whose gradient at 0 is 0. */
function power(x: Tensor, p: number): Tensor {
  const size = abs(x);
  const zero = eq(size, 0);
  return where(zero, p < 0 ? Infinity : 0, pow(where(zero, 1, size), p));
}

/**
 * x / max(norm(x), eps) along `dim` (1 by default), so that the p-norm along it is 1; `p` is 2 and `eps` 1e-12 by default.
 * @example F.normalize(tensor([[3, 4]])); // [[0.6, 0.8]]
 */
export function normalize(x: Tensor, options: { readonly p?: number; readonly dim?: number | readonly number[]; readonly eps?: number } = {}): Tensor {
  checkOptions("normalize", options, ["p", "dim", "eps"]);
  asTensor("normalize", "x", x);
  const { p = 2, dim = 1, eps = 1e-12 } = options;
  normalizeDims("normalize", dim, x.ndim);
  const size = norm(x, { ord: p, dim, keepdim: true });
  return div(x, where(lt(size, checkNumber("normalize", "eps", eps, { min: 0 })), eps, size));
}

/**
 * a . b / (max(|a|, eps) * max(|b|, eps)) along `dim` (1 by default); a and b broadcast; `eps` is 1e-8 by default.
 * @example F.cosineSimilarity(tensor([[1, 0]]), tensor([[1, 1]])); // [0.7071]
 */
export function cosineSimilarity(a: Tensor, b: Tensor, options: { readonly dim?: number; readonly eps?: number } = {}): Tensor {
  checkOptions("cosineSimilarity", options, ["dim", "eps"]);
  const [x, y] = operands("cosineSimilarity", asTensor("cosineSimilarity", "a", a), asTensor("cosineSimilarity", "b", b)).map(toFloat);
  const eps = checkNumber("cosineSimilarity", "eps", options.eps ?? 1e-8, { min: 0 });
  const product = mul(x, y); // checks that the shapes broadcast
  const [dim] = normalizeDims("cosineSimilarity", options.dim ?? 1, product.ndim);
  const length = (v: Tensor): Tensor => {
    const aligned = reshape(v, [...new Array<number>(product.ndim - v.ndim).fill(1), ...v.shape]);
    const size = norm(aligned, { dim, keepdim: true });
    return where(lt(size, eps), eps, size);
  };
  const unit = (v: Tensor): Tensor => div(v, length(v)); // each is divided on its own, so that |a| |b| cannot overflow
  return sum(mul(unit(x), unit(y)), { dim });
}

/** Options of {@link pairwiseDistance}. */
export interface DistanceOptions {
  /** Order of the norm, 2 by default. */
  readonly p?: number;
  /** Added to every difference, so that the distance never is exactly 0; 1e-6 by default. */
  readonly eps?: number;
  readonly keepdim?: boolean;
}

/**
 * norm(a - b + eps) over the last dim; a and b are [..., D] and broadcast.
 * @example F.pairwiseDistance(tensor([[0, 0]]), tensor([[3, 4]])); // [5]
 */
export function pairwiseDistance(a: Tensor, b: Tensor, options: DistanceOptions = {}): Tensor {
  checkOptions("pairwiseDistance", options, ["p", "eps", "keepdim"]);
  const [x, y] = operands("pairwiseDistance", asTensor("pairwiseDistance", "a", a), asTensor("pairwiseDistance", "b", b)).map(toFloat);
  const { p = 2, eps = 1e-6, keepdim = false } = options;
  return norm(add(sub(x, y), checkNumber("pairwiseDistance", "eps", eps)), { ord: p, dim: -1, keepdim });
}

/**
 * All distances between the rows of a [..., P, D] and of b [..., R, D]: [..., P, R], in the p-norm (2 by default).
 * @throws GraftError `shape` when D differs or an operand has fewer than two dims.
 * @example F.cdist(tensor([[0, 0]]), tensor([[3, 4], [0, 1]])); // [[5, 1]]
 */
export function cdist(a: Tensor, b: Tensor, options: { readonly p?: number } = {}): Tensor {
  checkOptions("cdist", options, ["p"]);
  const [x, y] = operands("cdist", asTensor("cdist", "a", a), asTensor("cdist", "b", b)).map(toFloat);
  if (x.ndim < 2 || y.ndim < 2 || x.shape[x.ndim - 1] !== y.shape[y.ndim - 1]) {
    throw new GraftError("shape", `cdist: a is ${showShape(a.shape)}, b is ${showShape(b.shape)}. They must be [..., P, D] and [..., R, D] with the same D.`);
  }
  const p = checkNumber("cdist", "p", options.p ?? 2, { min: 0 });
  if (p === 2) return euclidean(x, y);
  const rows = reshape(x, [...x.shape.slice(0, -1), 1, x.shape[x.ndim - 1]]); // [..., P, 1, D]
  const columns = reshape(y, [...y.shape.slice(0, -2), 1, ...y.shape.slice(-2)]); // [..., 1, R, D]
  return norm(sub(rows, columns), { ord: p, dim: -1 });
}

/** {@link cdist} in the 2-norm. */
function euclidean(x: Tensor, y: Tensor): Tensor {
  const batch = broadcastShapes("cdist", x.shape.slice(0, -2), y.shape.slice(0, -2));
  const dtype = computeDType(x.dtype);
  const flat = (v: Tensor): Tensor => reshape(expand(cast(v, dtype), [...batch, ...v.shape.slice(-2)]), [sizeOf(batch), ...v.shape.slice(-2)]);
  return cast(reshape(distances(flat(x), flat(y)), [...batch, x.shape[x.ndim - 2], y.shape[y.ndim - 2]]), x.dtype);
}
