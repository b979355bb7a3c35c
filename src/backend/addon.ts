import type { SlotKind } from "../plan/index.js";

/** Version of the plans that kernels must read (graft_abi_version in kernels/abi). */
export const abiVersion = 1;

/** The compiled kernels as JavaScript sees them: what kernels/bind/napi.cc exports, and what `wasm/` makes of the WebAssembly module. */
export interface Addon {
  abiVersion(): number;
  isa(): string;
  threads(): number;
  setThreads(count: number): void;
  setProfile(on: boolean): void;
  hasKernel(name: string): boolean;
  /** `kinds` say which slots a run reads and which it writes, where that is known; only kernels in a memory of their own need to know. */
  loadPlan(code: Float64Array, names: readonly string[], kinds?: readonly SlotKind[]): object;
  /** Resolves to 0, or to -(step + 1) for the first step with a result that is not finite. */
  run(plan: object, slots: readonly ArrayBufferView[], checkFinite: boolean): Promise<number>;
  runSync(plan: object, slots: readonly ArrayBufferView[], checkFinite: boolean): number;
  waitIdle(): void;
  planTimes(plan: object): Float64Array;
}
