import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { F, fromData, realizeSync, useBackend, type Tensor } from "graftml";
import { planOf } from "graftml/runtime";
import { backendNames, values } from "../../test/gradients.js";

const floats = (shape: readonly number[], seed: number): Tensor => fromData(Float32Array.from(values(shape, seed)), shape, "f32");

describe.each(backendNames)("products with weights in 16 bits on %s", (backend) => {
  beforeAll(() => useBackend(backend));
  afterAll(() => useBackend(undefined));

  it.each(["bf16", "f16"] as const)("read %s as it is: the same result as from an f32 copy, which is not made", (dtype) => {
    const [rows, inner, outer] = [9, 40, 56];
    const weight = F.cast(floats([outer, inner], 1), dtype);
    const wide = F.cast(weight, "f32");
    realizeSync(weight);
    realizeSync(wide);
    const copy = fromData(Float32Array.from(wide.dataSync()), [outer, inner], "f32");
    for (const M of [rows, 1]) {
      const x = floats([M, inner], 2);
      const y = floats([M, outer], 3);
      const pairs: [() => Tensor, () => Tensor][] = [
        [() => F.linear(x, weight), () => F.linear(x, copy)],
        [() => F.relu(F.linear(x, weight)), () => F.relu(F.linear(x, copy))],
        [() => F.matmul(y, weight), () => F.matmul(y, copy)], // as the gradient of the first reads it
        [() => F.matmul(weight, F.transpose(x)), () => F.matmul(copy, F.transpose(x))],
        [() => F.linear(x, F.narrow(weight, 0, 3, 16)), () => F.linear(x, F.narrow(copy, 0, 3, 16))],
      ];
      for (const [narrow, full] of pairs) {
        const plan = planOf(() => [narrow()]);
        expect(plan.arenaBytes).toBe(planOf(() => [full()]).arenaBytes);
        const want = full().dataSync();
        narrow().dataSync().forEach((value, i) => expect(Math.abs(value - want[i])).toBeLessThan(1e-5)); // sums of 40 terms, perhaps in another order
      }
    }
  });

  it("a weight that something else changes first is still cast", () => {
    const weight = F.cast(floats([8, 8], 4), "bf16");
    realizeSync(weight);
    const x = floats([4, 8], 5);
    const want = F.matmul(x, F.cast(F.cast(weight, "f32").mul(2), "f32")).dataSync();
    expect(Array.from(F.matmul(x, F.cast(F.mul(weight, 2), "f32")).dataSync())).toEqual(Array.from(want));
  });
});
