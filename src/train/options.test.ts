import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { DataLoader, text } from "../data/index.js";
import { create } from "../models/index.js";
import { Adam, CosineAnnealingLR, type EMAOptions } from "../optim/index.js";
import { manualSeed } from "../ops/index.js";
import { evaluate } from "./evaluate.js";
import { FirstBatches } from "./first-batches.js";
import { fit } from "./fit.js";
import { pretrain, sft } from "./lm.js";
import { bitsOf, blobs, noisyBlobs, seeded, SmallNet, smallRun } from "./testing/small-run.js";
import type { BatchSource } from "./types.js";

let dir: string;
beforeEach(async () => void (dir = await mkdtemp(join(tmpdir(), "graft-options-"))));
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(dir, { recursive: true, force: true });
});

const ids = Int32Array.from({ length: 400 }, (_, i) => (i * i + 3 * i) % 11);
const language = () => {
  manualSeed(3);
  return create({ model_type: "gpt2", n_layer: 1, n_head: 2, n_embd: 8, n_positions: 32, vocab_size: 11 });
};
const samples: text.TokenSample[] = Array.from({ length: 12 }, (_, i) => ({ inputIds: ids.slice(i, i + 6), labels: ids.slice(i, i + 6) }));

describe("ema", () => {
  const ema: EMAOptions = { decay: 0.9 };

  it("is what is evaluated, what is best, and what the model holds at the end, but not what is trained", async () => {
    const [plain, averaged] = [await smallRun(), await smallRun({ ema })];
    const losses = (run: typeof plain) => run.result.history.map(({ loss }) => loss);
    expect(losses(averaged)).toEqual(losses(plain));
    expect(await bitsOf(averaged.model)).not.toBe(await bitsOf(plain.model));
    const { loss } = await evaluate(averaged.model, blobs(30, 1000), { batchSize: 8 }); // the run's: a mean over other batches is rounded otherwise
    expect(loss).toBe(averaged.result.history.at(-1)!.valid_loss);
    const best = await smallRun({ ema, restoreBest: true });
    expect((await evaluate(best.model, blobs(30, 1000), { batchSize: 8 })).loss).toBe(Math.min(...best.result.history.map(({ valid_loss }) => valid_loss)));
  });

  it("goes on with the same bits after an interruption", async () => {
    const whole = await smallRun({ ema, accumulate: 2 });
    const checkpoint = { dir, every: 100 };
    const abort = new AbortController();
    await smallRun({ ema, accumulate: 2, checkpoint, signal: abort.signal, callbacks: { onBatchEnd: ({ step }) => void (step === 7 && abort.abort()) } });
    await expect(smallRun({ accumulate: 2, checkpoint, resume: true })).rejects.toThrow(/it was trained with ema, now there is none/);
    const resumed = await smallRun({ ema, accumulate: 2, checkpoint, resume: true });
    expect(await bitsOf(resumed.model)).toBe(await bitsOf(whole.model));
    expect(resumed.result.history.map(({ valid_loss }) => valid_loss)).toEqual(whole.result.history.map(({ valid_loss }) => valid_loss));
  });

  it("is the same in compiled steps, and in language models", async () => {
    const run = async (compile: boolean) => {
      const model = await language();
      await pretrain(model, new text.TokenDataset(ids, { blockSize: 8 }), { maxSteps: 6, ema, watchdog: { nan: "skip", spike: "skip" }, compile, progress: false });
      return bitsOf(model);
    };
    expect(await run(true)).toBe(await run(false));
    const model = await language();
    const weights = await bitsOf(model);
    await sft(model, samples, { epochs: 1, ema, progress: false });
    expect(await bitsOf(model)).not.toBe(weights);
  });
});

describe("overfitBatches", () => {
  it("trains on the same batches in every epoch, without validation and test", async () => {
    const { result } = await smallRun({ overfitBatches: 2, epochs: 150, test: blobs(9), stop: { monitor: "valid_loss", targetLoss: 0.02 }, scheduler: undefined, optimizer: (m) => new Adam(m.parameters(), { lr: 0.05 }) });
    expect(result.stopped).toBe("target");
    expect(result.history.map(({ step }) => step).slice(0, 3)).toEqual([2, 4, 6]);
    expect(result.test).toBeUndefined();
    expect(result.history[0].valid_loss).toBeUndefined();
  });

  it("resumes with the same bits", async () => {
    const options = { overfitBatches: 3, epochs: 4 } as const;
    const whole = await smallRun(options);
    await smallRun({ ...options, checkpoint: { dir }, callbacks: { onBatchEnd: ({ step }) => (step === 5 ? "stop" : undefined) } });
    const { model, result } = await smallRun({ ...options, checkpoint: { dir }, resume: true });
    expect(result.steps).toBe(12);
    expect(await bitsOf(model)).toBe(await bitsOf(whole.model));
  });

  it("gives the batches of the first epoch, noise included", async () => {
    const loader = new DataLoader(noisyBlobs(20), { batchSize: 4, shuffle: true, seed: 1 }) as unknown as BatchSource;
    const first = new FirstBatches(loader, 2);
    const epoch = async () => {
      const all: string[] = [];
      for await (const batch of first) all.push(String(await (batch as readonly { toArray(): Promise<unknown> }[])[0].toArray()));
      return all;
    };
    const once = await epoch();
    expect([once.length, first.epoch]).toEqual([2, 1]);
    expect(await epoch()).toEqual(once);
    expect(first.batchIndices(5, 1)).toEqual(loader.batchIndices!(0, 1));
    expect(() => first.loadStateDict({ ...first.stateDict(), batch: 3 })).toThrow(/first 2 batches/);
  });

  it("is there for language models", async () => {
    const { history } = await sft(await language(), samples, { overfitBatches: 1, batchSize: 2, epochs: 3, packing: false, valid: samples, progress: false });
    expect(history.map(({ step, valid_loss }) => [step, valid_loss])).toEqual([[1, undefined], [2, undefined], [3, undefined]]);
    const small = await pretrain(await language(), new text.TokenDataset(ids, { blockSize: 8 }), { overfitBatches: 1, epochs: 2, progress: false });
    expect(small.history[1].loss).toBeLessThan(small.history[0].loss);
  });
});

describe("fastDevRun", () => {
  it("takes one batch of everything, leaves no files, and says what it checked", async () => {
    let said = "";
    vi.spyOn(process.stdout, "write").mockImplementation((part) => ((said += String(part)), true));
    const read: Record<string, Set<number>> = { train: new Set(), valid: new Set(), test: new Set() };
    const watched = (name: string, length: number) => ({ length, get: (i: number) => (read[name].add(i), blobs(length).get(i)) });
    let total = 0;
    const result = await fit(seeded(() => new SmallNet()), {
      train: watched("train", 80), valid: watched("valid", 90), test: watched("test", 90), batchSize: 8, epochs: 5, fastDevRun: true, progress: "plain", handleSignals: false,
      checkpoint: { dir }, log: true, tensorboard: true, resume: true,
      scheduler: (optimizer, { totalSteps }) => ({ scheduler: new CosineAnnealingLR(optimizer as Adam, { tMax: (total = totalSteps) }), every: "step" }),
    });
    expect(result).toMatchObject({ steps: 1, checkpoint: undefined });
    expect(total).toBe(50); // the schedule is that of the whole run
    expect(Object.values(read).map(({ size }) => size <= 16)).toEqual([true, true, true]); // a batch, and one read ahead
    expect([result.test!.samples, await readdir(dir)]).toEqual([8, []]);
    expect(said).toMatch(/fast dev run: one batch each of train \(loss [\d.]+\), valid \(loss [\d.]+\), test \(loss [\d.]+\) went through/);
  });

  it("is there for language models", async () => {
    const result = await pretrain(await language(), new text.TokenDataset(ids, { blockSize: 8 }), { maxSteps: 100, warmupSteps: 10, fastDevRun: true, evalEvery: 50, progress: false, accumulate: 4 });
    expect(result.steps).toBe(1);
    expect((await sft(await language(), samples, { valid: samples, fastDevRun: true, progress: false })).history[0].valid_loss).toBeGreaterThan(0);
  });
});
