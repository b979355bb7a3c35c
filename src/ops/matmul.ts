import { GraftError } from "../base/index.js";
import { broadcastShapes, defineOp, record, sameShape, showShape, sizeOf, type RefArray, type Shape, type Tensor } from "../graph/index.js";
import { reshape, transpose } from "./movement.js";
import { asTensor, operands, toFloat } from "./operand.js";
import { add } from "./scalar.js";

const batchOf = (shape: Shape): Shape => shape.slice(0, -2);

/** a [..., M, K] times b [..., K, N] with broadcasting batch dims; both have at least two dims. */
const matmulOp = defineOp({
  name: "matmul",
  trait: "contract",
  infer: ([a, b]) => {
    const [m, k] = a.shape.slice(-2);
    const [k2, n] = b.shape.slice(-2);
    if (k !== k2) throw mismatch(a.shape, b.shape);
    return { shape: [...broadcastShapes("matmul", batchOf(a.shape), batchOf(b.shape)), m, n], dtype: a.dtype };
  },
  vjp: ({ inputs: [a, b], grad, needs }) => {
    // y = a b: da = dy b^T, db = a^T dy. A b without batch is shared by all of a's rows, so they fold into one long sum.
    const da = needs[0] ? matmul(grad, transpose(b)) : null;
    if (!needs[1]) return [da, null];
    if (b.ndim === 2 && a.ndim > 2) {
      const rows = sizeOf(a.shape.slice(0, -1));
      return [da, matmul(transpose(reshape(a, [rows, a.shape[a.ndim - 1]])), reshape(grad, [rows, grad.shape[grad.ndim - 1]]))];
    }
    return [da, matmul(transpose(a), grad)];
  },
  evaluate: ([a, b], _, [out]) => {
    const [m, n] = out.shape.slice(-2);
    const k = a.shape[a.shape.length - 1];
    const batches = sizeOf(batchOf(out.shape));
    const offsetA = batchOffsets(a, out.shape, m * k);
    const offsetB = batchOffsets(b, out.shape, k * n);
    for (let z = 0; z < batches; z++) {
      for (let i = 0; i < m; i++) {
        for (let j = 0; j < n; j++) {
          let total = 0;
          for (let p = 0; p < k; p++) total += a.data[offsetA[z] + i * k + p] * b.data[offsetB[z] + p * n + j];
          out.data[(z * m + i) * n + j] = total;
        }
      }
    }
  },
  flops: ([a], _, [out]) => 2 * sizeOf(out.shape) * a.shape[a.shape.length - 1],
});

/** Where each batch of the output finds its matrix, under broadcasting. */
function batchOffsets(x: RefArray, out: Shape, matrix: number): number[] {
  const batch = batchOf(out);
  const own = batchOf(x.shape);
  return Array.from({ length: sizeOf(batch) }, (_, z) => {
    let at = 0;
    let step = matrix;
    for (let d = batch.length - 1, rest = z; d >= 0; d--) {
      const index = rest % batch[d];
      rest = Math.floor(rest / batch[d]);
      const mine = own[d - (batch.length - own.length)];
      if (mine === undefined) continue;
      if (mine !== 1) at += index * step;
      step *= mine;
    }
    return at;
  });
}

function mismatch(a: Shape, b: Shape): GraftError {
  const [ka, kb] = [a[a.length - 1], b[b.length - 2]];
  const hint = b[b.length - 1] === ka ? " Did you mean b.transpose(-2, -1)?" : a[a.length - 2] === kb ? " Did you mean a.transpose(-2, -1)?" : " The last dim of a must equal the second to last of b.";
  return new GraftError("shape", `matmul: inner sizes differ: a is ${showShape(a)}, b is ${showShape(b)} (${ka} != ${kb}).${hint}`);
}

/**
 * Matrix product with PyTorch's rules: 1-d operands are a row (left) or column (right) that is dropped again, leading dims broadcast.
 * @example matmul(x, w); // [B, T, K] x [K, N] -> [B, T, N]
 */
export function matmul(a: Tensor, b: Tensor): Tensor {
  asTensor("matmul", "a", a);
  asTensor("matmul", "b", b);
  if (a.ndim === 0 || b.ndim === 0) throw new GraftError("shape", `matmul: a is ${showShape(a.shape)}, b is ${showShape(b.shape)}; scalars cannot be multiplied as matrices. Use mul.`);
  const [x, y] = operands("matmul", toFloat(a), toFloat(b));
  const left = x.ndim === 1 ? reshape(x, [1, x.shape[0]]) : x;
  const right = y.ndim === 1 ? reshape(y, [y.shape[0], 1]) : y;
  if (left.shape[left.ndim - 1] !== right.shape[right.ndim - 2]) throw mismatch(a.shape, b.ndim === 1 ? [...b.shape, 1] : b.shape);
  const product = record(matmulOp, [left, right]);
  if (x.ndim > 1 && y.ndim > 1) return product;
  const batch = product.shape.slice(0, -2);
  return reshape(product, [...batch, ...(x.ndim > 1 ? [product.shape[product.ndim - 2]] : []), ...(y.ndim > 1 ? [product.shape[product.ndim - 1]] : [])]);
}

/** y = x W^T + b with W [out, in] and x [..., in]. dy/dx = W, dy/dW = x, dy/db = 1. */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor | null): Tensor {
  asTensor("linear", "x", x);
  if (asTensor("linear", "weight", weight).ndim !== 2 || x.shape[x.ndim - 1] !== weight.shape[1]) {
    throw new GraftError("shape", `linear: x is ${showShape(x.shape)}, weight is ${showShape(weight.shape)} [out, in]. The last dim of x must be in = ${weight.shape[1]}.`);
  }
  if (bias && !sameShape(bias.shape, [weight.shape[0]])) throw new GraftError("shape", `linear: bias is ${showShape(bias.shape)}, weight is ${showShape(weight.shape)} [out, in]. The bias must be [${weight.shape[0]}].`);
  const product = matmul(x, transpose(weight));
  return bias ? add(product, bias) : product;
}
