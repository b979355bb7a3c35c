import type { Attrs, DType, Op, Shape, Spec } from "../graph/index.js";

/** Where a view's memory is: a slot given at run time (0 and up), the arena, or nowhere (a virtual index). */
export const arena = -1;
export const virtual = -2;

/** A strided window on memory, as kernels see it (kernels/abi/encoding.md). */
export interface PlanView {
  readonly buffer: number;
  /** Bytes into the buffer; for a virtual index its value at [0, 0, ...]. */
  readonly offset: number;
  readonly dtype: DType;
  readonly shape: Shape;
  readonly strides: readonly number[];
}

/** One instruction of a fused program; registers that are not used are -1. */
export interface Instr {
  readonly opcode: string;
  readonly dst: number;
  readonly args: readonly number[];
  readonly immediate: number;
}

/** A fused chain of element-wise ops over one iteration space. */
export interface Program {
  readonly inputCount: number;
  readonly registerCount: number;
  readonly instrs: readonly Instr[];
  /** Register stored by each output view. */
  readonly stores: readonly number[];
}

/** An input of an op that the reference evaluates: a view of the step by index, or a constant. */
export type Argument = { readonly view: number } | { readonly constant: number; readonly spec: Spec };

/** The op of a step that was not fused: what the reference backend runs. */
export interface Evaluation {
  readonly op: Op;
  readonly attrs: Attrs;
  readonly args: readonly Argument[];
}

/** One kernel call. */
export interface PlanStep {
  readonly kernel: string;
  readonly flops: number;
  readonly inputs: readonly PlanView[];
  readonly outputs: readonly PlanView[];
  readonly attrs: readonly number[];
  readonly program: Program | undefined;
  readonly evaluation: Evaluation | undefined;
  /** Bytes that it reads and writes at least: what is the same along a dim counts once, of a table only the rows that are taken. */
  readonly bytes: number;
  /** Names of the recorded ops that it computes, and the index of the last one in the graph that was compiled. */
  readonly label: string;
  readonly origin: number;
  /** Indices of the recorded ops in that graph: of the product, reduction or other kernel first, then of what is fused with it. */
  readonly origins: readonly number[];
}

/** What a slot holds: the memory of an input, of an output, or of an input that is overwritten. */
export interface Slot extends Spec {
  /** Index of the node that gives the memory (inputs), or that receives it (outputs). */
  readonly node: number;
  readonly kind: SlotKind;
}

/** Whether a run reads a slot's memory, fills it with new values, or overwrites what it has read. */
export type SlotKind = "input" | "output" | "assigned";

/** A buffer of the arena and the steps between which it is in use, for printing and tests. */
export interface Lifetime {
  readonly label: string;
  readonly offset: number;
  readonly bytes: number;
  readonly from: number;
  readonly to: number;
}

/** A compiled graph: plain data, run by a backend in one call. */
export interface Plan {
  readonly arenaBytes: number;
  readonly slots: readonly Slot[];
  readonly steps: readonly PlanStep[];
  readonly flops: number;
  /** Rough work in operations and elements moved: decides whether a plan runs on the calling thread. */
  readonly cost: number;
  readonly lifetimes: readonly Lifetime[];
}

/** What the compiler must know of the backend it compiles for. */
export interface Target {
  readonly fuse: boolean;
  readonly planMemory: boolean;
  /** Inputs are overwritten only after everything else has run: for runs that may be stopped anywhere (GRAFT_CHECK). */
  readonly careful: boolean;
  /** Whether the backend can run an op of trait opaque, gather or random as it is; otherwise its composite definition is used. */
  supports(op: Op, inputs: readonly Spec[], attrs: Attrs, outputs: readonly Spec[]): boolean;
}
