import { checkOptions, GraftError } from "../base/index.js";
import { computeDType, defineOp, normalizeDim, recordMany, showShape, type GradientRule, type RefArray, type Tensor } from "../graph/index.js";
import { linesOf } from "./indexing.js";
import { reshape } from "./movement.js";
import { asTensor } from "./operand.js";
import { cast } from "./scalar.js";
import { scatterAdd } from "./scatter.js";
import { zeros } from "./source.js";

/** Ascending order with NaN above every number. */
function compare(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Sorts every line along `dim` stably and writes its first elements, as many as the outputs hold. */
function sortLines(x: RefArray, dim: number, descending: boolean, [values, indices]: readonly RefArray[]): void {
  const { outer, size, inner } = linesOf(x.shape, dim);
  const kept = values.shape[dim];
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      const value = (k: number): number => x.data[(o * size + k) * inner + i];
      const order = Array.from({ length: size }, (_, k) => k).sort((a, b) => (descending ? compare(value(b), value(a)) : compare(value(a), value(b))) || a - b);
      for (let k = 0; k < kept; k++) {
        const at = (o * kept + k) * inner + i;
        values.data[at] = value(order[k]);
        indices.data[at] = order[k];
      }
    }
  }
}

/** The gradient of a value goes to where it came from. */
const sortRule: GradientRule<{ dim: number }> = ({ inputs: [x], outputs: [, indices], grads: [grad], attrs: { dim } }) => [
  grad === undefined ? null : scatterAdd(zeros(x.shape, { dtype: x.dtype }), dim, indices, grad),
];

const sortOp = defineOp<{ dim: number; descending: boolean }>({
  name: "sort",
  trait: "opaque",
  infer: ([x]) => [{ shape: x.shape, dtype: x.dtype }, { shape: x.shape, dtype: "i32" }],
  vjp: sortRule,
  evaluate: ([x], { dim, descending }, outputs) => sortLines(x, dim, descending, outputs),
  kernel: (_, { dim, descending }) => ({ name: "sort", attrs: [dim, descending ? 1 : 0] }),
});

/** Options of {@link sort} and {@link argsort}. */
export interface SortOptions {
  readonly dim?: number;
  readonly descending?: boolean;
}

/**
 * Sorts along `dim` (the last by default), ascending unless `descending`: [values, indices], with indices as i32. Equal values keep
 * their order; NaN counts as the largest. Values are differentiable.
 * @example const [values, order] = sort(x, { dim: 0, descending: true });
 */
export function sort(x: Tensor, options: SortOptions = {}): [values: Tensor, indices: Tensor] {
  checkOptions("sort", options, ["dim", "descending"]);
  const d = normalizeDim("sort", options.dim ?? -1, asTensor("sort", "x", x).ndim);
  if (x.ndim === 0) return unline(sort(reshape(x, [1]), options));
  const [values, indices] = recordMany(sortOp, [cast(x, computeDType(x.dtype))], { dim: d, descending: options.descending ?? false });
  return [cast(values, x.dtype), indices];
}

const unline = ([values, indices]: [Tensor, Tensor]): [Tensor, Tensor] => [reshape(values, []), reshape(indices, [])];

/** The indices that sort `x`; see {@link sort}. */
export const argsort = (x: Tensor, options: SortOptions = {}): Tensor => sort(x, options)[1];

const topkOp = defineOp<{ dim: number; k: number; largest: boolean }>({
  name: "topk",
  trait: "opaque",
  infer: ([x], { dim, k }) => {
    const shape = x.shape.map((n, d) => (d === dim ? k : n));
    return [{ shape, dtype: x.dtype }, { shape, dtype: "i32" }];
  },
  vjp: sortRule,
  evaluate: ([x], { dim, largest }, outputs) => sortLines(x, dim, largest, outputs),
  kernel: (_, { dim, k, largest }) => ({ name: "topk", attrs: [dim, k, largest ? 1 : 0] }),
});

/** Options of {@link topk}. The result is always sorted, so `sorted` changes nothing. */
export interface TopkOptions {
  readonly dim?: number;
  readonly largest?: boolean;
  readonly sorted?: boolean;
}

/**
 * The `k` largest (or smallest) values along `dim` (the last by default): [values, indices], best first. Of equal values the first come
 * first; NaN counts as the largest. Values are differentiable.
 * @throws GraftError `argument` when k is larger than the dim.
 * @example const [values, experts] = topk(router, 2); // [T, E] -> [T, 2] each
 */
export function topk(x: Tensor, k: number, options: TopkOptions = {}): [values: Tensor, indices: Tensor] {
  checkOptions("topk", options, ["dim", "largest", "sorted"]);
  const d = normalizeDim("topk", options.dim ?? -1, asTensor("topk", "x", x).ndim);
  const size = x.ndim === 0 ? 1 : x.shape[d];
  if (!Number.isInteger(k) || k < 0 || k > size) throw new GraftError("argument", `topk: k is ${k}, dim ${options.dim ?? -1} of ${showShape(x.shape)} holds ${size}. Use 0 to ${size}.`);
  if (x.ndim === 0) return k === 1 ? unline(topk(reshape(x, [1]), 1, options)) : topk(reshape(x, [1]), k, options);
  const [values, indices] = recordMany(topkOp, [cast(x, computeDType(x.dtype))], { dim: d, k, largest: options.largest ?? true });
  return [cast(values, x.dtype), indices];
}
