import { describe, expect, it } from "vitest";
import { tensor } from "../graph/index.js";
import * as nn from "../nn/index.js";
import { mul, square, sum } from "../ops/index.js";
import { compile, realize } from "../runtime/index.js";
import { EMA, SGD } from "./index.js";
import "../autograd/index.js";

const make = (dtype: "f32" | "bf16" = "f32") => new nn.Parameter(tensor([1, 2], { dtype }));

/** A step down sum w^2 with rate 0.25: w halves. */
function halve(w: nn.Parameter, optimizer: SGD, ema: EMA): void {
  optimizer.zeroGrad();
  sum(square(w)).backward();
  optimizer.record();
  ema.update();
}

describe("EMA", () => {
  it("follows the weights as its formula says, in the plan of the step", async () => {
    const w = make();
    const [optimizer, ema] = [new SGD([w], { lr: 0.25 }), new EMA([["w", w]], { decay: 0.9, warmup: false })];
    let [value, average] = [1, 1];
    for (let t = 1; t <= 5; t++) {
      halve(w, optimizer, ema);
      await realize();
      value /= 2;
      average = 0.9 * average + 0.1 * value;
    }
    const found = ema.stateDict();
    expect([...(await found.tensors.get("w")!.data())][0]).toBeCloseTo(average, 6);
    expect(found.updates).toBe(5);
    expect((await w.data())[0]).toBeCloseTo(value, 7);
  });

  it("warms up: early averages are near the weights", async () => {
    const w = make();
    const [optimizer, ema] = [new SGD([w], { lr: 0.25 }), new EMA([["w", w]])];
    halve(w, optimizer, ema);
    await realize();
    expect((await ema.stateDict().tensors.get("w")!.data())[0]).toBeCloseTo(1 + (1 - 2 / 11) * (0.5 - 1), 6); // decay (1 + 1) / (10 + 1)
  });

  it("is replayed by compiled steps", async () => {
    const run = async (compiled: boolean) => {
      const w = make();
      const [optimizer, ema] = [new SGD([w], { lr: 0.25 }), new EMA([["w", w]])];
      const step = compile((x) => {
        halve(w, optimizer, ema);
        return mul(x, 2);
      });
      for (let t = 0; t < 4; t++) {
        if (compiled) await step(tensor([1]));
        else {
          halve(w, optimizer, ema);
          await realize();
        }
      }
      return { average: [...(await ema.stateDict().tensors.get("w")!.data())], updates: ema.updates };
    };
    expect(await run(true)).toEqual(await run(false));
  });

  it.each(["f32", "bf16"] as const)("takes the place of %s weights for a while, or for good", async (dtype) => {
    const w = make(dtype);
    const [optimizer, ema] = [new SGD([w], { lr: 0.25 }), new EMA([["w", w]], { decay: 0.5, warmup: false })];
    halve(w, optimizer, ema);
    await realize();
    const back = await ema.apply();
    expect(await sum(w).to("f32").toArray()).toBe(2.25);
    back();
    expect(await sum(w).to("f32").toArray()).toBe(1.5);
    await ema.copyTo();
    expect(await sum(w).to("f32").toArray()).toBe(2.25);
  });

  it("is saved and restored, and refuses what does not fit", async () => {
    const w = make();
    const [optimizer, ema] = [new SGD([w], { lr: 0.25 }), new EMA([["w", w]])];
    halve(w, optimizer, ema);
    await realize();
    const other = new EMA([["w", make()]]);
    other.loadStateDict(ema.stateDict());
    expect(await other.stateDict().tensors.get("w")!.toArray()).toEqual(await ema.stateDict().tensors.get("w")!.toArray());
    expect(other.updates).toBe(1);
    expect(() => new EMA([["v", make()]]).loadStateDict(ema.stateDict())).toThrow(/there is no average of v/);
    expect(() => new EMA([["w", make()]], { decay: 1 })).toThrow(/decay/);
    expect(() => new EMA([])).toThrow(/no parameters/);
  });
});
