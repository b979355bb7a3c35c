import { execFileSync } from "node:child_process";
import { appendFileSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { text } from "../data/index.js";
import { create } from "../models/index.js";
import { crc32c } from "./crc32c.js";
import { pretrain } from "./lm.js";
import { RunLog } from "./log.js";
import { readEvents, readScalars } from "./testing/read-events.js";
import { blobs, smallRun } from "./testing/small-run.js";

let dir: string;
beforeEach(async () => void (dir = await mkdtemp(join(tmpdir(), "graft-log-"))));
afterEach(() => rm(dir, { recursive: true, force: true }));

const lines = (): Record<string, number>[] => readFileSync(join(dir, "metrics.jsonl"), "utf8").trim().split("\n").map((line) => JSON.parse(line) as Record<string, number>);

describe("metrics.jsonl", () => {
  it("has the Hugging Face Trainer's key names", async () => {
    const { result } = await smallRun({ epochs: 1, test: blobs(20, 500), clip: { norm: 1 }, checkpoint: { dir }, log: true, logEvery: 4 });
    const all = lines();
    expect(all.map((line) => [Object.keys(line).join(), line.step])).toEqual([
      ["loss,accuracy,grad_norm,learning_rate,epoch,step", 4],
      ["loss,accuracy,grad_norm,learning_rate,epoch,step", 8],
      ["loss,accuracy,grad_norm,learning_rate,epoch,step", 10],
      ["eval_loss,eval_accuracy,eval_runtime,eval_samples_per_second,eval_steps_per_second,epoch,step", 10],
      ["test_loss,test_accuracy,epoch,step", 10],
      ["train_runtime,train_samples_per_second,train_steps_per_second,train_loss,epoch,step", 10],
    ]);
    expect(all.map(({ epoch }) => epoch)).toEqual([0.4, 0.8, 1, 1, 1, 1]);
    const [record] = result.history;
    expect(all[3]).toMatchObject({ eval_loss: record.valid_loss, eval_accuracy: record.valid_accuracy });
    expect(all[4].test_loss).toBe(result.test!.loss);
    expect(all[5].train_loss).toBeCloseTo(record.loss, 10);
    expect(all[5].train_samples_per_second * all[5].train_runtime).toBeCloseTo(77, 6);
    const mean = (all[0].loss * 32 + all[1].loss * 32 + all[2].loss * 13) / 77; // samples of the last batch: 5
    expect(mean).toBeCloseTo(record.loss, 10);
    expect(all.slice(0, 3).every((line) => line.grad_norm > 0 && line.learning_rate === 0.01)).toBe(true);
  });

  it("counts tokens where tokens are what is trained on", async () => {
    const model = await create({ model_type: "gpt2", n_layer: 1, n_head: 1, n_embd: 4, n_positions: 8, vocab_size: 5 });
    const blocks = new text.TokenDataset(Int32Array.from({ length: 65 }, (_, i) => i % 5), { blockSize: 8 });
    await pretrain(model, blocks, { maxSteps: 2, batchSize: 4, progress: false, log: join(dir, "metrics.jsonl") });
    const all = lines();
    expect(all[0]).toMatchObject({ step: 2, epoch: 1, perplexity: Math.exp(all[0].loss) });
    expect(all[1].train_tokens_per_second / all[1].train_samples_per_second).toBeCloseTo(8, 8);
  });
});

describe("TensorBoard event files", () => {
  it("are read by another decoder", async () => {
    expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283); // the check value of CRC-32C
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa); // RFC 3720, B.4
    const before = Date.now() / 1000;
    const { result } = await smallRun({ epochs: 2, checkpoint: { dir }, log: true, tensorboard: true, logEvery: 5 });
    const scalars = readScalars(dir);
    const curve = (tag: string) => scalars.filter((scalar) => scalar.tag === tag).map(({ step, value }) => [step, value]);
    expect(curve("eval/loss")).toEqual(result.history.map(({ step, valid_loss }) => [step, Math.fround(valid_loss)]));
    expect(curve("train/loss")).toEqual(lines().flatMap(({ loss, step }) => (loss === undefined ? [] : [[step, Math.fround(loss)]])));
    expect(curve("train/learning_rate").map(([step]) => step)).toEqual([5, 10, 15, 20]);
    expect(curve("train/train_runtime").map(([step]) => step)).toEqual([20]);
    expect(scalars.every(({ wallTime }) => wallTime >= before && wallTime < before + 600)).toBe(true);
  });

  it("go on behind what fits the checkpoint, and begin anew with a new run", async () => {
    const options = { checkpoint: { dir, keep: 9 }, tensorboard: true } as const;
    await smallRun({ ...options, epochs: 2 });
    const [name] = readdirSync(dir).filter((file) => file.includes("tfevents"));
    appendFileSync(join(dir, name), Buffer.from([40, 0, 0, 0, 0, 0])); // a killed run wrote half an event
    await smallRun({ ...options, resume: true, epochs: 3 });
    expect(readScalars(dir).filter(({ tag }) => tag === "eval/loss").map(({ step }) => step)).toEqual([10, 20, 30]);
    expect(readScalars(dir).filter(({ tag }) => tag === "train/train_loss").map(({ step }) => step)).toEqual([30]);
    await smallRun({ checkpoint: { dir, overwrite: true }, tensorboard: true, epochs: 1 });
    expect(readScalars(dir).filter(({ tag }) => tag === "eval/loss").map(({ step }) => step)).toEqual([10]);
    writeFileSync(join(dir, readdirSync(dir).find((file) => file.includes("tfevents"))!), "no events");
    await smallRun({ ...options, resume: true, epochs: 1 });
    expect(readEvents(dir).length).toBeGreaterThan(0);
  });

  const python = process.env.GRAFT_PYTHON ?? "python3";
  const hasTensorBoard = (() => {
    try {
      execFileSync(python, ["-c", "import tensorboard.backend.event_processing.event_accumulator"], { stdio: "ignore", timeout: 60_000 });
      return true;
    } catch {
      return false;
    }
  })();
  it.skipIf(!hasTensorBoard)("are read by TensorBoard itself (skipped: the Python package tensorboard is not installed)", async () => {
    const { result } = await smallRun({ epochs: 2, checkpoint: { dir }, tensorboard: true });
    const script = "import sys, json\nfrom tensorboard.backend.event_processing.event_accumulator import EventAccumulator\na = EventAccumulator(sys.argv[1])\na.Reload()\nprint(json.dumps([[e.step, e.value] for e in a.Scalars('eval/loss')]))";
    const found = JSON.parse(execFileSync(python, ["-c", script, dir], { encoding: "utf8" })) as unknown;
    expect(found).toEqual(result.history.map(({ step, valid_loss }) => [step, Math.fround(valid_loss)]));
  });
});

describe("a log that cannot be written", () => {
  it("is said once, and nothing else happens", async () => {
    const warn = vi.fn();
    writeFileSync(join(dir, "file"), "");
    const log = new RunLog({ metrics: join(dir, "file", "metrics.jsonl"), tensorboard: dir }, warn);
    await log.start(undefined);
    await log.write({ epoch: 1, step: 1, loss: 2 });
    expect(warn.mock.calls.map(([said]) => String(said))).toEqual([expect.stringMatching(/the log .*metrics\.jsonl cannot be written/)]);
    expect(readScalars(dir).map(({ tag, value }) => [tag, value])).toEqual([["train/epoch", 1], ["train/loss", 2]]);
  });
});
