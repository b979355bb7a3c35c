import { checkNumber, checkOptions, GraftError } from "../base/index.js";
import { showShape, type Tensor } from "../graph/index.js";
import { matmul } from "./matmul.js";
import { reshape, transpose } from "./movement.js";
import { asTensor } from "./operand.js";
import { sum } from "./reduce.js";
import { add, mul } from "./scalar.js";

/** Throws unless x has `rank` dims. */
function checkRank(op: string, name: string, x: Tensor, rank: number, form: string): void {
  if (asTensor(op, name, x).ndim !== rank) throw new GraftError("shape", `${op}: ${name} is ${showShape(x.shape)}. It must be ${form}.`);
}

/**
 * All products of two vectors: [n] and [m] give [n, m].
 * @throws GraftError `shape` unless both are vectors.
 * @example F.outer(tensor([1, 2]), tensor([3, 4])); // [[3, 4], [6, 8]]
 */
export function outer(a: Tensor, b: Tensor): Tensor {
  checkRank("outer", "a", a, 1, "a vector [n]");
  checkRank("outer", "b", b, 1, "a vector [m]");
  return mul(reshape(a, [a.size, 1]), b); // [n, 1] * [m] -> [n, m]
}

/**
 * Sum of the products of two vectors of equal length.
 * @throws GraftError `shape` unless both are [n].
 * @example F.dot(tensor([1, 2]), tensor([3, 4])); // 11
 */
export function dot(a: Tensor, b: Tensor): Tensor {
  checkRank("dot", "a", a, 1, "a vector [n]");
  checkRank("dot", "b", b, 1, "a vector [n]");
  if (a.size !== b.size) throw new GraftError("shape", `dot: a is ${showShape(a.shape)}, b is ${showShape(b.shape)}. Both need the same length.`);
  return sum(mul(a, b));
}

/** Matrix times vector: [n, m] and [m] give [n]. @example F.mv(tensor([[1, 2]]), tensor([3, 4])); // [11] */
export function mv(matrix: Tensor, vector: Tensor): Tensor {
  checkRank("mv", "matrix", matrix, 2, "a matrix [n, m]");
  checkRank("mv", "vector", vector, 1, "a vector [m]");
  return matmul(matrix, vector);
}

/** Matrix times matrix: [n, k] and [k, m] give [n, m]; `matmul` also takes vectors and batches. */
export function mm(a: Tensor, b: Tensor): Tensor {
  checkRank("mm", "a", a, 2, "a matrix [n, k]");
  checkRank("mm", "b", b, 2, "a matrix [k, m]");
  return matmul(a, b);
}

/** Batches of matrices: [B, n, k] and [B, k, m] give [B, n, m]. */
export function bmm(a: Tensor, b: Tensor): Tensor {
  checkRank("bmm", "a", a, 3, "a batch of matrices [B, n, k]");
  checkRank("bmm", "b", b, 3, "a batch of matrices [B, k, m]");
  if (a.shape[0] !== b.shape[0]) throw new GraftError("shape", `bmm: a is ${showShape(a.shape)}, b is ${showShape(b.shape)}: ${a.shape[0]} and ${b.shape[0]} matrices. Both need the same batch size; matmul broadcasts.`);
  return matmul(a, b);
}

/** Factors of {@link addmm} and {@link baddbmm}; both are 1 by default. */
export interface AddmmOptions {
  /** Factor of the added tensor; 0 leaves it out, even if it holds NaN. */
  readonly beta?: number;
  /** Factor of the product. */
  readonly alpha?: number;
}

function addProduct(op: string, input: Tensor, product: Tensor, options: AddmmOptions): Tensor {
  checkOptions(op, options, ["beta", "alpha"]);
  const beta = checkNumber(op, "beta", options.beta ?? 1);
  const alpha = checkNumber(op, "alpha", options.alpha ?? 1);
  const scaled = alpha === 1 ? product : mul(product, alpha);
  if (beta === 0) return scaled;
  const result = add(beta === 1 ? asTensor(op, "input", input) : mul(input, beta), scaled);
  if (result.size !== product.size || result.ndim !== product.ndim) {
    throw new GraftError("shape", `${op}: input is ${showShape(input.shape)}, the product ${showShape(product.shape)}. The input must have the product's shape or broadcast to it.`);
  }
  return result;
}

/**
 * beta * input + alpha * a b for matrices a [n, k], b [k, m]; input broadcasts to [n, m].
 * @example F.addmm(bias, x, w); // bias [m]
 */
export const addmm = (input: Tensor, a: Tensor, b: Tensor, options: AddmmOptions = {}): Tensor => addProduct("addmm", input, mm(a, b), options);

/**
 * beta * input + alpha * a b for batches of matrices a [B, n, k], b [B, k, m]; input broadcasts to [B, n, m].
 * @example F.baddbmm(mask, q, k, { alpha: 0.125 });
 */
export const baddbmm = (input: Tensor, a: Tensor, b: Tensor, options: AddmmOptions = {}): Tensor => addProduct("baddbmm", input, bmm(a, b), options);

/**
 * y_o = x1^T W_o x2 + b_o for x1 [..., in1], x2 [..., in2], weight [out, in1, in2], bias [out]; gives [..., out].
 * @throws GraftError `shape` when sizes do not fit.
 * @example F.bilinear(left, right, weight, bias); // [4, 3], [4, 5], [2, 3, 5], [2] -> [4, 2]
 */
export function bilinear(x1: Tensor, x2: Tensor, weight: Tensor, bias?: Tensor | null): Tensor {
  checkRank("bilinear", "weight", weight, 3, "[out, in1, in2]");
  const [out, in1, in2] = weight.shape;
  const batch = asTensor("bilinear", "x1", x1).shape.slice(0, -1);
  const fits = asTensor("bilinear", "x2", x2).ndim === x1.ndim && x1.ndim > 0 && batch.every((n, d) => n === x2.shape[d]);
  if (!fits || x1.shape[x1.ndim - 1] !== in1 || x2.shape[x2.ndim - 1] !== in2) {
    throw new GraftError("shape", `bilinear: x1 is ${showShape(x1.shape)}, x2 is ${showShape(x2.shape)}, weight is ${showShape(weight.shape)} [out, in1, in2]. x1 must be [..., ${in1}] and x2 [..., ${in2}] with equal leading dims.`);
  }
  if (bias && (bias.ndim !== 1 || bias.size !== out)) throw new GraftError("shape", `bilinear: bias is ${showShape(bias.shape)}. It must be [${out}] as weight is ${showShape(weight.shape)} [out, in1, in2].`);
  const rows = batch.reduce((size, n) => size * n, 1);
  // x1 times all W_o at once, then a product with x2 for each row
  const left = matmul(reshape(x1, [rows, in1]), reshape(transpose(weight, 0, 1), [in1, out * in2])); // [N, out * in2]
  const product = matmul(reshape(left, [rows, out, in2]), reshape(x2, [rows, in2, 1])); // [N, out, 1]
  const y = reshape(product, [...batch, out]);
  return bias ? add(y, bias) : y;
}

/** Transpose of a matrix; vectors and scalars stay as they are. @example F.t(tensor([[1, 2, 3]])); // [3, 1] */
export function t(x: Tensor): Tensor {
  if (asTensor("t", "x", x).ndim > 2) throw new GraftError("shape", `t: x is ${showShape(x.shape)}. It must have at most 2 dims; use transpose(a, b) or permute.`);
  return x.ndim < 2 ? x : transpose(x, 0, 1);
}
