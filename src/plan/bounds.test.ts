import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { F, grad, realize, tensor, useBackend, type Tensor } from "graftml";
import { collectNodes, compileGraph } from "graftml/plan";
import { backendNames } from "../../test/gradients.js";

const numbers = [-Infinity, -3, -0.5, 0, 0.5, 2, 6, 7, Infinity, NaN];
const x = (): Tensor => tensor(numbers);
/** What the only kernel of f(x) computes. */
function opsOf(f: (x: Tensor) => Tensor): string {
  const { node } = f(x());
  const { steps } = compileGraph(collectNodes([node]), { outputs: [node], assignments: [] }, { fuse: true, planMemory: true, careful: false, supports: () => true });
  expect(steps.length).toBe(1);
  return steps[0].label;
}

const bound = (low: number, high: number) => (v: number): number => (Number.isNaN(v) ? NaN : Math.min(Math.max(v, low), high));

describe.each(backendNames)("bounds on %s", (backend) => {
  beforeAll(() => useBackend(backend));
  afterAll(() => useBackend(undefined));

  it("take one instruction each and give what a selection gives, NaN included", () => {
    for (const [f, want, label] of [
      [(v: Tensor) => F.relu6(v), bound(0, 6), "relu+minimum"],
      [(v: Tensor) => F.clamp(v, { min: -0.5, max: 2 }), bound(-0.5, 2), "maximum+minimum"],
      [(v: Tensor) => F.clamp(v, { max: 0.5 }), bound(-Infinity, 0.5), "minimum"],
      [(v: Tensor) => F.hardtanh(v), bound(-1, 1), "maximum+minimum"],
    ] as const) {
      expect(opsOf(f)).toBe(label);
      expect(Array.from(f(x()).dataSync())).toEqual(Array.from(Float32Array.from(numbers, want)));
    }
  });

  it("leave other selections alone: another bound, another value, a bound that is a tensor or NaN", async () => {
    const limit = tensor([1]);
    await realize(limit);
    for (const f of [
      (v: Tensor) => F.where(F.lt(v, 1), 2, v),
      (v: Tensor) => F.where(F.lt(F.add(v, 1), 1), 1, v),
      (v: Tensor) => F.where(F.lt(v, limit), limit, v),
      (v: Tensor) => F.where(F.lt(v, NaN), NaN, v),
    ]) {
      expect(opsOf(f)).toContain("where");
    }
    expect(Array.from(F.where(F.lt(x(), 1), 2, x()).dataSync())).toEqual(Array.from(Float32Array.from(numbers, (v) => (v < 1 ? 2 : v))));
  });

  it("keep the gradients at the kinks: 1 at the bounds of clamp, 0 at those of relu6", () => {
    const at = tensor([-0.5, 0, 2, 6]);
    expect(Array.from((grad((v: Tensor) => F.sum(F.clamp(v, { min: -0.5, max: 2 })))(at) as Tensor).dataSync())).toEqual([1, 1, 1, 0]);
    expect(Array.from((grad((v: Tensor) => F.sum(F.relu6(v)))(at) as Tensor).dataSync())).toEqual([0, 0, 1, 0]);
  });
});
