import { defineOp, record, sizeOf, type Tensor } from "../graph/index.js";
import { reshape, transpose } from "./movement.js";
import { sum } from "./reduce.js";
import { floatKernel } from "./rows.js";
import { div, eq, mul, pow, sqrt, square, sub, where } from "./scalar.js";

// Euclidean distances between the rows of a [N, P, D] and of b [N, R, D]: y_ij = |a_i - b_j|. With w_ij = dy_ij / y_ij (0 where y_ij is 0: rows that are
// equal push nowhere)
//   da_i = sum_j w_ij (a_i - b_j),  db_j = sum_i w_ij (b_j - a_i)

/** base^(1/p) with gradient 0 where the base is 0: the root is steep there, but the distance to oneself should push nowhere. */
export function safeRoot(base: Tensor, p: number): Tensor {
  const zero = eq(base, 0);
  const safe = where(zero, 1, base);
  return where(zero, 0, p === 2 ? sqrt(safe) : pow(safe, 1 / p));
}

/** a_i - b_j for all pairs: [N, P, R, D]. */
function differences(a: Tensor, b: Tensor): Tensor {
  const [N, P, D] = a.shape;
  return sub(reshape(a, [N, P, 1, D]), reshape(b, [N, 1, b.shape[1], D]));
}

/** [a, b] -> [N, P, R]. */
const distancesOp = defineOp({
  name: "distances",
  trait: "opaque",
  infer: ([a, b]) => ({ shape: [a.shape[0], a.shape[1], b.shape[1]], dtype: a.dtype }),
  vjp: ({ inputs: [a, b], output, grad, needs }) => {
    const zero = eq(output, 0);
    const w = where(zero, 0, div(grad, where(zero, 1, output)));
    return [needs[0] ? record(slopesOp, [a, b, w], { turned: false }) : null, needs[1] ? record(slopesOp, [b, a, w], { turned: true }) : null];
  },
  evaluate: ([a, b], _, [y]) => {
    const [N, P, D] = a.shape;
    const R = b.shape[1];
    for (let at = 0; at < N * P * R; at++) {
      const [i, j] = [Math.floor(at / R) * D, (Math.floor(at / (P * R)) * R + (at % R)) * D];
      let total = 0;
      for (let d = 0; d < D; d++) total += (a.data[i + d] - b.data[j + d]) ** 2;
      y.data[at] = Math.sqrt(total);
    }
  },
  composite: ([a, b]) => safeRoot(sum(square(differences(a, b)), { dim: 3 }), 2),
  kernel: (inputs) => floatKernel(inputs, "distances", []),
  flops: ([a, b]) => 3 * sizeOf(a.shape) * b.shape[1],
});

/** [a, b, w [N, P, R], or [N, R, P] where it is turned] -> sum_j w_ij (a_i - b_j): [N, P, D]. */
const slopesOp = defineOp<{ readonly turned: boolean }>({
  name: "distanceSlopes",
  trait: "opaque",
  infer: ([{ shape, dtype }]) => ({ shape, dtype }),
  evaluate: ([a, b, w], { turned }, [out]) => {
    const [N, P, D] = a.shape;
    const R = b.shape[1];
    out.data.fill(0);
    for (let at = 0; at < N * P * R; at++) {
      const n = Math.floor(at / (P * R));
      const [i, j] = [Math.floor(at / R) % P, at % R];
      const weight = w.data[turned ? (n * R + j) * P + i : at];
      for (let d = 0; d < D; d++) out.data[(n * P + i) * D + d] += weight * (a.data[(n * P + i) * D + d] - b.data[(n * R + j) * D + d]);
    }
  },
  composite: ([a, b, w], { turned }) => {
    const weights = turned ? transpose(w) : w;
    return sum(mul(reshape(weights, [...weights.shape, 1]), differences(a, b)), { dim: 2 });
  },
  kernel: (inputs, { turned }) => floatKernel(inputs, "distanceSlopes", [Number(turned)]),
  flops: ([a, b]) => 3 * sizeOf(a.shape) * b.shape[1],
});

/** Euclidean distances of a [N, P, D] and b [N, R, D]: [N, P, R]. */
export const distances = (a: Tensor, b: Tensor): Tensor => record(distancesOp, [a, b]);
