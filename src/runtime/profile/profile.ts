import { callsOf, type KernelCall } from "./kernels.js";
import type { ModulePaths } from "./paths.js";
import { kernelsOf, median, modulesOf, outsideOf, type KernelProfile, type ModuleProfile, type OutsideProfile } from "./rows.js";
import type { StepRecord } from "./session.js";
import { kernelTable, moduleTable, ms } from "./tables.js";
import { traceOf, type Trace } from "./trace.js";

/** All of a {@link Profile} but the trace, as plain JSON. */
export interface ProfileData {
  readonly backend: string;
  readonly steps: number;
  readonly warmup: number;
  /** Milliseconds of a step. */
  readonly stepMs: { readonly median: number; readonly min: number; readonly max: number };
  readonly kernels: readonly KernelProfile[];
  readonly modules: readonly ModuleProfile[];
  readonly outside: readonly OutsideProfile[];
}

/**
 * Where the time of some steps went: `kernels`, `modules`, and what was `outside` of kernels; shares of kernels and outside, or of modules and outside, add up to 1.
 * As a text it is two tables.
 */
export class Profile implements ProfileData {
  readonly steps: number;
  readonly stepMs: ProfileData["stepMs"];
  readonly kernels: readonly KernelProfile[];
  readonly modules: readonly ModuleProfile[];
  readonly outside: readonly OutsideProfile[];
  private readonly calls: readonly (readonly KernelCall[])[];

  /** Made by {@link profile}. */
  constructor(
    private readonly records: readonly StepRecord[],
    readonly backend: string,
    readonly warmup: number,
    paths: ModulePaths,
  ) {
    this.steps = records.length;
    const times = records.map(({ from, to }) => to - from);
    const total = times.reduce((sum, time) => sum + time, 0);
    this.stepMs = times.length === 0 ? { median: 0, min: 0, max: 0 } : { median: median(times), min: Math.min(...times), max: Math.max(...times) };
    this.calls = records.map((record) => callsOf(record, paths));
    const all = this.calls.flat();
    this.kernels = kernelsOf(all, total);
    this.modules = modulesOf(all, total, this.steps, paths.types);
    this.outside = outsideOf(records, this.calls, total);
  }

  /** Everything in the Trace Event Format: write it as JSON, and open it in ui.perfetto.dev or chrome://tracing. */
  trace(): Trace {
    return traceOf(this.records, this.calls, `graft, ${this.backend}`);
  }

  toJSON(): ProfileData {
    const { backend, steps, warmup, stepMs, kernels, modules, outside } = this;
    return { backend, steps, warmup, stepMs, kernels, modules, outside };
  }

  /** Both tables with their first `top` rows; the rest is one row. */
  toString(top = Infinity): string {
    const { stepMs, steps, warmup, backend } = this;
    const head = `${steps} step${steps === 1 ? "" : "s"} after ${warmup} for warm-up, ${backend}; a step takes ${ms(stepMs.median)} ms (median; ${ms(stepMs.min)} to ${ms(stepMs.max)})`;
    return [head, "", kernelTable(this, top), "", moduleTable(this, top)].join("\n");
  }
}
