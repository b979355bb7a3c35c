import { describe, expect, it } from "vitest";
import { zeros } from "../ops/index.js";
import { SimpleCNN } from "../models/simple-cnn.js";
import { Adam, SGD } from "../optim/index.js";
import * as nn from "../nn/index.js";
import { getRandomState, pendingAssigns } from "../ops/index.js";
import { discardPending, memoryLimit, planOf } from "../runtime/index.js";
import { fit } from "./fit.js";
import { inspect, showBytes } from "./inspect.js";
import { bitsOf, blobs, seeded, SmallNet } from "./testing/small-run.js";

describe("inspect", () => {
  it("knows layers, parameters, FLOPs and memory of a step", () => {
    const found = inspect(new SimpleCNN(), [1, 16, 16], { batchSize: 64 });
    expect(found.layers.map(({ path, output }) => [path, output])).toEqual([["", [64, 10]], ["conv1", [64, 32, 16, 16]], ["pool", [64, 32, 8, 8]], ["fc1", [64, 128]], ["fc2", [64, 10]]]);
    expect(found).toMatchObject({ parameters: 263_882, trainable: 263_882, bytes: 4 * 263_882, batchSize: 64 });
    // conv 2 * 64 * 256 * 32 * 9, fc1 2 * 64 * 2048 * 128, fc2 2 * 64 * 128 * 10; three times, without the data gradient of conv1
    const contractions = 2 * 9_437_184 + 3 * 33_554_432 + 3 * 163_840;
    expect(found.step.flops).toBeGreaterThan(contractions);
    expect(found.step.flops).toBeLessThan(1.15 * contractions);
    const inputs = 3 * 4 * 263_882 + 64 * 256 * 4 + 64 * 4; // weights, Adam's two means, pictures, labels
    expect(found.step.inputBytes).toBeGreaterThanOrEqual(inputs);
    expect(found.step.inputBytes).toBeLessThan(inputs + 100);
    expect(found.step.peakBytes).toBe(found.step.inputBytes + found.step.arenaBytes + found.step.outputBytes);
    const plain = inspect(new SimpleCNN(), [1, 16, 16], { batchSize: 64, optimizer: (model) => new SGD(model.parameters(), { lr: 0.1 }) });
    expect(found.step.inputBytes - plain.step.inputBytes).toBeGreaterThan(2 * 4 * 263_000);
    const larger = inspect(new SimpleCNN(), [1, 16, 16], { batchSize: 128 });
    expect(larger.step.arenaBytes).toBeGreaterThan(1.5 * found.step.arenaBytes - 4 * 263_882);
    const text = String(found);
    expect(text).toMatch(/\(model\) +SimpleCNN +\[64, 10\]\n {2}conv1 +Conv2d +\[64, 32, 16, 16\] +320 +weight \[32, 1, 3, 3\], bias \[32\]/);
    expect(text).toMatch(/one step {5}batch of 64: 12\d\.\d\d MFLOP in \d+ kernels\npeak memory {2}\d/);
  });

  it("changes nothing: not the model, its optimizer, or what comes after", async () => {
    const run = async (look: boolean) => {
      const model = seeded(() => new SmallNet());
      const optimizer = new Adam(model.parameters(), { lr: 0.01 });
      if (look) inspect(model, [4], { optimizer });
      expect(pendingAssigns().size).toBe(0);
      expect(model.parameters().every(({ grad }) => grad === null)).toBe(true);
      expect(optimizer.state.size).toBe(0);
      await fit(model, { train: blobs(20), optimizer, epochs: 1, progress: false });
      if (look) inspect(model, [4], { optimizer });
      await fit(model, { train: blobs(20), optimizer, epochs: 1, progress: false });
      return { bits: await bitsOf(model), random: getRandomState() };
    };
    expect(await run(true)).toEqual(await run(false));
  });

  it("names inputs that do not fit", () => {
    expect(() => inspect(new SimpleCNN(), [3, 16, 16])).toThrow(/^conv1: /);
    expect(() => inspect(new SimpleCNN(), 16 as never)).toThrow(/inputShape is 16. Give the shape of one sample/);
    expect(() => inspect(new SimpleCNN(), [1, 16, 16], { batch: 3 } as object)).toThrow(/unknown option "batch"/);
  });

  it("shows bytes", () => {
    expect([12, 2048, 3.5 * 2 ** 20, 2 ** 31].map(showBytes)).toEqual(["12 bytes", "2.0 KiB", "3.5 MiB", "2.0 GiB"]);
  });
});

describe("planOf", () => {
  it("compiles without running, and takes assignments back", async () => {
    const layer = seeded(() => new nn.Linear(3, 2));
    const x = zeros([5, 3]);
    const plan = planOf(() => [layer.forward(x)]);
    expect(plan.outputBytes).toBe(40);
    expect(plan.flops).toBeGreaterThanOrEqual(2 * 5 * 3 * 2);
    const norm = new nn.BatchNorm1d(3);
    norm.forward(x);
    expect(pendingAssigns().size).toBeGreaterThan(0);
    discardPending();
    expect(await norm.stateDict().get("num_batches_tracked")!.data()).toEqual(Int32Array.of(0));
    expect(memoryLimit()).toBeGreaterThan(0);
  });
});
