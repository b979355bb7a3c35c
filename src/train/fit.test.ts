import { describe, expect, it } from "vitest";
import { ArrayDataset, DataLoader, transforms, type Image } from "../data/index.js";
import { tensor, type Tensor } from "../graph/index.js";
import { MLP } from "../models/mlp.js";
import * as nn from "../nn/index.js";
import { Adam, LBFGS, OneCycleLR, ReduceLROnPlateau, SGD } from "../optim/index.js";
import { F, getRandomState } from "../ops/index.js";
import { fit } from "./fit.js";
import { metrics } from "./index.js";
import { bitsOf, blobs, seeded, SmallNet, smallRun } from "./testing/small-run.js";
import type { FitOptions } from "./types.js";

const xor = new ArrayDataset([[Float32Array.of(0, 0), 0], [Float32Array.of(0, 1), 1], [Float32Array.of(1, 0), 1], [Float32Array.of(1, 1), 0]] as const);
const quiet = { progress: false, handleSignals: false } as const;
const sgd = (lr: number) => (model: nn.Module) => new SGD(model.parameters(), { lr });

/** y = w x, w starts at 1; samples (1, 2) and (2, 4), so the best w is 2. */
class Line extends nn.Module {
  w = new nn.Parameter(tensor([[1]]));
  forward(x: Tensor): Tensor {
    return x.matmul(this.w);
  }
}
const line = new ArrayDataset([[Float32Array.of(1), Float32Array.of(2)], [Float32Array.of(2), Float32Array.of(4)]] as const);
const fitLine = async (options: Partial<FitOptions>) => {
  const model = new Line();
  const result = await fit(model, { train: line, loss: F.mseLoss, optimizer: sgd(0.1), epochs: 1, batchSize: 2, shuffle: false, ...quiet, ...options });
  return { w: model.w.item(), result };
};

describe("fit", () => {
  it("learns XOR and stops at the target", async () => {
    const model = seeded(() => new MLP({ inputShape: [2], classes: 2, hidden: [8], activation: "tanh" }));
    const result = await fit(model, { train: xor, batchSize: 4, epochs: 500, optimizer: (m) => new Adam(m.parameters(), { lr: 0.05 }), stop: { targetLoss: 0.05 }, ...quiet });
    expect(result.stopped).toBe("target");
    expect(result.steps).toBeLessThan(500);
    const last = result.history.at(-1)!;
    expect(last.loss).toBeLessThanOrEqual(0.05);
    expect(last.accuracy).toBe(1);
  });

  it("gives the same bits at every run, with another seed others", async () => {
    const first = await bitsOf((await smallRun({ epochs: 1 })).model);
    expect(await bitsOf((await smallRun({ epochs: 1 })).model)).toBe(first);
    expect(await bitsOf((await smallRun({ epochs: 1, seed: 6 })).model)).not.toBe(first);
  });

  it("does one step as worked by hand", async () => {
    // w = 1: residuals -1 and -2, loss (1 + 4) / 2, gradient 2 (-1 * 1 + -2 * 2) / 2 = -5
    const plain = await fitLine({});
    expect(plain.w).toBeCloseTo(1.5);
    expect(plain.result.history[0]).toMatchObject({ epoch: 1, step: 1, loss: 2.5, lr: 0.1 });
    expect((await fitLine({ clip: { norm: 2 } })).w).toBeCloseTo(1.2, 5);
    expect((await fitLine({ clip: { value: 3 } })).w).toBeCloseTo(1.3, 5);
    const regular = await fitLine({ regularize: { l1: 0.5, l2: 0.25 } }); // + 0.5 * 1 + 2 * 0.25 * 1
    expect(regular.w).toBeCloseTo(1.4, 5);
    expect(regular.result.history[0].loss).toBeCloseTo(2.5); // without the penalty
  });

  it("accumulates batches to the gradient of one, by samples", async () => {
    const data = blobs(22);
    const run = async (batchSize: number, accumulate: number) => {
      const model = seeded(() => new nn.Sequential(new nn.Linear(4, 8), new nn.Tanh(), new nn.Linear(8, 3)));
      const result = await fit(model, { train: data, batchSize, accumulate, optimizer: sgd(0.5), epochs: 2, shuffle: false, regularize: { l2: 0.01 }, clip: { norm: 0.5 }, ...quiet });
      return { result, weights: await model.stateDict().get("0.weight")!.data() };
    };
    const [large, small] = [await run(12, 1), await run(4, 3)];
    expect(small.result.steps).toBe(large.result.steps); // 12 + 10 samples, the last group 4 + 4 + 2
    expect(small.result.history[1].loss).toBeCloseTo(large.result.history[1].loss, 5);
    expect(small.result.history[1].accuracy).toBeCloseTo(large.result.history[1].accuracy, 5);
    small.weights.forEach((w, i) => expect(w).toBeCloseTo(large.weights[i], 5));
  });

  it("stops by steps, patience, time, callback and signal", async () => {
    const steps = await smallRun({ maxSteps: 14, epochs: undefined });
    expect(steps.result).toMatchObject({ stopped: "steps", steps: 14 });
    expect(steps.result.history.map(({ step }) => step)).toEqual([10, 14]);
    expect((await smallRun({ maxSteps: 30 })).result.stopped).toBe("epochs");
    const patience = await smallRun({ epochs: 50, stop: { patience: 2, monitor: "valid_accuracy", minDelta: 1 } });
    expect(patience.result).toMatchObject({ stopped: "patience", steps: 30, best: { step: 10, epoch: 1, monitor: "valid_accuracy" } });
    const time = await smallRun({ epochs: Infinity, stop: { seconds: 0.05 } });
    expect(time.result.stopped).toBe("time");
    expect(time.result.history.length).toBeGreaterThan(0);
    const stopping = await smallRun({ callbacks: [{ onEpochEnd: ({ epoch }) => (epoch === 2 ? "stop" : undefined) }] });
    expect(stopping.result).toMatchObject({ stopped: "callback", steps: 20 });
    const abort = new AbortController();
    const aborted = await smallRun({ signal: abort.signal, callbacks: { onBatchEnd: ({ step }) => void (step === 13 && abort.abort()) } });
    expect(aborted.result).toMatchObject({ stopped: "interrupted", steps: 13 });
    const validating = await smallRun({ signal: AbortSignal.abort() });
    expect(validating.result).toMatchObject({ stopped: "interrupted", steps: 0 });
  });

  it("restores the best weights", async () => {
    const weights: string[] = [];
    let trained: nn.Module;
    const { model, result } = await smallRun({
      restoreBest: true,
      stop: { monitor: "valid_loss", mode: "max" }, // the first is the "best" one
      callbacks: { onStart: (info) => void (trained = info.model), onEvaluate: async () => void weights.push(await bitsOf(trained)) },
    });
    expect(result.best).toMatchObject({ step: 10, value: Math.max(...result.history.map(({ valid_loss }) => valid_loss)) });
    expect(await bitsOf(model)).toBe(weights[0]);
    expect(weights[0]).not.toBe(weights[2]);
  });

  it("calls back in order, and evaluates as often as asked", async () => {
    const events: string[] = [];
    await smallRun({
      epochs: 2,
      evalEvery: 8,
      test: blobs(9, 500),
      metrics: { top2: metrics.topK(2), f1: metrics.f1() },
      callbacks: {
        onStart: ({ stepsPerEpoch, epochs }) => void events.push(`start ${stepsPerEpoch}x${epochs}`),
        onEpochStart: ({ epoch }) => void events.push(`epoch ${epoch}`),
        onBatchEnd: ({ step, samples, metrics: found }) => void (step % 10 === 0 && events.push(`batch ${step} ${samples} ${Object.keys(found).join()}`)),
        onEvaluate: (record, evaluation) => void events.push(`evaluate ${record.step} ${Object.keys(record).filter((key) => /top2|f1/.test(key)).join()} ${evaluation?.confusion?.total}`),
        onEpochEnd: ({ epoch }) => void events.push(`end ${epoch}`),
        onStop: ({ stopped, test }) => void events.push(`stop ${stopped} ${test?.samples}`),
      },
    });
    expect(events).toEqual([
      "start 10x2", "epoch 1", "evaluate 8 top2,valid_top2,valid_f1 30", "batch 10 5 top2", "end 1", "epoch 2", "evaluate 16 top2,valid_top2,valid_f1 30", "batch 20 5 top2", "end 2",
      "evaluate 20 top2,valid_top2,valid_f1 30", "stop epochs 9",
    ]);
  });

  it("moves schedulers by epoch, by step, and by what was measured", async () => {
    const cycle = await smallRun({ epochs: 2, scheduler: (optimizer, { totalSteps }) => ({ scheduler: new OneCycleLR(optimizer as Adam, { maxLr: 0.1, totalSteps: totalSteps + 1 }), every: "step" }), evalEvery: 5 });
    const rates = cycle.result.history.map(({ lr }) => lr);
    expect(new Set(rates).size).toBe(4);
    expect(Math.max(...rates)).toBeGreaterThan(0.05);
    const plateau = await smallRun({ epochs: 4, scheduler: (optimizer) => new ReduceLROnPlateau(optimizer as Adam, { patience: 0, factor: 0.5, threshold: 10, thresholdMode: "abs" }) });
    expect(plateau.result.history.map(({ lr }) => lr)).toEqual([0.01, 0.01, 0.005, 0.0025]);
    expect((await smallRun()).result.history.map(({ lr }) => lr)).toEqual([0.01, 0.01 * 0.7, 0.01 * 0.7 * 0.7]);
  });

  it("augments pictures and mixes batches, whose targets are then probabilities", async () => {
    const picture = (label: number): readonly [Image, number] => [{ data: new Float32Array(16).fill(label), channels: 1, height: 4, width: 4 }, label];
    const train = new ArrayDataset([0, 1, 0, 1, 0, 1].map(picture));
    const model = seeded(() => new MLP({ inputShape: [1, 4, 4], classes: 2, hidden: [4] }));
    const shapes: string[] = [];
    const spy = model.registerForwardHook((_, [x]) => void shapes.push(String((x as Tensor).shape)));
    const augment = { sample: transforms.randomShift(1), batch: transforms.mixup({ classes: 2 }) };
    const { history } = await fit(model, { train, valid: train, epochs: 30, batchSize: 3, optimizer: sgd(0.5), augment, ...quiet });
    spy();
    expect(shapes).toContain("3,1,4,4");
    expect(history.at(-1)!.valid_accuracy).toBe(1);
    expect(history.at(-1)!.accuracy).toBeGreaterThan(0.5);
    await fit(model, { train, epochs: 1, augment: transforms.randomShift(1), ...quiet });
  });

  it("takes a loader, a step of its own, and LBFGS", async () => {
    const loader = new DataLoader(line, { batchSize: 2 });
    const model = new Line();
    const step = (m: nn.Module, batch: Tensor[] | unknown) => {
      const [x, y] = batch as Tensor[];
      return { loss: F.mseLoss((m as Line).forward(x), y) };
    };
    const result = await fit(model, { train: loader, valid: line, step, optimizer: (m) => new LBFGS(m.parameters(), { lr: 1 }), epochs: 3, ...quiet });
    expect(model.w.item()).toBeCloseTo(2, 4);
    expect(result.history[0].loss).toBeCloseTo(2.5);
    expect(result.history[2].valid_loss).toBeLessThan(1e-6);
  });

  it("gives the same bits compiled", async () => {
    const [plain, compiled] = [await smallRun({ clip: { norm: 1 } }), await smallRun({ clip: { norm: 1 }, compile: true })];
    expect(await bitsOf(compiled.model)).toBe(await bitsOf(plain.model));
    const numbers = ({ result }: typeof plain) => result.history.map(({ loss, accuracy, valid_loss }) => [loss, accuracy, valid_loss]);
    expect(numbers(compiled)).toEqual(numbers(plain));
    const bad = new ArrayDataset([0, 1, 2, 1, 0, 2, 9].map((label) => [Float32Array.of(label, 2, 3, 4), label] as const));
    const run = fit(new SmallNet(), { train: bad, batchSize: 7, compile: true, shuffle: false, ...quiet });
    await expect(run).rejects.toThrow(/label 9 of sample 6/);
    await expect(smallRun({ compile: true, accumulate: 2 })).rejects.toThrow(/compile is for one batch/);
  });

  it("leaves mode and random streams in order", async () => {
    const model = seeded(() => new SmallNet());
    model.eval();
    model.norm.train();
    await fit(model, { train: blobs(12), valid: blobs(6), epochs: 1, ...quiet });
    expect([model.training, model.norm.training, model.last.training]).toEqual([false, true, false]);
    expect(getRandomState()).toMatchObject({ seed: 0 });
    expect(model.parameters().every(({ grad }) => grad === null)).toBe(true);
  });
});
