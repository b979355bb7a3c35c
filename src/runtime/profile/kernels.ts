import type { Pass } from "../../graph/index.js";
import type { PlanStep } from "../../plan/index.js";
import type { Interval } from "./intervals.js";
import type { ModulePaths } from "./paths.js";
import type { PlanScopes, StepRecord } from "./session.js";

/** Speed of a kernel call: flops per nanosecond are GFLOP/s, bytes per nanosecond GB/s. */
export const speedOf = ({ flops, bytes }: PlanStep, nanoseconds: number): { readonly gflops: number; readonly gbs: number } =>
  nanoseconds > 0 ? { gflops: flops / nanoseconds, gbs: bytes / nanoseconds } : { gflops: 0, gbs: 0 };

/** Sizes of what a kernel writes. */
export const outputShape = ({ outputs }: PlanStep): readonly number[] => outputs[0]?.shape ?? [];

/** A shape as 64x32. */
export const showSizes = (shape: readonly number[]): string => shape.join("x") || "scalar";

/** Who recorded what a kernel computes. */
export interface Origin {
  /** The module that its time counts for: that of its product, reduction or other kernel; of an element-wise chain the one with the most ops. */
  readonly module: string;
  readonly pass: Pass;
  /** All modules with an op in it, that one first. */
  readonly modules: readonly string[];
}

/** Tells whose a kernel is by the scopes of its ops. */
export function originOf({ kernel, origins }: PlanStep, scopes: PlanScopes[number] | undefined, paths: ModulePaths): Origin {
  const all = origins.map((_, i) => ({ module: paths.of(scopes?.[i]), pass: scopes?.[i]?.pass ?? "forward" }));
  const votes = new Map<string, number>();
  if (kernel === "map") for (const { module, pass } of all) votes.set(`${module} ${pass}`, (votes.get(`${module} ${pass}`) ?? 0) + 1);
  const most = Math.max(...votes.values());
  const main = all.find(({ module, pass }) => votes.size === 0 || votes.get(`${module} ${pass}`) === most) ?? { module: paths.of(undefined), pass: "forward" as const };
  return { ...main, modules: [...new Set([main.module, ...all.map(({ module }) => module)])] };
}

/** One kernel call of a profile. */
export interface KernelCall extends Origin, Interval {
  readonly step: PlanStep;
  readonly nanoseconds: number;
}

/** All calls of a step, in order. Kernels are timed, but not when they begin: they are put side by side. */
export function callsOf(record: StepRecord, paths: ModulePaths): KernelCall[] {
  let free = record.from;
  return record.runs.flatMap(({ from, steps, scopes, nanoseconds }) => {
    free = Math.max(free, from);
    return steps.map((step, i): KernelCall => {
      const call = { step, from: free, to: free + nanoseconds[i] / 1e6, nanoseconds: nanoseconds[i], ...originOf(step, scopes?.[i], paths) };
      free = call.to;
      return call;
    });
  });
}
