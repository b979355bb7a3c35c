import { afterEach, describe, expect, it } from "vitest";
import { assign, compile, F, hasNative, manualSeed, planCounters, rand, tensor, useBackend, type Tensor } from "graftml";

const backends = hasNative() ? (["reference", "cpu"] as const) : (["reference"] as const);
afterEach(() => useBackend(undefined));

describe.each(backends)("compile on %s", (backend) => {
  it("replays with new arguments and makes no new plan", async () => {
    useBackend(backend);
    const f = compile((a, b) => F.add(F.mul(a, b), 1));
    expect(await (await f(tensor([1, 2]), tensor([3, 4]))).toArray()).toEqual([4, 9]);
    const before = planCounters();
    expect(await (await f(tensor([5, 6]), tensor([7, 8]))).toArray()).toEqual([36, 49]);
    expect(planCounters()).toEqual(before);
    expect(await (await f(tensor([[1]]), tensor([[1]]))).toArray()).toEqual([[2]]); // another shape is another trace
  });

  it("updates parameters in place, sees values set outside, and draws new random numbers", async () => {
    useBackend(backend);
    const w = tensor([1, 1], { requiresGrad: true });
    const step = compile((x) => {
      const loss = F.sum(F.mul(w, x));
      w.grad = null;
      loss.backward();
      assign(w, F.sub(w, F.mul(w.grad as unknown as Tensor, 0.5)));
      return loss;
    });
    const losses: number[] = [];
    for (let i = 0; i < 3; i++) losses.push((await step(tensor([1, 2]))).item());
    expect(losses).toEqual([3, 0.5, -2]);
    expect(await w.toArray()).toEqual([-0.5, -2]);
    assign(w, tensor([10, 0]));
    await w.data();
    expect((await step(tensor([1, 2]))).item()).toBe(10);
    expect(await w.toArray()).toEqual([9.5, -1]);

    const draw = compile((x) => F.add(rand([2]), x));
    manualSeed(3);
    const compiled = [await (await draw(tensor([0, 0]))).toArray(), await (await draw(tensor([0, 0]))).toArray()];
    manualSeed(3);
    expect(compiled).toEqual([await rand([2]).toArray(), await rand([2]).toArray()]);
  });

  it("a graph recorded on an old value says that it is stale", async () => {
    useBackend(backend);
    const w = tensor([1], { requiresGrad: true });
    const step = compile((x) => {
      assign(w, F.add(w, x));
      return F.mul(x, 2);
    });
    await step(tensor([1]));
    const old = F.mul(w, 10);
    await step(tensor([1]));
    await expect(old.data()).rejects.toThrow(/a compiled step has overwritten/);
    expect(w.item()).toBe(3);
  });

  it("refuses what cannot be traced", async () => {
    useBackend(backend);
    await expect(compile((x) => F.mul(x, F.sum(x).item()))(tensor([1]))).rejects.toThrow(/compile: item\(\) or dataSync\(\) reads a value/);
    await expect(compile((x) => x)(tensor([1]))).rejects.toThrow(/must return computed tensors/);
    const inner = compile((x) => F.mul(x, 2));
    await expect(compile((x) => inner(x))(tensor([1]))).rejects.toThrow(/another is being traced/);
  });
});
