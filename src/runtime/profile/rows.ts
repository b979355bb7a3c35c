import type { Pass } from "../../graph/index.js";
import { lengthOf, without } from "./intervals.js";
import { outputShape, speedOf, type KernelCall } from "./kernels.js";
import type { StepRecord } from "./session.js";

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

export const sum = <T>(list: readonly T[], of: (item: T) => number): number => list.reduce((total, item) => total + of(item), 0);

/** The value in the middle. */
export function median(values: readonly number[]): number {
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

/** Calls by kernel, those that take the most time first. */
export function kernelsOf(calls: readonly KernelCall[], total: number): KernelProfile[] {
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

/** Calls by module, those that take the most time first. */
export function modulesOf(calls: readonly KernelCall[], total: number, steps: number, types: ReadonlyMap<string, string>): ModuleProfile[] {
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
export function outsideOf(records: readonly StepRecord[], calls: readonly (readonly KernelCall[])[], total: number): OutsideProfile[] {
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
