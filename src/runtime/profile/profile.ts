import { table } from "../../base/index.js";
import type { Pass } from "../../graph/index.js";
import { lengthOf, without } from "./intervals.js";
import { callsOf, outputShape, showSizes, speedOf, type KernelCall } from "./kernels.js";
import { shortened, type ModulePaths } from "./paths.js";
import type { StepRecord } from "./session.js";
import { traceOf, type Trace } from "./trace.js";

/** Calls of one kernel: the same kernel, ops, shapes and pass. */
export interface KernelProfile {
  readonly kernel: string;
  /** The recorded ops that it computes, its own first. */
  readonly ops: string;
  /** Of its (first) output. */
  readonly shape: readonly number[];
  readonly pass: Pass;
  /** Paths of all modules with an op in it, those that its time counts for first. */
  readonly modules: readonly string[];
  /** In all steps together. */
  readonly calls: number;
  /** Of one call, in milliseconds. */
  readonly medianMs: number;
  /** In all steps together. */
  readonly totalMs: number;
  /** Part of the time of all steps, 0 to 1. */
  readonly share: number;
  /** Of the call with the median time. */
  readonly gflops: number;
  readonly gbs: number;
}

/** Kernels by the module that recorded them. A fused kernel counts for one module; times are milliseconds per step. */
export interface ModuleProfile {
  /** Path in the model; its class for the model itself; "loss", "metrics", "clip", "optimizer" and "ema" for what belongs to no module. */
  readonly module: string;
  /** Its class. */
  readonly type: string;
  /** Kernel calls per step. */
  readonly kernels: number;
  readonly forwardMs: number;
  readonly backwardMs: number;
  readonly updateMs: number;
  /** Part of the time of all steps, 0 to 1. */
  readonly share: number;
}

/** What a step did outside kernels. */
export interface OutsideProfile {
  /**
   * record: JavaScript, above all the recording of the graph. plan: the look-up of the plan, or its compilation. loader: making a batch or waiting for it; what is made
   * while kernels run costs no time. wait: the rest of the time of runs: the hop to the kernels' thread and back.
   */
  readonly kind: "record" | "plan" | "loader" | "wait";
  /** Milliseconds per step. */
  readonly ms: number;
  /** Part of the time of all steps, 0 to 1. */
  readonly share: number;
}

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
    return [head, "", this.kernelTable(top), "", this.moduleTable(top)].join("\n");
  }

  private kernelTable(top: number): string {
    const { kernels, outside, steps } = this;
    const rest = kernels.slice(top);
    const rows = kernels.slice(0, top).map(({ kernel, ops, shape, pass, modules, calls, medianMs, share, gflops, gbs }) => [
      kernel, showSizes(shape), String(calls), (1000 * medianMs).toFixed(1), percent(share), speed(gflops), speed(gbs), pass, shortened(modules), ops.length <= opsShown ? ops : `${ops.slice(0, opsShown - 3)}...`,
    ]);
    if (rest.length > 0) rows.push([`${rest.length} more`, "", String(sum(rest, ({ calls }) => calls)), "", percent(sum(rest, ({ share }) => share))]);
    for (const { kind, ms: time, share } of outside) rows.push([`(${kind})`, "", String(steps), (1000 * time).toFixed(1), percent(share)]);
    return table([["kernel", "output", "calls", "us", "share %", "GFLOP/s", "GB/s", "pass", "module", "ops"], ...rows], { right: [2, 3, 4, 5, 6] });
  }

  private moduleTable(top: number): string {
    const { modules, outside } = this;
    const rest = modules.slice(top);
    const row = (name: string, type: string, list: readonly ModuleProfile[]): string[] => {
      const [forward, backward, update] = [sum(list, ({ forwardMs }) => forwardMs), sum(list, ({ backwardMs }) => backwardMs), sum(list, ({ updateMs }) => updateMs)];
      return [name, type, count(sum(list, ({ kernels }) => kernels)), blank(forward), blank(backward), blank(update), ms(forward + backward + update), percent(sum(list, ({ share }) => share))];
    };
    const rows = modules.slice(0, top).map((module) => row(module.module, module.type, [module]));
    if (rest.length > 0) rows.push(row(`${rest.length} more`, "", rest));
    rows.push(["(outside kernels)", "", "", "", "", "", ms(sum(outside, ({ ms: time }) => time)), percent(sum(outside, ({ share }) => share))]);
    return table([["module", "type", "kernels", "forward ms", "backward ms", "update ms", "ms per step", "share %"], ...rows], { right: [2, 3, 4, 5, 6, 7] });
  }
}

/** Letters of a fused kernel's list of ops in the table. */
const opsShown = 40;

const ms = (time: number): string => time.toFixed(3);
const blank = (time: number): string => (time === 0 ? "" : ms(time));
const percent = (share: number): string => (100 * share).toFixed(1);
const speed = (value: number): string => value.toFixed(1);
const count = (n: number): string => (Number.isInteger(n) ? String(n) : n.toFixed(1));
const sum = <T>(list: readonly T[], of: (item: T) => number): number => list.reduce((total, item) => total + of(item), 0);

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

function groupBy<T>(list: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of list) {
    const group = groups.get(key(item));
    if (group === undefined) groups.set(key(item), [item]);
    else group.push(item);
  }
  return groups;
}

const sizes = ({ inputs, outputs }: KernelCall["step"]): string => [...inputs, ...outputs].map(({ dtype, shape }) => `${dtype}${shape.join("x")}`).join(" ");

function kernelsOf(calls: readonly KernelCall[], total: number): KernelProfile[] {
  const groups = groupBy(calls, ({ step, pass }) => `${step.kernel} ${step.label} ${pass} ${step.flops} ${sizes(step)}`);
  const rows = [...groups.values()].map((group): KernelProfile => {
    const [{ step, pass }] = group;
    const time = median(group.map(({ nanoseconds }) => nanoseconds));
    const totalMs = sum(group, ({ nanoseconds }) => nanoseconds) / 1e6;
    return {
      kernel: step.kernel, ops: step.label, shape: outputShape(step), pass,
      modules: [...new Set([...group.map(({ module }) => module), ...group.flatMap(({ modules }) => modules)])],
      calls: group.length, medianMs: time / 1e6, totalMs, share: share(totalMs, total), ...speedOf(step, time),
    };
  });
  return rows.sort((a, b) => b.totalMs - a.totalMs);
}

function modulesOf(calls: readonly KernelCall[], total: number, steps: number, types: ReadonlyMap<string, string>): ModuleProfile[] {
  const rows = [...groupBy(calls, ({ module }) => module)].map(([module, group]): ModuleProfile => {
    const of = (wanted: Pass): number => sum(group, ({ pass, nanoseconds }) => (pass === wanted ? nanoseconds : 0)) / 1e6 / steps;
    return {
      module, type: types.get(module) ?? "", kernels: group.length / steps, forwardMs: of("forward"), backwardMs: of("backward"), updateMs: of("update"),
      share: share(sum(group, ({ nanoseconds }) => nanoseconds) / 1e6, total),
    };
  });
  return rows.sort((a, b) => b.share - a.share);
}

/** What is left of the steps' time beside kernels: first to the loader, then to planning, then to runs, and the rest to recording. */
function outsideOf(records: readonly StepRecord[], calls: readonly (readonly KernelCall[])[], total: number): OutsideProfile[] {
  const steps = records.length;
  const time = { record: 0, plan: 0, loader: 0, wait: 0 };
  records.forEach((record, i) => {
    const { runs, spans: { plan, loader } } = record;
    time.loader += lengthOf(without(loader, calls[i]));
    time.plan += lengthOf(without(plan, [...calls[i], ...loader]));
    time.wait += lengthOf(without(runs, [...calls[i], ...loader, ...plan]));
    time.record += lengthOf(without([record], [...calls[i], ...loader, ...plan, ...runs]));
  });
  return (["record", "plan", "loader", "wait"] as const).map((kind) => ({ kind, ms: steps === 0 ? 0 : time[kind] / steps, share: share(time[kind], total) }));
}

const share = (part: number, whole: number): number => (whole > 0 ? part / whole : 0);
