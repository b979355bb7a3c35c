import { describe, expect, it } from "vitest";
import { ArrayDataset, DataLoader } from "../data/index.js";
import { noGrad, tensor, type Tensor } from "../graph/index.js";
import * as nn from "../nn/index.js";
import { F, getRandomState, manualSeed } from "../ops/index.js";
import { evaluate } from "./evaluate.js";
import { f1, meanAbsoluteError, topK } from "./metrics.js";
import { blobs, seeded, SmallNet } from "./testing/small-run.js";

describe("evaluate", () => {
  it("is the mean over all samples, whatever the batches are", async () => {
    const model = seeded(() => new SmallNet());
    const data = blobs(50);
    const samples = Array.from({ length: 50 }, (_, i) => data.get(i) as readonly [Float32Array, number]);
    model.eval();
    const output = noGrad(() => model.forward(tensor(samples.map(([x]) => [...x]))));
    const loss = F.crossEntropy(output, tensor(samples.map(([, label]) => label), { dtype: "i32" })).item();
    const guesses = await output.argmax({ dim: 1 }).data();
    model.train();
    for (const batchSize of [7, 50, 256]) {
      const found = await evaluate(model, data, { batchSize });
      expect(found.loss).toBeCloseTo(loss, 5);
      expect(found.samples).toBe(50);
      expect(found.accuracy).toBeCloseTo(samples.filter(([, label], i) => label === guesses[i]).length / 50, 6);
      expect(found.confusion!.accuracy).toBeCloseTo(found.accuracy!, 6);
      expect(found.perClass!.map(({ support }) => support)).toEqual([17, 17, 16]);
    }
    expect(model.training && model.drop.training).toBe(true);
  });

  it("takes metrics, class names and loaders, and leaves the random state alone", async () => {
    const model = seeded(() => new SmallNet());
    manualSeed(9);
    const before = getRandomState();
    const data = Object.assign(blobs(10), { classes: ["a", "b", "c"] });
    const found = await evaluate(model, new DataLoader(data, { batchSize: 4 }), { metrics: { top2: topK(2), f1: f1() } });
    expect(Object.keys(found.metrics)).toEqual(["top2", "f1"]);
    expect(found.metrics.f1).toBe(found.confusion!.f1());
    expect(found.confusion!.names).toEqual(["a", "b", "c"]);
    expect(getRandomState()).toEqual(before);
    expect((await evaluate(model, data, { classes: ["x", "y", "z"] })).confusion!.names[0]).toBe("x");
  });

  it("measures regression, and steps of the user's", async () => {
    class Double extends nn.Module {
      w = new nn.Parameter(tensor([[2]]));
      forward(x: Tensor): Tensor {
        return x.matmul(this.w);
      }
    }
    const data = new ArrayDataset([1, 2, 3].map((x) => [Float32Array.of(x), Float32Array.of(2 * x + 1)] as const));
    const found = await evaluate(new Double(), data, { loss: F.mseLoss, metrics: { mae: meanAbsoluteError }, batchSize: 2 });
    expect(found).toMatchObject({ loss: 1, metrics: { mae: 1 }, accuracy: undefined, confusion: undefined });
    const own = await evaluate(new Double(), data, { step: (_, batch) => (batch as Tensor[])[0].mean() });
    expect(own.loss).toBeCloseTo(2);
    expect((await evaluate(new Double(), data, { loss: F.mseLoss, batchSize: 1, signal: { aborted: true } })).samples).toBe(1);
  });

  it("skips labels that the loss ignores, and names mistakes", async () => {
    const model = seeded(() => new SmallNet());
    const data = new ArrayDataset([0, -100, 1].map((label) => [Float32Array.of(1, 2, 3, 4), label] as const));
    expect((await evaluate(model, data)).confusion!.total).toBe(2);
    await expect(evaluate(model, blobs(0))).rejects.toThrow(/the data is empty/);
    await expect(evaluate(model, data, { batchsize: 3 } as object)).rejects.toThrow(/Did you mean "batchSize"/);
  });
});
