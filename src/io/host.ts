import { GraftError } from "../base/index.js";
import { allocate, sameShape, showShape, sizeOf, type DType, type Shape, type TypedArray } from "../graph/index.js";

/** A tensor as plain memory: what a file holds, and what can cross a thread. bf16 and f16 are raw bits in a `Uint16Array`. */
export interface HostTensor {
  readonly dtype: DType;
  readonly shape: Shape;
  readonly data: TypedArray;
}

/** Anything that can be written to a file: a `Tensor`, or plain memory with its dtype and shape. */
export type TensorSource = HostTensor | { readonly dtype: DType; readonly shape: Shape; data(): Promise<TypedArray> };

/**
 * The values of a tensor as plain memory (not copied where it already is plain memory).
 *
 * Throws `shape` when the number of values does not fit the shape, `dtype` when the array is of another kind.
 *
 * @example
 * const { data, shape } = await toHost("weight", layer.weight);
 */
export async function toHost(name: string, source: TensorSource): Promise<HostTensor> {
  const { dtype, shape } = source;
  const data = typeof source.data === "function" ? await source.data() : source.data;
  const wanted = allocate(dtype, 0).constructor;
  if (data.constructor !== wanted) {
    throw new GraftError("dtype", `${name}: ${dtype} values are kept in a ${wanted.name}, this is a ${data.constructor.name}. Convert the values first.`);
  }
  if (data.length !== sizeOf(shape)) {
    throw new GraftError("shape", `${name}: ${data.length} values do not fill the shape ${showShape(shape)} (${sizeOf(shape)} values). Give one value per element.`);
  }
  return { dtype, shape, data };
}

/** Whether two host tensors have the same dtype, shape and bits. */
export function sameBits(a: HostTensor, b: HostTensor): boolean {
  return a.dtype === b.dtype && sameShape(a.shape, b.shape) && Buffer.compare(bytesOf(a.data), bytesOf(b.data)) === 0;
}

/** The memory of a typed array as bytes, without a copy. */
export function bytesOf(data: TypedArray): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
