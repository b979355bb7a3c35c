import { afterEach, describe, expect, it } from "vitest";
import { F, hasNative, manualSeed, noGrad, planCounters, randn, useBackend } from "graftml";
import * as nn from "./index.js";

const backends = hasNative() ? (["reference", "cpu"] as const) : (["reference"] as const);
afterEach(() => useBackend(undefined));

describe.each(backends)("initial values on %s", (backend) => {
  it("are computed at the first use and stored", async () => {
    useBackend(backend);
    manualSeed(1);
    const model = new nn.Sequential(new nn.Linear(3, 4), new nn.Tanh(), new nn.Linear(4, 2));
    expect(model.parameters().every((parameter) => parameter.node.value === undefined)).toBe(true);
    const x = randn([5, 3]);
    const first = await noGrad(() => model.eval().forward(x)).toArray();
    expect(model.parameters().every((parameter) => parameter.node.value !== undefined)).toBe(true);
    await noGrad(() => model.forward(x)).data();
    const { misses } = planCounters();
    expect(await noGrad(() => model.forward(x)).toArray()).toEqual(first);
    expect(planCounters().misses).toBe(misses);
  });

  it("of frozen parameters too, in a step that updates others", async () => {
    useBackend(backend);
    const [frozen, learnt] = [new nn.Linear(3, 3), new nn.Linear(3, 1)];
    frozen.freeze();
    F.sum(learnt.forward(frozen.forward(randn([2, 3])))).backward();
    await learnt.weight.grad!.data();
    expect(frozen.weight.node.value).toBeDefined();
  });
});
