import { describe, expect, it } from "vitest";
import { ArrayDataset, DataLoader, text } from "../data/index.js";
import { create } from "../models/index.js";
import * as nn from "../nn/index.js";
import { Adam, SGD, StepLR } from "../optim/index.js";
import { F, getRandomState, manualSeed } from "../ops/index.js";
import { lora } from "../tune/index.js";
import { findLearningRate } from "./find-learning-rate.js";
import { fit } from "./fit.js";
import { LearningRateCurve } from "./learning-rate-curve.js";
import { bitsOf, blobs, seeded, SmallNet } from "./testing/small-run.js";
import type { BatchSource } from "./types.js";

describe("findLearningRate", () => {
  it("suggests a rate with which the model learns, and leaves everything as it was", async () => {
    const model = seeded(() => new SmallNet());
    const data = blobs(80);
    const optimizer = new Adam(model.namedParameters(), { lr: 0.003 });
    const scheduler = new StepLR(optimizer, { stepSize: 2 });
    await fit(model, { train: data, batchSize: 16, epochs: 1, optimizer, scheduler, progress: false });
    model.eval();
    const state = async () => {
      const { tensors, values } = optimizer.stateDict();
      const moments = await Promise.all([...tensors].map(async ([name, tensor]) => [name, [...(await tensor.data())]]));
      return JSON.stringify([await bitsOf(model), moments, values, scheduler.stateDict(), getRandomState(), model.training]);
    };
    const before = await state();
    const curve = await findLearningRate(model, data, { batchSize: 16, optimizer, scheduler, minLr: 1e-6 });
    expect(await state()).toBe(before);
    expect(curve.points[0].lr).toBeCloseTo(1e-6, 15);
    expect(curve.points[1].lr / curve.points[0].lr).toBeCloseTo(1e7 ** (1 / 99), 8);
    expect(curve.suggestion).toBeGreaterThan(1e-5);
    expect(curve.suggestion).toBeLessThan(1);
    expect(curve.suggestion).toBeLessThan(curve.minimum);
    expect(String(curve)).toMatch(/learning rate +loss +smoothed\n[^]*steepest descent\n[^]*suggested learning rate: \d\.\d\de-\d$/);
    const { history } = await fit(model, { train: data, batchSize: 16, epochs: 5, optimizer: (m) => new Adam(m.parameters(), { lr: curve.suggestion }), progress: false });
    expect(history.at(-1)!.loss).toBeLessThan(history[0].loss);
  });

  it("ends where the loss rises", async () => {
    const data = new ArrayDataset(Array.from({ length: 32 }, (_, i) => [Float32Array.of(Math.sin(i), Math.cos(3 * i)), Float32Array.of(2 * Math.sin(i) - Math.cos(3 * i))] as const));
    const model = seeded(() => new nn.Linear(2, 1));
    const weights = await bitsOf(model);
    const options = { loss: F.mseLoss, batchSize: 32, optimizer: (m: nn.Module) => new SGD(m.parameters(), { lr: 1 }) };
    const curve = await findLearningRate(model, data, { ...options, minLr: 1e-4, maxLr: 1e6 });
    expect(curve.diverged).toBe(true);
    expect(curve.points.length).toBeLessThan(100);
    expect(curve.suggestion).toBeLessThan(2); // beyond 2 / curvature every step leads away
    expect(await bitsOf(model)).toBe(weights);
    const inf = await findLearningRate(model, data, { ...options, minLr: 1e-3, maxLr: 1e30, steps: 20 }); // the loss becomes Inf at once
    expect([inf.diverged, await bitsOf(model)]).toEqual([true, weights]);
  });

  it("says when nothing falls, and keeps the position of a loader", async () => {
    const model = seeded(() => new nn.Linear(4, 3));
    const loader = new DataLoader(blobs(24), { batchSize: 8 }) as unknown as BatchSource;
    const position = loader.stateDict();
    const curve = await findLearningRate(model, loader, { minLr: 1e-12, maxLr: 1e-11, steps: 12, step: (m, batch) => (m as nn.Linear).forward((batch as never[])[0]).mul(0).mean() });
    expect(curve.suggestion).toBeUndefined();
    expect(String(curve)).toMatch(/did not fall at any rate/);
    expect(loader.stateDict()).toEqual(position);
    const [lr, loss] = [0.1, 1];
    expect(new LearningRateCurve([{ lr, loss, smoothed: loss }], true).minimum).toBe(0.1);
  });

  it("is there for language models, adapters included", async () => {
    manualSeed(3);
    const model = await create({ model_type: "gpt2", n_layer: 1, n_head: 2, n_embd: 8, n_positions: 32, vocab_size: 11 });
    const ids = Int32Array.from({ length: 400 }, (_, i) => (i * i + 3 * i) % 11);
    const before = await bitsOf(model);
    const blocks = new text.TokenDataset(ids, { blockSize: 8 });
    const curve = await findLearningRate(model, blocks, { task: "pretrain", warmupSteps: 20, batchSize: 4, minLr: 1e-4, steps: 60 });
    expect(curve.suggestion).toBeGreaterThan(1e-4);
    expect(await bitsOf(model)).toBe(before);
    lora(model, { r: 2 });
    const adapted = await bitsOf(model);
    const samples: text.TokenSample[] = Array.from({ length: 12 }, (_, i) => ({ inputIds: ids.slice(i, i + 6), labels: ids.slice(i, i + 6) }));
    expect((await findLearningRate(model, samples, { task: "sft", minLr: 1e-4, steps: 40, valid: samples })).points.length).toBeGreaterThan(10);
    expect(await bitsOf(model)).toBe(adapted);
  });

  it("refuses a range that is none", async () => {
    await expect(findLearningRate(new nn.Linear(4, 3), blobs(8), { minLr: 1, maxLr: 0.1 })).rejects.toThrow(/maxLr/);
    await expect(findLearningRate(new nn.Linear(4, 3), blobs(8), { task: "tune" as never })).rejects.toThrow(/task/);
  });
});
