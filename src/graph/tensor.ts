import { checkOptions, GraftError } from "../base/index.js";
import { allocate, arrayDType, checkDType, type DType, encode, type TypedArray } from "./dtype.js";
import type { GradientHook, Node } from "./node.js";
import { keepNode } from "./keep.js";
import { leafNode } from "./record.js";
import { checkShape, showShape, sizeOf, type Shape } from "./shape.js";
import { specBytes } from "./spec.js";

/** Nested arrays of numbers (or booleans), as written in source code. */
export type Nested = number | boolean | readonly Nested[];

/**
 * A value in the graph. Operators record nodes; nothing is computed until a value is asked for (`await t.data()`, `t.item()`) or an
 * optimiser steps. There is nothing to free: only tensors that were asked for own memory.
 */
export class Tensor {
  /** The recorded operation; replaced when the tensor is assigned to. */
  node: Node;
  /** The gradient that `backward()` accumulated, for tensors made with `requiresGrad`. */
  grad: Tensor | null = null;

  constructor(node: Node) {
    this.node = node;
  }

  get shape(): Shape {
    return this.node.shape;
  }
  get dtype(): DType {
    return this.node.dtype;
  }
  /** Number of dimensions. */
  get ndim(): number {
    return this.node.shape.length;
  }
  /** Number of elements. */
  get size(): number {
    return sizeOf(this.node.shape);
  }
  /** Bytes that the value takes when stored. */
  get nbytes(): number {
    return specBytes(this.node);
  }

  get requiresGrad(): boolean {
    return this.node.requiresGrad;
  }
  /** Only leaves can be switched: tensors that were given, or computed from nothing that wants a gradient (`x.detach()`, under `noGrad`). */
  set requiresGrad(on: boolean) {
    if (this.node.variable === undefined && this.node.requiresGrad) {
      throw new GraftError("gradient", `requiresGrad: ${showShape(this.shape)} is computed by ${this.node.op.name} from tensors that want gradients; only leaves can be switched. Use detach() first.`);
    }
    this.node.requiresGrad = on;
    this.node.variable = this; // a frozen parameter stays a leaf
  }

  /** Calls `hook` with this tensor's gradient during `backward()`; what it returns replaces the gradient. Returns a function that removes it. */
  registerHook(hook: GradientHook): () => void {
    const hooks = (this.node.hooks ??= []);
    hooks.push(hook);
    return () => {
      const at = hooks.indexOf(hook);
      if (at >= 0) hooks.splice(at, 1);
    };
  }

  /** Asks the step that computes this value anyway (an optimiser's) to store it, so that reading it later costs nothing. */
  keep(): this {
    keepNode(this.node);
    return this;
  }

  toString(): string {
    const state = this.node.value ? "" : ", not computed yet";
    return `Tensor(${showShape(this.shape)} ${this.dtype}${state})`;
  }
}

function nestedShape(values: Nested): number[] {
  const shape: number[] = [];
  for (let level: Nested = values; Array.isArray(level); level = level[0] as Nested) {
    shape.push(level.length);
    if (level.length === 0) break;
  }
  return shape;
}

function fillNested(values: Nested, shape: Shape, dim: number, out: TypedArray, dtype: DType, offset: number): number {
  if (dim === shape.length) {
    if (typeof values !== "number" && typeof values !== "boolean") throw ragged(shape, dim);
    out[offset] = encode(dtype, Number(values));
    return offset + 1;
  }
  if (!Array.isArray(values) || values.length !== shape[dim]) throw ragged(shape, dim);
  for (const item of values as readonly Nested[]) offset = fillNested(item, shape, dim + 1, out, dtype, offset);
  return offset;
}

const ragged = (shape: Shape, dim: number): GraftError =>
  new GraftError("shape", `tensor: the nested values are ragged at depth ${dim}: the first ones have shape ${showShape(shape)}. Give every row the same length.`);

/** Options of {@link tensor}. */
export interface TensorOptions {
  readonly dtype?: DType;
  readonly shape?: Shape;
  readonly requiresGrad?: boolean;
}

/**
 * Makes a tensor from nested arrays (f32, or bool for booleans) or from a typed array. A typed array whose type is that of `dtype` is used
 * without a copy: do not change it afterwards.
 *
 * @throws GraftError `shape` when the values are ragged or do not fill `shape`.
 * @example
 * const w = tensor([[1, 2], [3, 4]], { requiresGrad: true });
 * const x = tensor(new Float32Array(6), { shape: [2, 3] });
 */
export function tensor(values: Nested | TypedArray, options: TensorOptions = {}): Tensor {
  checkOptions("tensor", options, ["dtype", "shape", "requiresGrad"]);
  let data: TypedArray;
  let shape: Shape;
  let dtype: DType;
  if (ArrayBuffer.isView(values)) {
    const array = values as TypedArray;
    dtype = options.dtype === undefined ? arrayDType(array) : checkDType("tensor", options.dtype);
    if (array.constructor === allocate(dtype, 0).constructor && !(dtype === "bool" && array.some((x) => x > 1))) data = array;
    else {
      data = allocate(dtype, array.length);
      for (let i = 0; i < array.length; i++) data[i] = encode(dtype, array[i]);
    }
    shape = options.shape ?? [array.length];
  } else {
    const inferred = nestedShape(values as Nested);
    let first: Nested = values as Nested;
    while (Array.isArray(first)) first = first[0] as Nested;
    dtype = options.dtype === undefined ? (typeof first === "boolean" ? "bool" : "f32") : checkDType("tensor", options.dtype);
    data = allocate(dtype, sizeOf(inferred));
    fillNested(values as Nested, inferred, 0, data, dtype, 0);
    shape = options.shape ?? inferred;
  }
  checkShape("tensor", shape);
  if (sizeOf(shape) !== data.length) {
    throw new GraftError("shape", `tensor: ${data.length} values do not fill shape ${showShape(shape)} (${sizeOf(shape)} values). Pass values and shape of the same size.`);
  }
  return fromData(data, shape, dtype, options.requiresGrad ?? false);
}

/** A leaf over existing memory (no copy, no checks). */
export function fromData(data: TypedArray, shape: Shape, dtype: DType, requiresGrad = false): Tensor {
  const result = new Tensor(leafNode(data, [...shape], dtype));
  if (requiresGrad) result.requiresGrad = true;
  return result;
}
