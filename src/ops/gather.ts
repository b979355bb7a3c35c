import { checkOptions, GraftError } from "../base/index.js";
import { computeDType, contiguousStrides, defineOp, normalizeDim, record, showShape, sizeOf, type Op, type Shape, type Spec, type Tensor } from "../graph/index.js";
import { asIndex, indexAt, linesOf, walk } from "./indexing.js";
import { reshape } from "./movement.js";
import { asTensor } from "./operand.js";
import { add, cast, eq, where } from "./scalar.js";
import { scatterAdd } from "./scatter.js";
import { zeros } from "./source.js";

/** Shapes that gather and scatter accept: equal rank, and no index dim but `dim` longer than that of `x`. */
export function checkAlong(op: string, x: Spec, dim: number, index: Spec): void {
  if (x.shape.length !== index.shape.length || index.shape.some((n, d) => d !== dim && n > x.shape[d])) {
    throw new GraftError("shape", `${op}: index is ${showShape(index.shape)}, x is ${showShape(x.shape)}. Both need ${x.shape.length} dims, and only dim ${dim} of the index may be longer.`);
  }
}

const gatherOp = defineOp<{ dim: number }>({
  name: "gather",
  fallible: true,
  trait: "gather",
  infer: ([x, index], { dim }) => {
    checkAlong("gather", x, dim, index);
    return { shape: index.shape, dtype: x.dtype };
  },
  vjp: ({ inputs: [x, index], grad, attrs: { dim } }) => [scatterAdd(zeros(x.shape, { dtype: x.dtype }), dim, index, grad), null],
  evaluate: ([x, index], { dim }, [out]) => {
    const strides = contiguousStrides(x.shape);
    walk(index.shape, (i, at) => {
      const picked = indexAt("gather", index, i, x.shape[dim]);
      out.data[i] = x.data[at.reduce((sum, n, d) => sum + (d === dim ? picked : n) * strides[d], 0)];
    });
  },
  kernel: (_, { dim }) => ({ name: "gather", attrs: [dim] }),
});

/**
 * Picks one element per index along `dim`: out[i][j] = x[i][index[i][j]] for dim 1. The result has the shape of `index`;
 * the gradient is added back to where each element came from.
 * @throws GraftError `index` when an index is negative or too large.
 * @example gather(logits, 1, labels.unsqueeze(1)); // [B, C], [B, 1] -> [B, 1]
 */
export function gather(x: Tensor, dim: number, index: Tensor): Tensor {
  const d = normalizeDim("gather", dim, asTensor("gather", "x", x).ndim);
  const at = asIndex("gather", "index", index);
  if (x.ndim === 0 && at.ndim === 0) return reshape(gather(reshape(x, [1]), 0, reshape(at, [1])), []);
  return record(gatherOp, [x, at], { dim: d });
}

/** Another name of {@link gather}, with NumPy's order of arguments. */
export const takeAlongDim = (x: Tensor, index: Tensor, dim: number): Tensor => gather(x, dim, index);

type TakeAttrs = { dim: number; skip: number };

const replaceDim = (shape: Shape, dim: number, by: Shape): number[] => [...shape.slice(0, dim), ...by, ...shape.slice(dim + 1)];

/** Whole slices along `dim`, for every element of an index of any shape. `skip` is an index whose slice gets no gradient (-1: none). */
function defineTake(name: string): Op<TakeAttrs> {
  return defineOp<TakeAttrs>({
    name,
    fallible: true,
    trait: "gather",
    infer: ([x, index], { dim }) => ({ shape: replaceDim(x.shape, dim, index.shape), dtype: x.dtype }),
    vjp: ({ inputs: [x, index], grad, attrs }) => [addSlices(x, index, grad, attrs), null],
    evaluate: ([x, index], { dim }, [out]) => {
      const { outer, size, inner } = linesOf(x.shape, dim);
      const count = index.data.length;
      for (let k = 0; k < count; k++) {
        const from = indexAt(name, index, k, size);
        for (let o = 0; o < outer; o++) {
          const start = (o * size + from) * inner;
          out.data.set(x.data.subarray(start, start + inner), (o * count + k) * inner);
        }
      }
    },
    kernel: (_, { dim }) => ({ name, attrs: [dim] }),
  });
}

const indexSelectOp = defineTake("indexSelect");
const embeddingOp = defineTake("embedding");

/** Adds every slice of `x` to slice index[k] along `dim` of zeros: the transpose of taking slices. */
const indexAddOp = defineOp<TakeAttrs & { size: number }>({
  name: "indexAdd",
  trait: "opaque",
  infer: ([x, index], { dim, size }) => ({ shape: [...x.shape.slice(0, dim), size, ...x.shape.slice(dim + index.shape.length)], dtype: x.dtype }),
  vjp: ({ inputs: [, index], grad, attrs: { dim, skip } }) => {
    const back = record(indexSelectOp, [grad, index], { dim, skip });
    if (skip < 0) return [back, null];
    const skipped = reshape(eq(index, skip), [...index.shape, ...grad.shape.slice(dim + 1).map(() => 1)]);
    return [where(skipped, 0, back), null];
  },
  evaluate: ([x, index], { dim, size, skip }, [out]) => {
    const { outer, inner } = linesOf(out.shape, dim);
    const count = index.data.length;
    out.data.fill(0);
    for (let k = 0; k < count; k++) {
      const to = indexAt("indexAdd", index, k, size);
      if (to === skip) continue;
      for (let o = 0; o < outer; o++) for (let i = 0; i < inner; i++) out.data[(o * size + to) * inner + i] += x.data[(o * count + k) * inner + i];
    }
  },
  kernel: (_, { dim, size, skip }) => ({ name: "indexAdd", attrs: [dim, size, skip] }),
  flops: ([x]) => sizeOf(x.shape),
});

function addSlices(x: Tensor, index: Tensor, grad: Tensor, { dim, skip }: TakeAttrs): Tensor {
  const added = record(indexAddOp, [cast(grad, computeDType(grad.dtype)), index], { dim, skip, size: x.shape[dim] });
  return cast(added, x.dtype);
}

/**
 * The slices of `x` along `dim` that a 1-d index names, in its order; an index may repeat.
 * @throws GraftError `index` when an index is negative or too large.
 * @example indexSelect(x, 0, tensor([2, 0], { dtype: "i32" })); // rows 2 and 0
 */
export function indexSelect(x: Tensor, dim: number, index: Tensor): Tensor {
  const d = normalizeDim("indexSelect", dim, asTensor("indexSelect", "x", x).ndim);
  const at = asIndex("indexSelect", "index", index);
  if (at.ndim > 1) throw new GraftError("shape", `indexSelect: index is ${showShape(at.shape)}, but it has one dim. Use embedding(index, weight) or flatten it.`);
  const source = x.ndim === 0 ? reshape(x, [1]) : x;
  return record(indexSelectOp, [source, at.ndim === 0 ? reshape(at, [1]) : at], { dim: d, skip: -1 });
}

/** x with every slice of `source` along `dim` added to its slice index[k]. */
export function indexAdd(x: Tensor, dim: number, index: Tensor, source: Tensor): Tensor {
  const d = normalizeDim("indexAdd", dim, asTensor("indexAdd", "x", x).ndim);
  const at = asIndex("indexAdd", "index", index);
  const fits = at.ndim === 1 && asTensor("indexAdd", "source", source).ndim === x.ndim && x.shape.every((n, i) => source.shape[i] === (i === d ? at.shape[0] : n));
  if (!fits) throw new GraftError("shape", `indexAdd: x is ${showShape(x.shape)}, index ${showShape(at.shape)}, source ${showShape(source.shape)}. The index has one dim, its length is source's dim ${d}, all other sizes are equal.`);
  return add(x, cast(record(indexAddOp, [cast(source, computeDType(x.dtype)), at], { dim: d, skip: -1, size: x.shape[d] }), x.dtype));
}

/** Options of {@link embedding}: the row `paddingIdx` (negative counts from the end) gets no gradient. */
export interface EmbeddingOptions {
  readonly paddingIdx?: number | null;
}

/**
 * Rows of a table: out[..., :] = weight[indices[...], :]. `indices` has any shape, `weight` is [rows, width]. Only rows that were looked up
 * get a gradient; a row that was looked up several times gets the sum.
 * @throws GraftError `index` when an index is negative or not below the number of rows.
 * @example embedding(tokens, model.wte.weight); // [B, T], [V, D] -> [B, T, D]
 */
export function embedding(indices: Tensor, weight: Tensor, options: EmbeddingOptions = {}): Tensor {
  checkOptions("embedding", options, ["paddingIdx"]);
  const at = asIndex("embedding", "indices", indices);
  if (asTensor("embedding", "weight", weight).ndim !== 2) throw new GraftError("shape", `embedding: weight is ${showShape(weight.shape)}, but a table is [rows, width].`);
  const rows = weight.shape[0];
  const padding = options.paddingIdx ?? undefined;
  if (padding !== undefined && (!Number.isInteger(padding) || padding < -rows || padding >= rows)) {
    throw new GraftError("argument", `embedding: paddingIdx is ${padding}, the table has ${rows} rows. Use ${-rows} to ${rows - 1}.`);
  }
  return record(embeddingOp, [weight, at], { dim: 0, skip: padding === undefined ? -1 : padding < 0 ? padding + rows : padding });
}

const oneHotOp = defineOp<{ classes: number }>({
  name: "oneHot",
  fallible: true,
  trait: "opaque",
  infer: ([x], { classes }) => ({ shape: [...x.shape, classes], dtype: "i32" }),
  evaluate: ([x], { classes }, [out]) => {
    out.data.fill(0);
    for (let i = 0; i < x.data.length; i++) out.data[i * classes + indexAt("oneHot", x, i, classes)] = 1;
  },
  kernel: (_, { classes }) => ({ name: "oneHot", attrs: [classes] }),
});

/**
 * A new last dim of `numClasses` with 1 at the label and 0 elsewhere, as i32.
 * @throws GraftError `index` when a label is negative or not below `numClasses`.
 */
export function oneHot(x: Tensor, numClasses: number): Tensor {
  if (!Number.isInteger(numClasses) || numClasses < 1) throw new GraftError("argument", `oneHot: numClasses is ${numClasses}. Pass the number of classes, 1 or more (it cannot be read off labels that are not computed yet).`);
  return record(oneHotOp, [asIndex("oneHot", "x", x)], { classes: numClasses });
}
