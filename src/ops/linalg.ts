import { GraftError } from "../base/index.js";
import {
  broadcastShapes, computeDType, defineOp, promote, record, recordMany, sameShape, showShape, sizeOf, type Op, type RefArray, type Shape, type Spec, type Tensor,
} from "../graph/index.js";
import { determinant, factor, substitute, type Factors } from "./lu.js";
import { matmul } from "./matmul.js";
import { expand, reshape, transpose } from "./movement.js";
import { asTensor, toFloat } from "./operand.js";
import { add, cast, eq, lt, mul, neg, where } from "./scalar.js";
import { tril } from "./shape.js";
import { iota } from "./source.js";

const batchOf = (shape: Shape): Shape => shape.slice(0, -2);
const sizeOfMatrix = ({ shape }: Spec): number => shape[shape.length - 1];
const cubic = ([a]: readonly Spec[]): number => sizeOf(a.shape) * sizeOfMatrix(a);

/** Calls `visit` with each matrix of a batch and its number. */
function eachMatrix(a: RefArray, visit: (matrix: Float64Array, number: number, n: number) => void): void {
  const n = sizeOfMatrix(a);
  const count = sizeOf(batchOf(a.shape));
  for (let z = 0; z < count; z++) visit(a.data.subarray(z * n * n, (z + 1) * n * n), z, n);
}

function invertible(op: string, factors: Factors, number: number): Factors {
  if (factors.singular < 0) return factors;
  throw new GraftError("numeric", `${op}: matrix ${number} of the batch is singular: its column ${factors.singular} depends on those before it. Add a small multiple of the identity, or check the data.`);
}

/** Casts to a float dtype that the kernels compute in, checks for square matrices, and casts the result back. */
function onMatrices(op: string, value: Tensor, body: (a: Tensor) => Tensor): Tensor {
  const a = toFloat(asTensor(op, "a", value));
  if (a.ndim < 2 || a.shape[a.ndim - 1] !== a.shape[a.ndim - 2]) throw new GraftError("shape", `${op}: a is ${showShape(a.shape)}, but square matrices [..., n, n] are needed.`);
  return cast(body(cast(a, computeDType(a.dtype))), a.dtype);
}

/** A number per matrix, [...], as [..., 1, 1]. */
const perMatrix = (x: Tensor): Tensor => reshape(x, [...x.shape, 1, 1]);

const inverseOp = defineOp({
  name: "inverse",
  fallible: true,
  trait: "opaque",
  infer: ([a]) => ({ shape: a.shape, dtype: a.dtype }),
  // Y = A^-1: dA = -Y^T dY Y^T
  vjp: ({ output, grad }) => [neg(matmul(matmul(transpose(output), grad), transpose(output)))],
  evaluate: ([a], _, [out]) =>
    eachMatrix(a, (matrix, z, n) => {
      const identity = Float64Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0));
      out.data.set(substitute(invertible("inverse", factor(matrix, n), z), n, identity, n), z * n * n);
    }),
  kernel: () => ({ name: "inverse", attrs: [] }),
  flops: (inputs) => 2 * cubic(inputs),
});

/**
 * Inverse of square matrices [..., n, n], by LU with partial pivoting in f64.
 * @throws GraftError `numeric` when a matrix is singular.
 */
export const inverse = (a: Tensor): Tensor => onMatrices("inverse", a, (x) => record(inverseOp, [x]));

const solveOp: Op = defineOp({
  name: "solve",
  fallible: true,
  trait: "opaque",
  infer: ([a, b]) => ({ shape: b.shape, dtype: a.dtype }),
  // X = A^-1 B: dB = A^-T dX, dA = -dB X^T
  vjp: ({ inputs: [a], output, grad, needs }) => {
    const db = record(solveOp, [transpose(a), grad]);
    return [needs[0] ? neg(matmul(db, transpose(output))) : null, db];
  },
  evaluate: ([a, b], _, [out]) => {
    const columns = sizeOfMatrix(b);
    eachMatrix(a, (matrix, z, n) => {
      const right = b.data.subarray(z * n * columns, (z + 1) * n * columns);
      out.data.set(substitute(invertible("solve", factor(matrix, n), z), n, right, columns), z * n * columns);
    });
  },
  kernel: () => ({ name: "solve", attrs: [] }),
  flops: ([a, b]) => cubic([a]) + 2 * sizeOf(b.shape) * sizeOfMatrix(a),
});

/**
 * X with A X = B, by LU with partial pivoting in f64. `a` is [..., n, n]; `b` is [..., n, k] or a vector [..., n]; batch dims broadcast.
 * @throws GraftError `numeric` when a matrix is singular, `shape` when the sizes do not fit.
 */
export function solve(a: Tensor, b: Tensor): Tensor {
  const dtype = promote(toFloat(asTensor("solve", "a", a)).dtype, toFloat(asTensor("solve", "b", b)).dtype);
  const vector = b.ndim === 1 || (b.ndim === a.ndim - 1 && sameShape(b.shape, a.shape.slice(0, -1)));
  const right = cast(vector ? reshape(b, [...b.shape, 1]) : b, dtype);
  return onMatrices("solve", cast(a, dtype), (x) => {
    const n = sizeOfMatrix(x);
    if (right.ndim < 2 || right.shape[right.ndim - 2] !== n) throw new GraftError("shape", `solve: a is ${showShape(a.shape)}, b is ${showShape(b.shape)}. b must be [..., ${n}, k] or [..., ${n}].`);
    const batch = broadcastShapes("solve", batchOf(x.shape), batchOf(right.shape));
    const columns = right.shape[right.ndim - 1];
    const result = record(solveOp, [expand(x, [...batch, n, n]), expand(cast(right, x.dtype), [...batch, n, columns])]);
    return vector ? reshape(result, result.shape.slice(0, -1)) : result;
  });
}

/** Cofactor matrix: element (i, j) is (-1)^(i+j) times the determinant without row i and column j. For invertible A it is det(A) A^-T. */
const cofactorOp = defineOp({
  name: "cofactor",
  trait: "opaque",
  infer: ([a]) => ({ shape: a.shape, dtype: a.dtype }),
  composite: ([a]) => mul(perMatrix(det(a)), transpose(inverse(a))),
  evaluate: ([a], _, [out]) =>
    eachMatrix(a, (matrix, z, n) => {
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < n; j++) {
          const minor = matrix.filter((_, at) => Math.floor(at / n) !== i && at % n !== j);
          out.data[(z * n + i) * n + j] = ((i + j) % 2 === 0 ? 1 : -1) * determinant(minor, n - 1);
        }
      }
    }),
  kernel: () => ({ name: "cofactor", attrs: [] }),
  flops: (inputs) => 3 * cubic(inputs),
});

const detOp = defineOp({
  name: "det",
  trait: "opaque",
  infer: ([a]) => ({ shape: batchOf(a.shape), dtype: a.dtype }),
  vjp: ({ inputs: [a], grad }) => [mul(perMatrix(grad), record(cofactorOp, [a]))], // d det / dA_ij is the cofactor (i, j), also where A is singular
  evaluate: ([a], _, [out]) => eachMatrix(a, (matrix, z, n) => (out.data[z] = determinant(matrix, n))),
  kernel: () => ({ name: "det", attrs: [] }),
  flops: cubic,
});

/** Determinants of square matrices [..., n, n] as [...]; 0 for singular ones. */
export const det = (a: Tensor): Tensor => onMatrices("det", a, (x) => record(detOp, [x]));

const slogdetOp = defineOp({
  name: "slogdet",
  trait: "opaque",
  infer: ([a]) => [
    { shape: batchOf(a.shape), dtype: a.dtype },
    { shape: batchOf(a.shape), dtype: a.dtype },
  ],
  vjp: ({ inputs: [a], grads: [, grad] }) => [grad === undefined ? null : mul(perMatrix(grad), transpose(inverse(a)))], // d ln|det A| / dA = A^-T
  evaluate: ([a], _, [sign, log]) =>
    eachMatrix(a, (matrix, z, n) => {
      const factors = factor(matrix, n);
      sign.data[z] = factors.singular < 0 ? factors.sign : 0;
      log.data[z] = 0;
      for (let k = 0; k < n; k++) {
        if (factors.lu[k * n + k] < 0 && sign.data[z] !== 0) sign.data[z] = -sign.data[z];
        log.data[z] += Math.log(Math.abs(factors.lu[k * n + k]));
      }
    }),
  kernel: () => ({ name: "slogdet", attrs: [] }),
  flops: cubic,
});

/** [sign, ln |det|] of square matrices; for a singular one 0 and -Infinity. Unlike det it does not overflow. */
export function slogdet(a: Tensor): [sign: Tensor, logabsdet: Tensor] {
  let sign: Tensor | undefined;
  const log = onMatrices("slogdet", a, (x) => {
    const parts = recordMany(slogdetOp, [x]);
    sign = cast(parts[0], toFloat(a).dtype);
    return parts[1];
  });
  return [sign!, log];
}

/** ln det of square matrices; NaN where the determinant is negative. */
export function logdet(a: Tensor): Tensor {
  const [sign, log] = slogdet(a);
  return where(lt(sign, 0), NaN, log);
}

const choleskyOp = defineOp({
  name: "cholesky",
  fallible: true,
  trait: "opaque",
  infer: ([a]) => ({ shape: a.shape, dtype: a.dtype }),
  vjp: ({ output: l, grad }) => {
    // dA = sym(L^-T phi(L^T dL) L^-1), phi keeps the lower triangle and halves its diagonal (Murray, "Differentiation of the Cholesky decomposition", 2016)
    const n = sizeOfMatrix(l);
    const lower = tril(matmul(transpose(l), grad));
    const phi = where(eq(iota([n, n], 0), iota([n, n], 1)), mul(lower, 0.5), lower);
    const inverted = inverse(l);
    const s = matmul(matmul(transpose(inverted), phi), inverted);
    return [mul(add(s, transpose(s)), 0.5)];
  },
  evaluate: ([a], _, [out]) =>
    eachMatrix(a, (matrix, z, n) => {
      const l = out.data.subarray(z * n * n, (z + 1) * n * n).fill(0);
      for (let i = 0; i < n; i++) {
        for (let j = 0; j <= i; j++) {
          let value = matrix[i * n + j];
          for (let k = 0; k < j; k++) value -= l[i * n + k] * l[j * n + k];
          if (i === j && !(value > 0)) throw new GraftError("numeric", `cholesky: matrix ${z} of the batch is not positive definite at pivot ${i}. Add a small multiple of the identity, or check the data.`);
          l[i * n + j] = i === j ? Math.sqrt(value) : value / l[j * n + j];
        }
      }
    }),
  kernel: () => ({ name: "cholesky", attrs: [] }),
  flops: (inputs) => cubic(inputs) / 3,
});

/**
 * L, lower triangular, with A = L L^T for symmetric positive definite [..., n, n], in f64. Only the lower triangle of A is read; the
 * gradient is symmetric.
 * @throws GraftError `numeric` when a matrix is not positive definite.
 */
export const cholesky = (a: Tensor): Tensor => onMatrices("cholesky", a, (x) => record(choleskyOp, [x]));
