import { loadAddon, loadWasm, type Addon } from "graftml/backend";
import type { DType, Shape, TypedArray } from "graftml";

/** One view of a plan: a slot's memory, the arena, or a virtual index (no `memory`, `offset` is its first value). */
export interface RawView {
  readonly memory?: TypedArray | "arena";
  readonly dtype: DType;
  readonly shape: Shape;
  readonly stride: readonly number[];
  /** In bytes. */
  readonly offset: number;
}

/** opcode, dst, a, b, c, immediate */
export type RawInstr = readonly [opcode: string, dst: number, a?: number, b?: number, c?: number, immediate?: number];
export interface RawProgram {
  readonly inputs: number;
  readonly registers: number;
  readonly instrs: readonly RawInstr[];
  readonly stores: readonly number[];
}

const codes: Record<DType, number> = { f32: 0, f64: 1, i32: 2, u8: 3, bool: 4, bf16: 5, f16: 6 };

export const contiguous = (shape: Shape): number[] => shape.map((_, d) => shape.slice(d + 1).reduce((n, size) => n * size, 1));
export const dense = (memory: TypedArray, dtype: DType, shape: Shape): RawView => ({ memory, dtype, shape, stride: contiguous(shape), offset: 0 });

/** The compiled kernels (in WebAssembly with GRAFT_BACKEND=wasm); tests that need them are skipped where they are missing. */
export const native: Addon | undefined = (() => {
  const loaded = process.env.GRAFT_BACKEND === "wasm" ? loadWasm() : loadAddon();
  return "addon" in loaded ? loaded.addon : undefined;
})();

/** Writes plans number by number, for what the planner never makes: odd strides, odd programs, mistakes. */
export class RawPlan {
  readonly names: string[] = [];
  readonly slots: TypedArray[] = [];
  arenaBytes = 0;
  private readonly steps: number[][] = [];

  private index<T>(list: T[], value: T): number {
    const found = list.indexOf(value);
    return found >= 0 ? found : list.push(value) - 1;
  }

  private view({ memory, dtype, shape, stride, offset }: RawView): number[] {
    const buffer = memory === undefined ? -2 : memory === "arena" ? -1 : this.index(this.slots, memory);
    return [buffer, offset, codes[dtype], shape.length, ...shape, ...stride];
  }

  step(kernel: string, inputs: readonly RawView[], outputs: readonly RawView[], attrs: readonly number[], program?: RawProgram): this {
    const all = [...attrs];
    if (program) {
      all.push(program.inputs, program.registers, program.instrs.length);
      for (const [opcode, dst, a = -1, b = -1, c = -1, immediate = 0] of program.instrs) all.push(this.index(this.names, opcode), dst, a, b, c, immediate);
      all.push(program.stores.length, ...program.stores);
    }
    const head = [this.index(this.names, kernel), 0, program ? attrs.length : -1];
    this.steps.push([...head, inputs.length, ...inputs.flatMap((v) => this.view(v)), outputs.length, ...outputs.flatMap((v) => this.view(v)), all.length, ...all]);
    return this;
  }

  code(): Float64Array {
    return Float64Array.from([1, this.arenaBytes, this.slots.length, this.steps.length, ...this.steps.flat()]);
  }

  run(addon: Addon): void {
    addon.runSync(addon.loadPlan(this.code(), this.names), this.slots, false);
  }
}
