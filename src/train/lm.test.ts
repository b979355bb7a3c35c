import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { text } from "../data/index.js";
import { create } from "../models/index.js";
import type { Module } from "../nn/index.js";
import { manualSeed } from "../ops/index.js";
import { lora } from "../tune/index.js";
import { pretrain, sft, type PretrainOptions, type SftOptions } from "./lm.js";
import { lmGroups } from "./lm-options.js";
import { takeSnapshot } from "./snapshot.js";

let dir: string;
beforeEach(async () => void (dir = await mkdtemp(join(tmpdir(), "graft-lm-"))));
afterEach(() => rm(dir, { recursive: true, force: true }));

async function small(dropout = 0): Promise<Module> {
  manualSeed(3);
  return create({ model_type: "gpt2", n_layer: 1, n_head: 2, n_embd: 8, n_positions: 32, vocab_size: 11, resid_pdrop: dropout, embd_pdrop: dropout, attn_pdrop: dropout });
}
const ids = Int32Array.from({ length: 400 }, (_, i) => (i * i + 3 * i) % 11);
const blocks = (): text.TokenDataset => new text.TokenDataset(ids, { blockSize: 8 });
/** Of different lengths, with different numbers of learnt tokens. */
const samples: text.TokenSample[] = Array.from({ length: 12 }, (_, i) => {
  const inputIds = ids.slice(i, i + 4 + (i % 5));
  return { inputIds, labels: inputIds.map((id, j) => (j < 1 + (i % 3) ? -100 : id)) };
});
const quiet = { progress: false, handleSignals: false, seed: 5 } as const;
const weights = async (model: Module) => new Map([...(await takeSnapshot(model))].map(([name, { data }]) => [name, Array.from(data)]));

describe("pretrain", () => {
  it("learns, and reports tokens, perplexity and bits per byte", async () => {
    const { history } = await pretrain(await small(), blocks(), { ...quiet, epochs: 4, lr: 0.01, valid: new text.TokenDataset(ids, { blockSize: 8, order: "sequential" }), bytesPerToken: 2 });
    const [first, last] = [history[0], history.at(-1)!];
    expect(last.valid_loss).toBeLessThan(first.valid_loss);
    expect(last.valid_perplexity).toBeCloseTo(Math.exp(last.valid_loss), 8);
    expect(last.valid_bits_per_byte).toBeCloseTo(last.valid_loss / Math.log(2) / 2, 8);
    expect(last.lr).toBeLessThan(0.01);
  });

  it("replays its steps with the bits of recorded ones", async () => {
    const run = async (compile: boolean) => {
      const model = await small(0.1);
      await pretrain(model, blocks(), { ...quiet, maxSteps: 6, compile });
      return weights(model);
    };
    expect(await run(true)).toEqual(await run(false));
  });

  it("goes on in mid-epoch as if nothing had happened", async () => {
    const run = async (options: PretrainOptions) => {
      const model = await small(0.1);
      await pretrain(model, blocks(), { ...quiet, batchSize: 4, epochs: 2, warmupSteps: 3, ...options });
      return weights(model);
    };
    const checkpoint = { dir, every: 100 };
    await run({ checkpoint, callbacks: { onBatchEnd: ({ step }) => (step === 7 ? "stop" : undefined) } });
    expect(await run({ checkpoint, resume: true })).toEqual(await run({}));
  });

  it("decays matrices only", async () => {
    const groups = lmGroups(await small(), 0.1);
    expect(groups.map(({ weightDecay }) => weightDecay)).toEqual([0.1, 0]);
    expect(groups[1].params.every(([name]) => /bias$|ln_\w+\.weight$/.test(name))).toBe(true);
  });

  it("refuses a model that is none", async () => {
    const { Linear } = await import("../nn/index.js");
    await expect(pretrain(new Linear(2, 2), blocks(), { ...quiet, maxSteps: 1 })).rejects.toThrow();
  });
});

describe("sft", () => {
  const run = async (options: SftOptions, adapt = false) => {
    const model = await small();
    if (adapt) lora(model, { r: 2, dropout: 0.1 });
    const result = await sft(model, samples, { ...quiet, shuffle: false, ...options });
    return { result, weights: await weights(model) };
  };

  it("accumulates micro-batches to the step of the large batch, counted in tokens", async () => {
    const large = await run({ packing: false, batchSize: 12, maxSteps: 3, schedule: "constant" });
    const parts = await run({ packing: false, batchSize: 3, accumulate: 4, maxSteps: 3, schedule: "constant" });
    expect(Math.abs(large.result.history[0].loss - parts.result.history[0].loss)).toBeLessThan(1e-6);
    for (const [name, values] of large.weights) values.forEach((value, i) => expect(Math.abs(value - parts.weights.get(name)![i]), name).toBeLessThan(1e-6));
  });

  it("packs without changing what is learnt", async () => {
    const padded = await run({ packing: false, batchSize: 12, maxSteps: 2 });
    const packed = await run({ packing: true, blockSize: 16, batchSize: 12, maxSteps: 2 });
    expect(Math.abs(padded.result.history[0].loss - packed.result.history[0].loss)).toBeLessThan(1e-5);
  });

  it.each([false, true])("goes on in mid-epoch as if nothing had happened (LoRA: %s)", async (adapt) => {
    const options: SftOptions = { shuffle: true, blockSize: 8, batchSize: 2, accumulate: 2, epochs: 3, lr: 0.01 };
    const whole = await run(options, adapt);
    const checkpoint = { dir, every: 100 };
    await run({ ...options, checkpoint, callbacks: { onBatchEnd: ({ step }) => (step === 4 ? "stop" : undefined) } }, adapt);
    const resumed = await run({ ...options, checkpoint, resume: true }, adapt);
    expect(resumed.result.resumedFrom).toBeDefined();
    expect(resumed.weights).toEqual(whole.weights);
  });
});
