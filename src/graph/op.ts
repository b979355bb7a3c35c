import { GraftError } from "../base/index.js";
import type { Attrs, Spec } from "./node.js";
import type { Tensor } from "./tensor.js";

/**
 * What planner and backends need to know of an op; they look at this and never at names.
 * - `leaf`: a value that is given. - `source`: made from nothing (a constant, positions).
 * - `scalar`: element by element, with broadcasting. - `reduce`: folds dimensions to size 1.
 * - `movement`: the same elements seen otherwise, described by `view`. - `contract`: sums of products (matmul).
 * - `assign`: overwrites a leaf. - `output`: one of several outputs. - `gather`, `random`, `opaque`: a kernel of their own.
 */
export type Trait = "leaf" | "source" | "scalar" | "reduce" | "movement" | "contract" | "gather" | "random" | "opaque" | "assign" | "output";

/** An array of the reference evaluation: values as f64, whatever the dtype; the backend rounds what is stored. */
export interface RefArray extends Spec {
  readonly data: Float64Array;
}

/** Everything a gradient rule may look at. Rules are written with ops, so that gradients can be differentiated again. */
export interface GradientContext<A extends Attrs> {
  readonly inputs: readonly Tensor[];
  /** The (first) output and its gradient. */
  readonly output: Tensor;
  readonly grad: Tensor;
  /** For ops with several outputs: all of them, and their gradients where something depends on them. */
  readonly outputs: readonly Tensor[];
  readonly grads: readonly (Tensor | undefined)[];
  readonly attrs: A;
  /** Whether input i wants a gradient: rules may skip work for the others. */
  readonly needs: readonly boolean[];
}

/** A gradient for each input, in order; null or undefined where there is none. Broadcasting is undone by the caller. */
export type GradientRule<A extends Attrs> = (context: GradientContext<A>) => readonly (Tensor | null | undefined)[];

/** A strided view of memory: element strides and the position of element [0, 0, ...]. */
export interface StridedView {
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly offset: number;
}

/** How the native kernels do an op: a kernel's name and its numeric attributes (kernels/abi/encoding.md). */
export interface KernelCall {
  readonly name: string;
  readonly attrs: readonly number[];
  /** The kernel reads strided views of its inputs (default: contiguous ones only). */
  readonly strided?: boolean;
  /** The output may lie where the first input lies, which has its size. */
  readonly inPlace?: boolean;
  /** An element-wise program may be fused onto the kernel's output. */
  readonly epilogue?: boolean;
}

/** One record per primitive: all that is known of an op stands here. */
export interface Op<A extends Attrs = Attrs> {
  readonly name: string;
  readonly trait: Trait;
  /** Shape and dtype of the result(s); throws GraftError on inputs that do not fit. */
  readonly infer: (inputs: readonly Spec[], attrs: A) => Spec | readonly Spec[];
  readonly vjp?: GradientRule<A>;
  /** Reference evaluation: fills `outputs[i].data`. Absent only where there is a composite definition. */
  readonly evaluate?: (inputs: readonly RefArray[], attrs: A, outputs: readonly RefArray[]) => void;
  /** The same result from other ops: oracle, fallback where a backend has no kernel, and gradient where there is no rule. */
  readonly composite?: (inputs: readonly Tensor[], attrs: A) => Tensor | readonly Tensor[];
  /** `scalar` ops: the opcode's name without its class. */
  readonly opcode?: string;
  /** `scalar` ops of two inputs: the number that leaves the other side as it is (x + 0), on either side or on the right only. */
  readonly neutral?: { readonly value: number; readonly side: "both" | "right" };
  /** `movement` ops: the view of the input that the op is, or undefined where the input's strides cannot express it (a copy is made). */
  readonly view?: (input: StridedView, attrs: A, output: Spec) => StridedView | undefined;
  /** The native kernel; undefined for inputs that it does not support. */
  readonly kernel?: (inputs: readonly Spec[], attrs: A, outputs: readonly Spec[]) => KernelCall | undefined;
  /** Floating point operations, where they are not one per output element. */
  readonly flops?: (inputs: readonly Spec[], attrs: A, outputs: readonly Spec[]) => number;
  /** Running it can fail on values (an index out of range, a singular matrix); nothing is overwritten before it has run. */
  readonly fallible?: boolean;
  /** Number used in plan signatures. */
  readonly id: number;
}

const registry = new Map<string, Op>();

/** Registers an op and returns its record. */
export function defineOp<A extends Attrs = Attrs>(definition: Omit<Op<A>, "id">): Op<A> {
  if (registry.has(definition.name)) throw new GraftError("argument", `defineOp: "${definition.name}" is already defined. Names are unique.`);
  const { name, trait, infer, vjp, evaluate, composite, opcode, neutral, view, kernel, flops, fallible } = definition;
  // all records have the same fields in the same order, so that reading one is quick wherever many ops pass through
  const op: Op<A> = { name, trait, infer, vjp, evaluate, composite, opcode, neutral, view, kernel, flops, fallible, id: registry.size };
  registry.set(op.name, op as unknown as Op);
  return op;
}

/** The outputs of an op by its composite definition, which it must have. */
export function composed(op: Op, inputs: readonly Tensor[], attrs: Attrs): readonly Tensor[] {
  const value = op.composite!(inputs, attrs);
  return Array.isArray(value) ? (value as readonly Tensor[]) : [value as Tensor];
}

/** All registered ops by name. */
export const ops: ReadonlyMap<string, Op> = registry;
