import { allocate, decode, encode, fromData, sizeOf, Tensor, type DType, type Node, type Shape, type TypedArray } from "../graph/index.js";
import { assign, cast, detach } from "../ops/index.js";

/** A tensor's content in host memory, as file readers return it. */
export interface TensorData {
  readonly dtype: DType;
  readonly shape: Shape;
  readonly data: TypedArray;
}

/** A copy of `data` in another dtype. */
export function convert(data: TypedArray, from: DType, to: DType): TypedArray {
  if (from === to) return data.slice();
  const result = allocate(to, data.length);
  const plain = (dtype: DType): boolean => dtype === "f32" || dtype === "f64";
  if (plain(to) && (plain(from) || from === "i32" || from === "u8" || from === "bool")) {
    result.set(data);
  } else if (from === "bf16" && to === "f32") {
    const bits = new Uint32Array(result.buffer); // bf16 is the upper half of an f32
    for (let i = 0; i < data.length; i++) bits[i] = data[i] << 16;
  } else {
    for (let i = 0; i < data.length; i++) result[i] = encode(to, decode(from, data[i]));
  }
  return result;
}

/** A new leaf with the value of `x` in memory of its own, whatever happens to `x` afterwards. */
export function copyOf(x: Tensor): Tensor {
  if (x.node.value !== undefined) return fromData(x.node.value.slice(), x.shape, x.dtype);
  const made = madeOnHost(x.node);
  if (made !== undefined) return made;
  const copy = fromData(allocate(x.dtype, x.size), x.shape, x.dtype);
  assign(copy, detach(x)); // computed by the next step, before anything can overwrite x
  return copy;
}

/** The value of a constant (zeros, arange), which has no memory in the graph, as a leaf; undefined for other nodes. */
export function madeOnHost(node: Node): Tensor | undefined {
  const { op, shape, dtype } = node;
  if (op.trait !== "source" || op.evaluate === undefined) return undefined;
  const out = { shape, dtype, data: new Float64Array(sizeOf(shape)) };
  op.evaluate([], node.attrs, [out]);
  const data = allocate(dtype, out.data.length);
  for (let i = 0; i < data.length; i++) data[i] = encode(dtype, out.data[i]);
  return fromData(data, shape, dtype);
}

/** Lets `target` be `value` from now on; unlike `assign` this takes no step and forgets the old value. It stays a parameter if it was one. */
export function setNode(target: Tensor, value: Tensor): void {
  const { requiresGrad, variable, hooks } = target.node;
  const source = value.node.variable === undefined ? value : copyOf(value);
  const node = (madeOnHost(source.node) ?? source).node;
  node.requiresGrad = requiresGrad;
  node.variable = variable === undefined ? undefined : target;
  node.hooks = hooks;
  target.node = node;
}

/** Gives `target` the content of `source`, cast to its dtype. With `take` the memory of `source` is used as it is where the dtypes agree. */
export function loadValue(target: Tensor, source: Tensor | TensorData, take: boolean): void {
  const data = source instanceof Tensor ? source.node.value : source.data;
  if (data !== undefined) {
    setNode(target, fromData(take && source.dtype === target.dtype ? data : convert(data, source.dtype, target.dtype), target.shape, target.dtype));
  } else {
    assign(target, detach(source as Tensor));
  }
}

/** Changes the dtype of a tensor in place; its gradient is dropped. */
export function castInPlace(target: Tensor, dtype: DType): void {
  if (target.dtype === dtype) return;
  const data = target.node.value;
  setNode(target, data === undefined ? cast(detach(target), dtype) : fromData(convert(data, target.dtype, dtype), target.shape, dtype));
  target.grad = null;
}
