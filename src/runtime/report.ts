import { env } from "../base/index.js";
import type { Node } from "../graph/index.js";
import type { Compiled } from "./plans.js";
import { originOf, outputShape, showSizes, speedOf } from "./profile/kernels.js";
import { ModulePaths, shortened } from "./profile/paths.js";
import { scopesOf } from "./profile/session.js";

/** GRAFT_DEBUG: a line per run; from 2 on a line per kernel with its time, share, GFLOP/s, GB/s and modules. */
export function reportRun(compiled: Compiled, nodes: readonly Node[], milliseconds: number): void {
  const { plan, loaded } = compiled;
  const lines = [`graft: ${plan.steps.length} kernels, ${(plan.flops / 1e6).toFixed(2)} MFLOP, arena ${(plan.arenaBytes / 1024).toFixed(0)} KiB, ${milliseconds.toFixed(3)} ms`];
  if (env.debug >= 2) {
    const times = loaded.times();
    const total = times.reduce((sum, time) => sum + time, 0);
    const [scopes, paths] = [scopesOf(compiled, nodes), new ModulePaths()];
    plan.steps.forEach((step, i) => {
      const share = total > 0 ? (100 * times[i]) / total : 0;
      const { gflops, gbs } = speedOf(step, times[i]);
      const { modules, pass } = originOf(step, scopes[i], paths);
      lines.push(
        `  ${(times[i] / 1e3).toFixed(1).padStart(9)} us ${share.toFixed(1).padStart(5)} % ${gflops.toFixed(1).padStart(7)} GFLOP/s ${gbs.toFixed(1).padStart(7)} GB/s  ${step.kernel} ${showSizes(outputShape(step))}  ${shortened(modules)} ${pass}  ${step.label}`,
      );
    });
  }
  process.stderr.write(`${lines.join("\n")}\n`);
}
