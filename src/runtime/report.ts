import { env } from "../base/index.js";
import { specBytes } from "../graph/index.js";
import type { PlanStep } from "../plan/index.js";
import type { Compiled } from "./plans.js";

const bytesMoved = (step: PlanStep): number => [...step.inputs, ...step.outputs].reduce((total, view) => total + specBytes(view), 0);

/** GRAFT_DEBUG: a line per run; from 2 on a line per kernel with its time, GFLOP/s and GB/s. */
export function reportRun({ plan, loaded }: Compiled, milliseconds: number): void {
  const lines = [`graft: ${plan.steps.length} kernels, ${(plan.flops / 1e6).toFixed(2)} MFLOP, arena ${(plan.arenaBytes / 1024).toFixed(0)} KiB, ${milliseconds.toFixed(3)} ms`];
  if (env.debug >= 2) {
    const times = loaded.times();
    const total = times.reduce((sum, time) => sum + time, 0);
    plan.steps.forEach((step, i) => {
      const share = total > 0 ? (100 * times[i]) / total : 0;
      const shape = step.outputs[0]?.shape.join("x") ?? "";
      lines.push(
        `  ${(times[i] / 1e3).toFixed(1).padStart(9)} us ${share.toFixed(1).padStart(5)} % ${(step.flops / times[i]).toFixed(1).padStart(7)} GFLOP/s ${(bytesMoved(step) / times[i]).toFixed(1).padStart(7)} GB/s  ${step.kernel} ${shape}  ${step.label}`,
      );
    });
  }
  process.stderr.write(`${lines.join("\n")}\n`);
}
