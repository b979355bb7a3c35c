import { table } from "../../base/index.js";
import { showSizes } from "./kernels.js";
import { shortened } from "./paths.js";
import type { ProfileData } from "./profile.js";
import { sum, type ModuleProfile } from "./rows.js";

/** Letters of a fused kernel's list of ops in the table. */
const opsShown = 40;

export const ms = (time: number): string => time.toFixed(3);
const blank = (time: number): string => (time === 0 ? "" : ms(time));
const percent = (share: number): string => (100 * share).toFixed(1);
const speed = (value: number): string => value.toFixed(1);
const count = (n: number): string => (Number.isInteger(n) ? String(n) : n.toFixed(1));

/** A line per kernel, and what was outside. */
export function kernelTable({ kernels, outside, steps }: ProfileData, top: number): string {
  const rest = kernels.slice(top);
  const rows = kernels.slice(0, top).map(({ kernel, ops, shape, pass, modules, calls, medianMs, share, gflops, gbs }) => [
    kernel, showSizes(shape), String(calls), (1000 * medianMs).toFixed(1), percent(share), speed(gflops), speed(gbs), pass, shortened(modules), ops.length <= opsShown ? ops : `${ops.slice(0, opsShown - 3)}...`,
  ]);
  if (rest.length > 0) rows.push([`${rest.length} more`, "", String(sum(rest, ({ calls }) => calls)), "", percent(sum(rest, ({ share }) => share))]);
  for (const { kind, ms: time, share } of outside) rows.push([`(${kind})`, "", String(steps), (1000 * time).toFixed(1), percent(share)]);
  return table([["kernel", "output", "calls", "us", "share %", "GFLOP/s", "GB/s", "pass", "module", "ops"], ...rows], { right: [2, 3, 4, 5, 6] });
}

/** A line per module. */
export function moduleTable({ modules, outside }: ProfileData, top: number): string {
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
