import { loadAddon } from "../src/backend/index.js";
import { dtypeCode } from "../src/graph/index.js";

/** What the machine can do at most, with all threads. */
export interface Limits {
  /** GFLOP/s of fused multiply-adds on registers. */
  readonly peak: number;
  /** GB/s of a copy of 64 MiB, bytes read and bytes written added, with stores that go past the caches. */
  readonly copy: number;
  /** The same with ordinary stores: each line is read before it is overwritten, which the number leaves out. */
  readonly plainCopy: number;
}

type Addon = Extract<ReturnType<typeof loadAddon>, { addon: unknown }>["addon"];

/** Milliseconds of the fastest of some runs of a plan with one step. */
function fastest(addon: Addon, code: readonly number[], kernel: string, slots: readonly Float32Array[]): number {
  const plan = addon.loadPlan(Float64Array.from(code), [kernel]);
  let best = Infinity;
  for (let i = 0; i < 5; i++) {
    const begin = performance.now();
    addon.runSync(plan, slots, false);
    best = Math.min(best, performance.now() - begin);
  }
  return best;
}

function measurePeak(addon: Addon): number {
  const lanes = { avx512: 16, avx2: 8 }[addon.isa()] ?? 4;
  const units = addon.threads() * 8;
  const iterations = 1_000_000;
  const chains = 12; // kChains in kernels/ops/peak.cc
  // version, arena, slots, steps; kernel, flops, no program, no inputs, one output (slot 0, offset 0, f32, rank 1, shape, stride), one attribute
  const code = [1, 0, 1, 1, 0, 0, -1, 0, 1, 0, 0, 0, 1, units, 1, 1, iterations];
  return (units * iterations * chains * lanes * 2) / fastest(addon, code, "peak", [new Float32Array(units)]) / 1e6;
}

let blocks: Float32Array[] | undefined;

function measureCopy(addon: Addon, streaming: boolean): number {
  const bytes = 64 << 20;
  // Written once, so that their pages are there; not with zeros, which some processors move up to a third faster than anything else.
  blocks ??= [1, 2].map((value) => addon.allocate(dtypeCode("f32"), bytes / 4).fill(value) as Float32Array);
  const vector = (slot: number): number[] => [slot, 0, 0, 1, bytes / 4, 1];
  const code = [1, 0, 2, 1, 0, 0, -1, 1, ...vector(0), 1, ...vector(1), 1, Number(streaming)];
  return (2 * bytes) / fastest(addon, code, "bandwidth", blocks) / 1e6;
}

/** Measures both limits; undefined without native kernels. */
export function measureLimits(): Limits | undefined {
  const loaded = loadAddon();
  if (!("addon" in loaded)) return undefined;
  const { addon } = loaded;
  return { peak: measurePeak(addon), copy: measureCopy(addon, true), plainCopy: measureCopy(addon, false) };
}
