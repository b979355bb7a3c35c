import { GraftError } from "../base/index.js";
import { contiguousStrides, decode, showShape, Tensor, type Nested, type TypedArray } from "../graph/index.js";
import { realize, realizeSync, runsEnded, waitForRuns } from "./realize.js";

declare module "../graph/tensor.js" {
  interface Tensor {
    /** The values, row by row, as a copy (bf16 and f16 as raw bits). Computes them if need be. */
    data(): Promise<TypedArray>;
    /** {@link data} on the calling thread. */
    dataSync(): TypedArray;
    /** The one value of a tensor with one element; free for a loss after its step. Throws `shape` for several elements. */
    item(): number;
    /** The values as nested arrays (a number for a scalar). */
    toArray(): Promise<Nested>;
  }
}

Tensor.prototype.data = async function (this: Tensor): Promise<TypedArray> {
  const { node } = this;
  if (node.value === undefined) await realize(this);
  await runsEnded();
  return valueOf(node);
};

Tensor.prototype.dataSync = function (this: Tensor): TypedArray {
  const { node } = this;
  if (node.value === undefined) realizeSync(this);
  else waitForRuns();
  return valueOf(node);
};

/** A copy: a parameter's memory changes with the next step. */
function valueOf(node: Tensor["node"]): TypedArray {
  if (node.value === undefined) throw new GraftError("stale", `data: the run that should have computed ${showShape(node.shape)} failed. Look at its error.`);
  return node.value.slice();
}

Tensor.prototype.item = function (this: Tensor): number {
  if (this.size !== 1) throw new GraftError("shape", `item: the tensor is ${showShape(this.shape)} and has ${this.size} values, not one. Use await t.data() or t.at(...).`);
  const { node } = this;
  if (node.value === undefined) realizeSync(this);
  else waitForRuns();
  return decode(this.dtype, valueOf(node)[0]);
};

Tensor.prototype.toArray = async function (this: Tensor): Promise<Nested> {
  const values = await this.data();
  const { shape, dtype } = this;
  const strides = contiguousStrides(shape);
  const build = (dim: number, at: number): Nested =>
    dim === shape.length ? decode(dtype, values[at]) : Array.from({ length: shape[dim] }, (_, i) => build(dim + 1, at + i * strides[dim]));
  return build(0, 0);
};
