import type { DType, TypedArray } from "../graph/index.js";
import type { Plan, Target } from "../plan/index.js";

/** A plan that a backend has taken in. */
export interface LoadedPlan {
  /**
   * Runs the plan on the memory of its slots, off the event loop where the backend can. Resolves to -1, or with `checkFinite` to the index of the
   * first step that wrote NaN or Inf (the run stops there). Rejects with a GraftError for what only running can find (an index out of range).
   */
  run(slots: readonly TypedArray[], checkFinite: boolean): Promise<number>;
  /** The same on the calling thread. */
  runSync(slots: readonly TypedArray[], checkFinite: boolean): number;
  /** Nanoseconds that each step took in the last run, where profiling is on. */
  times(): Float64Array;
}

/** What runs plans. Backends never import each other; one conformance suite serves all. */
export interface Backend extends Pick<Target, "supports"> {
  readonly name: string;
  /** Whether it runs fused programs; otherwise every op is a step of its own. */
  readonly fuses: boolean;
  /** One line on what computes, for people: instruction set, threads. */
  readonly description: string;
  load(plan: Plan): LoadedPlan;
  /** Memory in which the backend likes results to be; its content is anything, since every run writes its results whole. */
  allocate(dtype: DType, length: number): TypedArray;
  /** Moves memory that many runs will read or overwrite to where this backend likes it to be; the same memory where it lies well. */
  adopt?(memory: TypedArray): TypedArray;
  /** Bytes that a run may use, where the backend has a limit of its own. */
  readonly memoryLimit?: number;
  /** Switches the measuring of steps. */
  profile(on: boolean): void;
  /** Waits for runs that were started. */
  waitIdle(): void;
}
