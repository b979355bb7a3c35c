import { GraftError } from "../base/index.js";
import { allocate, showShape, sizeOf, Tensor, type DType, type Shape, type TypedArray } from "../graph/index.js";
import "../runtime/index.js"; // gives tensors dataSync
import { checkIndex, type Dataset } from "./dataset.js";
import type { HostArray } from "./sample.js";

/** What a `TensorDataset` is made of: a tensor, or a typed array with its shape. */
export type TensorSource = Tensor | { readonly data: TypedArray; readonly shape: Shape; readonly dtype?: DType };

/**
 * A data set over tensors of equal first size: sample i is row i of each. Tensors are computed and copied now, typed arrays are used as they are.
 *
 * Throws `shape` when the first sizes differ or values do not fill a shape, `dtype` for a typed array that does not hold its dtype.
 *
 * @example
 * const data = new TensorDataset(tensor([[0, 0], [0, 1]]), tensor(Int32Array.of(0, 1)));
 * data.get(1); // [{ data: [0, 1], shape: [2] }, { data: [1], shape: [] }]
 */
export class TensorDataset implements Dataset<readonly HostArray[]> {
  readonly length: number;
  private readonly columns: readonly HostArray[];

  constructor(...sources: readonly TensorSource[]) {
    if (sources.length === 0) throw new GraftError("argument", "TensorDataset: there are no tensors. Pass at least one.");
    this.columns = sources.map((source, i) => toColumn(source, i));
    this.length = this.columns[0].shape[0];
    const other = this.columns.findIndex(({ shape }) => shape[0] !== this.length);
    if (other > 0) {
      throw new GraftError(
        "shape",
        `TensorDataset: tensors 0 and ${other} have different numbers of rows: ${showShape(this.columns[0].shape)} and ${showShape(this.columns[other].shape)}. Give one row per sample in each.`,
      );
    }
  }

  get(index: number): readonly HostArray[] {
    checkIndex("TensorDataset", index, this.length);
    return this.columns.map(({ data, shape, dtype }) => {
      const row = shape.slice(1);
      const size = sizeOf(row);
      return { data: data.subarray(index * size, (index + 1) * size), shape: row, dtype };
    });
  }
}

function toColumn(source: TensorSource, i: number): HostArray {
  const { shape } = source;
  let column: HostArray;
  if (source instanceof Tensor) {
    column = { data: source.dataSync(), shape, dtype: source.dtype };
  } else {
    const dtype = source.dtype ?? typeByArray(source.data, i);
    if (source.data.constructor !== allocate(dtype, 0).constructor) {
      throw new GraftError("dtype", `TensorDataset: array ${i} is a ${source.data.constructor.name}, which does not hold ${dtype} values.`);
    }
    column = { data: source.data, shape, dtype };
  }
  if (shape.length === 0) throw new GraftError("shape", `TensorDataset: tensor ${i} is a scalar. Give it a first dimension that counts the samples.`);
  if (sizeOf(shape) !== column.data.length) {
    throw new GraftError("shape", `TensorDataset: the ${column.data.length} values of array ${i} do not fill ${showShape(shape)} (${sizeOf(shape)} values).`);
  }
  return column;
}

function typeByArray(data: TypedArray, i: number): DType {
  const dtype = (["f32", "f64", "i32", "u8"] as const).find((name) => data.constructor === allocate(name, 0).constructor);
  if (dtype === undefined) throw new GraftError("dtype", `TensorDataset: array ${i} is a ${data.constructor.name} without a dtype. Say dtype: "bf16" or "f16".`);
  return dtype;
}
