import type { Tensor } from "../graph/index.js";
import { add, log, lt, mul, neg, nextKey, philox, sqrt, sub, where } from "../ops/index.js";

// Coefficients of Giles, "Approximating the erfinv function" (2012), for |x| up to about 0.9966 and beyond; relative error about 3e-7.
const central = [2.81022636e-8, 3.43273939e-7, -3.5233877e-6, -4.39150654e-6, 0.00021858087, -0.00125372503, -0.00417768164, 0.246640727, 1.50140941];
const tail = [-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047, 1.00167406, 2.83297682];

const horner = (w: Tensor, coefficients: readonly number[]): Tensor => coefficients.slice(2).reduce<Tensor>((p, c) => add(mul(p, w), c), add(mul(w, coefficients[0]), coefficients[1]));

/** The inverse of the error function as element-wise ops (one fused pass), for |x| < 1. */
export function inverseErf(x: Tensor): Tensor {
  const w = neg(log(mul(sub(1, x), add(x, 1)))); // -ln(1 - x^2)
  return mul(where(lt(w, 5), horner(sub(w, 2.5), central), horner(sub(sqrt(w), 3), tail)), x);
}

/** Standard normal numbers on the host, from a fresh stream of the seeded generator. */
function hostNormals(count: number): Float64Array {
  const [k0, k1, s0, s1] = Array.from(nextKey().node.value!, (word) => word >>> 0);
  const out = new Float64Array(count + 3);
  for (let block = 0; block * 4 < count; block++) {
    const words = philox([block, 0, s0, s1], [k0, k1]);
    for (let i = 0; i < 4; i += 2) {
      const radius = Math.sqrt(-2 * Math.log((words[i] + 1) / 4294967296)); // Box and Muller
      const angle = (2 * Math.PI * words[i + 1]) / 4294967296;
      out[block * 4 + i] = radius * Math.cos(angle);
      out[block * 4 + i + 1] = radius * Math.sin(angle);
    }
  }
  return out;
}

/**
 * A random [rows, cols] matrix with orthonormal rows (rows <= cols) or columns: Gram and Schmidt's process on normal vectors, each
 * orthogonalised twice ("twice is enough", Kahan), which is uniform over all such matrices.
 */
export function orthogonalRows(rows: number, cols: number): Float64Array {
  const [count, length] = rows <= cols ? [rows, cols] : [cols, rows];
  const vectors = hostNormals(count * length);
  for (let i = 0; i < count; i++) {
    const v = vectors.subarray(i * length, (i + 1) * length);
    for (let pass = 0; pass < 2; pass++) {
      for (let j = 0; j < i; j++) {
        const u = vectors.subarray(j * length, (j + 1) * length);
        let dot = 0;
        for (let k = 0; k < length; k++) dot += u[k] * v[k];
        for (let k = 0; k < length; k++) v[k] -= dot * u[k];
      }
    }
    let norm = 0;
    for (let k = 0; k < length; k++) norm += v[k] * v[k];
    norm = Math.sqrt(norm);
    for (let k = 0; k < length; k++) v[k] /= norm;
  }
  if (rows <= cols) return vectors.subarray(0, rows * cols);
  const result = new Float64Array(rows * cols);
  for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) result[i * cols + j] = vectors[j * length + i];
  return result;
}
