import { checkOptions, GraftError } from "../base/index.js";
import { computeDType, defineOp, normalizeDim, record, showShape, type Tensor } from "../graph/index.js";
import { linesOf } from "./indexing.js";
import { reshape } from "./movement.js";
import { asTensor } from "./operand.js";
import { cast } from "./scalar.js";

/** Options of argmax and argmin: `dim` (all elements, flattened, when absent) and `keepdim`. */
export interface ArgReduceOptions {
  readonly dim?: number;
  readonly keepdim?: boolean;
}

/** Position of the extreme along a dim, which stays with size 1. The first of equal values wins, and NaN wins over numbers. */
const argReduceOp = defineOp<{ dim: number; largest: boolean }>({
  name: "argreduce",
  trait: "opaque",
  infer: ([x], { dim }) => ({ shape: x.shape.map((n, d) => (d === dim ? 1 : n)), dtype: "i32" }),
  evaluate: ([x], { dim, largest }, [out]) => {
    const { outer, size, inner } = linesOf(x.shape, dim);
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < inner; i++) {
        const value = (k: number): number => x.data[(o * size + k) * inner + i];
        let best = 0;
        for (let k = 1; k < size && !Number.isNaN(value(best)); k++) {
          if (Number.isNaN(value(k)) || (largest ? value(k) > value(best) : value(k) < value(best))) best = k;
        }
        out.data[o * inner + i] = best;
      }
    }
  },
  kernel: (_, { dim, largest }) => ({ name: "argreduce", attrs: [dim, largest ? 1 : 0] }),
});

function argReduce(op: string, x: Tensor, largest: boolean, options: ArgReduceOptions): Tensor {
  asTensor(op, "x", x);
  checkOptions(op, options, ["dim", "keepdim"]);
  const { dim, keepdim = false } = options;
  const flat = dim === undefined || x.ndim === 0;
  const d = dim === undefined ? 0 : normalizeDim(op, dim, x.ndim);
  const source = flat ? reshape(x, [x.size]) : x;
  if (source.shape[d] === 0) throw new GraftError("shape", `${op}: ${flat ? "x" : `dim ${dim} of x`} is empty (${showShape(x.shape)}), so it has no extreme. Reduce a dim of size 1 or more.`);
  const found = record(argReduceOp, [cast(source, computeDType(x.dtype))], { dim: d, largest });
  if (flat) return reshape(found, keepdim ? x.shape.map(() => 1) : []);
  return keepdim ? found : reshape(found, x.shape.filter((_, i) => i !== d));
}

/**
 * Where the largest value is, as i32: along `dim`, or in the flattened tensor. The first of equal values wins; NaN counts as the largest.
 * @throws GraftError `shape` when the dim is empty.
 * @example argmax(logits, { dim: -1 }); // [B, C] -> [B]
 */
export const argmax = (x: Tensor, options: ArgReduceOptions = {}): Tensor => argReduce("argmax", x, true, options);

/** Where the smallest value is, as i32; see {@link argmax}. NaN counts as the smallest. */
export const argmin = (x: Tensor, options: ArgReduceOptions = {}): Tensor => argReduce("argmin", x, false, options);
