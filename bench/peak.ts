import { loadAddon } from "../src/backend/index.js";

/** GFLOP/s of fused multiply-adds on registers with all threads: the limit that "share of peak" refers to. Undefined without native kernels. */
export function measurePeak(): number | undefined {
  const loaded = loadAddon();
  if (!("addon" in loaded)) return undefined;
  const { addon } = loaded;
  const lanes = { avx512: 16, avx2: 8 }[addon.isa()] ?? 4;
  const units = addon.threads() * 8;
  const iterations = 1_000_000;
  const chains = 12; // kChains in kernels/ops/peak.cc
  // version, arena, slots, steps; kernel, flops, no program, no inputs, one output (slot 0, offset 0, f32, rank 1, shape, stride), one attribute
  const plan = addon.loadPlan(Float64Array.of(1, 0, 1, 1, 0, 0, -1, 0, 1, 0, 0, 0, 1, units, 1, 1, iterations), ["peak"]);
  const out = new Float32Array(units);
  let best = Infinity;
  for (let i = 0; i < 5; i++) {
    const begin = performance.now();
    addon.runSync(plan, [out], false);
    best = Math.min(best, performance.now() - begin);
  }
  return (units * iterations * chains * lanes * 2) / best / 1e6;
}
