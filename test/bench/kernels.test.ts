import { expect, it } from "vitest";
import type { KernelSpec } from "../../bench/kernels.js";
import { kernelStep } from "../../bench/peers/graft/kernels.js";
import { kernels } from "../../bench/kernels.js";
import { measureLimits } from "../../bench/limits.js";
import { hasNative } from "graftml";

/** The same kernel on sizes that take no time. */
function shrink(spec: KernelSpec): KernelSpec {
  const small = Object.entries(spec).map(([key, value]) => [key, typeof value === "number" ? Math.min(value, 4) : value] as const);
  return Object.fromEntries(small) as unknown as KernelSpec;
}

it.each(kernels.map(({ name, kernel }) => [name, kernel!] as const))("%s runs, again and again", async (_, spec) => {
  const step = await kernelStep(shrink(spec));
  await step();
  expect(await step()).toBe(0);
});

it.skipIf(!hasNative())("the limits of the machine are numbers", () => {
  const { peak, copy, plainCopy } = measureLimits()!;
  expect(Math.min(peak, copy, plainCopy)).toBeGreaterThan(0);
  expect(Math.max(peak, copy, plainCopy)).toBeLessThan(1e6);
});
