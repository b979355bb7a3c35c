import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ArrayDataset, type Dataset } from "../data/index.js";
import * as nn from "../nn/index.js";
import { Adam, LBFGS, NAdam, SGD } from "../optim/index.js";
import { fit } from "./fit.js";
import { bitsOf, blobs, seeded, smallRun } from "./testing/small-run.js";
import type { FitOptions } from "./types.js";
import { Watchdog } from "./watchdog.js";

let dir: string;
beforeEach(async () => void (dir = await mkdtemp(join(tmpdir(), "graft-watchdog-"))));
afterEach(() => rm(dir, { recursive: true, force: true }));

const batchSize = 8;
const samplesOf = (data: Dataset<readonly [Float32Array, number]>, batches: readonly number[]) =>
  Promise.all(Array.from({ length: data.length }, (_, i) => i).flatMap((i) => (batches.includes(Math.floor(i / batchSize)) ? [] : [Promise.resolve(data.get(i))])));
const changed = (data: Dataset<readonly [Float32Array, number]>, batches: readonly number[], value: number): Dataset<readonly [Float32Array, number]> => ({
  length: data.length,
  get: async (i, random) => {
    const [x, label] = await data.get(i, random);
    return batches.includes(Math.floor(i / batchSize)) ? [x.map((v) => v * value), label] : [x, label];
  },
});

/** 80 samples in 10 batches, in order; those of some batches are multiplied by `value`. No dropout, so that a run without these batches draws the same numbers. */
async function run(batches: readonly number[], value: number, options: Partial<FitOptions>) {
  const model = seeded(() => new nn.Sequential(new nn.Linear(4, 8), new nn.BatchNorm1d(8), new nn.Tanh(), new nn.Linear(8, 3)));
  const losses: number[] = [];
  const result = await fit(model, {
    train: changed(blobs(80), batches, value), batchSize, shuffle: false, epochs: 1, progress: false, handleSignals: false,
    optimizer: (m) => new Adam(m.parameters(), { lr: 0.01 }),
    callbacks: { onBatchEnd: ({ loss }) => void losses.push(loss) },
    ...options,
  });
  return { model, result, losses };
}

/** The same without those batches at all. */
async function without(batches: readonly number[], options: Partial<FitOptions>) {
  return run([], 1, { ...options, train: new ArrayDataset(await samplesOf(blobs(80), batches)) });
}

describe("a loss that is NaN", () => {
  it("stops the run, names the step, and leaves the last checkpoint", async () => {
    const checkpoint = { dir, every: 2 };
    await expect(run([4], NaN, { checkpoint })).rejects.toThrow(/the loss is NaN at step 5 \(epoch 1, batch 5\)\. Training stops; the model's weights may hold NaN now\. The last good checkpoint is .*checkpoint-4\. .*watchdog: { nan: "skip" }/);
    const model = seeded(() => new nn.Linear(4, 3));
    const weights = await bitsOf(model);
    await expect(fit(model, { train: changed(blobs(8), [0], NaN), watchdog: {}, progress: false })).rejects.toThrow(/NaN at step 1 .*the weights are those of the step before/);
    expect(await bitsOf(model)).toBe(weights);
  });

  const optimizers: Record<string, NonNullable<FitOptions["optimizer"]>> = {
    Adam: (m) => new Adam(m.parameters(), { lr: 0.01 }),
    "SGD with momentum and dampening": (m) => new SGD(m.parameters(), { lr: 0.1, momentum: 0.9, dampening: 0.1 }),
    NAdam: (m) => new NAdam(m.parameters(), { lr: 0.01 }),
  };
  const cases = Object.entries(optimizers).flatMap(([name, optimizer]) => [[0, 4], [9]].flatMap((bad) => [false, true].map((compile) => ({ name, optimizer, bad, compile }))));
  it.each(cases)("is skipped as if the batch had not been there ($name, batches $bad, compiled $compile)", async ({ optimizer, bad, compile }) => {
    const options = { optimizer, compile, watchdog: { nan: "skip" }, ema: { decay: 0.5 } } as const;
    const [skipped, never] = [await run(bad, NaN, options), await without(bad, options)];
    expect(await bitsOf(skipped.model)).toBe(await bitsOf(never.model)); // weights, running statistics and, by the last steps, the optimiser's state
    expect(skipped.result.steps).toBe(10);
    expect(skipped.result.history[0].loss).toBeCloseTo(never.result.history[0].loss, 10);
    expect(skipped.losses.filter(Number.isNaN).length).toBe(bad.length);
  });

  it("is skipped with accumulation, too", async () => {
    const options = { accumulate: 2, watchdog: { nan: "skip" } } as const;
    const [skipped, never] = [await run([5], NaN, options), await without([4, 5], options)];
    expect(await bitsOf(skipped.model)).toBe(await bitsOf(never.model));
  });

  it("is not skipped for ever", async () => {
    await expect(run([2, 3, 4, 5, 6], NaN, { watchdog: { nan: "skip", limit: 3 } })).rejects.toThrow(/the loss is NaN, for 3 steps in a row at step 5/);
  });

  it("goes back to the last checkpoint, with a lower rate, as often as allowed", async () => {
    const lrs: number[] = [];
    const options = { watchdog: { nan: "restore", limit: 2, lrFactor: 0.1 }, checkpoint: { dir, every: 3, best: false }, log: true, logEvery: 1 } as const;
    const steps: number[] = [];
    let bad = 1; // a NaN that does not come again
    const once = changed(blobs(80), [4], 1);
    const train = { ...once, get: async (i: number) => {
      const [x, label] = await once.get(i);
      return Math.floor(i / batchSize) === 4 && i % batchSize === 7 && bad-- > 0 ? ([x.fill(NaN), label] as const) : ([x, label] as const);
    } };
    const result = await run([], 1, { ...options, train, callbacks: { onBatchEnd: ({ step }) => void steps.push(step), onEvaluate: ({ lr }) => void lrs.push(lr) } });
    expect(steps).toEqual([1, 2, 3, 4, 4, 5, 6, 7, 8, 9, 10]);
    expect(lrs).toEqual([0.001]);
    expect(result.result).toMatchObject({ steps: 10, stopped: "epochs" });
    await expect(run([4], NaN, { ...options, checkpoint: { ...options.checkpoint, overwrite: true } })).rejects.toThrow(/the loss is NaN, after 2 restores at step 5/);
    await expect(run([1], NaN, { ...options, checkpoint: { ...options.checkpoint, overwrite: true } })).rejects.toThrow(/no checkpoint to go back to at step 2/);
  });
});

describe("a spike", () => {
  it("is a loss far above the mean of the window", () => {
    const dog = new Watchdog({ spike: "skip", window: 4, deviations: 3 });
    for (const loss of [1, 2, 3]) dog.accept(loss);
    expect(dog.highestLoss).toBe(Infinity); // the window is not full
    dog.accept(2);
    expect(dog.highestLoss).toBeCloseTo(2 + 3 * Math.sqrt(0.5), 12);
    expect(new Watchdog({}).highestLoss).toBe(Infinity);
    expect(() => new Watchdog({ spike: "ignore" as never })).toThrow(/spike/);
  });

  it("is skipped, or stops the run, or lowers the rate", async () => {
    const watchdog = { spike: "skip", window: 4, deviations: 8 } as const;
    const options = { watchdog, clip: { norm: 1 }, optimizer: (m: nn.Module) => new SGD(m.parameters(), { lr: 0.01 }), loss: (output: Parameters<NonNullable<FitOptions["loss"]>>[0], target: Parameters<NonNullable<FitOptions["loss"]>>[0]) => output.square().mean().add(target.mul(0).sum()) };
    const linear = (bad: readonly number[], more: Partial<FitOptions> = {}) => {
      const model = seeded(() => new nn.Linear(4, 3));
      return fit(model, { train: changed(blobs(80), bad, 100), batchSize, shuffle: false, epochs: 1, progress: false, ...options, ...more }).then((result) => ({ model, result }));
    };
    const skipped = await linear([6]);
    const never = await linear([], { train: new ArrayDataset(await samplesOf(blobs(80), [6])) });
    expect(await bitsOf(skipped.model)).toBe(await bitsOf(never.model));
    await expect(linear([6], { watchdog: { ...watchdog, spike: "stop" } })).rejects.toThrow(/the loss jumped to [\d.e+]+, above [\d.]+ at step 7/);
    await expect(linear([6], { watchdog: { ...watchdog, spike: "restore", limit: 1 }, checkpoint: { dir, every: 2 } })).rejects.toThrow(/after 1 restores at step 7/);
  });
});

describe("options", () => {
  it("that do not go together are refused", async () => {
    const lbfgs = (m: nn.Module) => new LBFGS(m.parameters());
    await expect(smallRun({ watchdog: {}, optimizer: lbfgs, scheduler: undefined })).rejects.toThrow(/ema and watchdog are part of a step's plan, which LBFGS has not/);
    await expect(smallRun({ watchdog: { window: 1 } })).rejects.toThrow(/window/);
    await expect(smallRun({ watchdog: { nan: "skp" as never } })).rejects.toThrow(/skip/);
    await expect(smallRun({ ema: { decay: 2 } })).rejects.toThrow(/decay/);
  });
});
