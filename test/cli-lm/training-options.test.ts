import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { data } from "graftml";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { here, scratch } from "../cli/run.js";

const { dir, remove } = scratch();
afterAll(remove);

const words = ["red", "blue", "green", "cat", "dog", "ball"];
beforeAll(async () => {
  writeFileSync(join(dir, "text.txt"), Array.from({ length: 200 }, (_, i) => `the ${words[i % 3]} ${words[3 + (i % 2)]} saw the ${words[(i * 7) % 6]} in the garden.\n`).join(""));
  writeFileSync(join(dir, "tiny.yaml"), "data: { path: text.txt }\ntokenizer: { vocabSize: 280 }\nmodel: { layers: 1, heads: 2, size: 16, block: 16 }\ntraining: { steps: 20, batchSize: 4, lr: 0.01, warmupSteps: 5, evalEvery: 10 }\n");
  cpSync(fileURLToPath(new URL("../golden/models/llama", import.meta.url)), join(dir, "base"), { recursive: true });
  const tokenizer = await data.tokenizers.trainCharacters([readFileSync(join(dir, "text.txt"), "utf8"), "QA?"], { roles: { eos: "</s>" } });
  await tokenizer.save(join(dir, "base"));
  writeFileSync(join(dir, "pairs.jsonl"), Array.from({ length: 12 }, (_, i) => `${JSON.stringify({ prompt: "the cat", completion: ` saw the ${words[i % 6]}` })}\n`).join(""));
});

const pretrain = (...more: string[]) => here(["pretrain", "tiny.yaml", "--no-progress", ...more], { cwd: dir });
const finetune = (...more: string[]) => here(["finetune", "--model", "base", "--data", "pairs.jsonl", "--epochs", "2", "--batch-size", "2", "--r", "2", "--no-progress", ...more], { cwd: dir });
const steps = (file: string): string[] =>
  readFileSync(join(dir, file), "utf8").trim().split("\n").map((line) => JSON.parse(line) as Record<string, number>).map((line) => `${Object.keys(line).find((name) => name.includes("loss"))} ${line.step}`);
const record = (name: string) => JSON.parse(readFileSync(join(dir, name, "run.json"), "utf8")) as Record<string, unknown>;

describe("graft pretrain", () => {
  it("keeps an average, logs for TensorBoard, and what the run was", async () => {
    const { code, err } = await pretrain("--out", "run", "--ema", "0.9", "--watchdog", "skip", "--tensorboard", "--log-every", "5");
    expect(err).not.toContain("graft:");
    expect(code).toBe(0);
    expect(steps("run/metrics.jsonl")).toEqual(["loss 5", "loss 10", "eval_loss 10", "loss 15", "loss 20", "eval_loss 20", "train_loss 20"]);
    expect(readdirSync(join(dir, "run")).some((name) => name.startsWith("events.out.tfevents."))).toBe(true);
    expect(existsSync(join(dir, "run", "checkpoint-20", "ema.safetensors"))).toBe(true);
    expect(record("run")).toMatchObject({ seed: 0, stopped: "steps", dataHash: expect.stringMatching(/^[0-9a-f]{64}$/) as unknown, settings: { training: { ema: { decay: 0.9 }, watchdog: { nan: "skip" } } } });
    expect(existsSync(join(dir, "run", "recipe.yaml"))).toBe(true);
  });

  it("overfits, tries everything once, and finds a rate", async () => {
    expect((await pretrain("--out", "over", "--overfit-batches", "1")).code).toBe(0);
    expect(steps("over/metrics.jsonl")).not.toContain("eval_loss 10");
    const dev = await pretrain("--out", "none", "--fast-dev-run");
    expect([dev.code, dev.out]).toEqual([0, expect.stringMatching(/fast dev run: one batch each of train \(loss [\d.]+\), valid/)]);
    const found = await pretrain("--out", "none", "--find-lr");
    expect([found.code, found.out]).toEqual([0, expect.stringMatching(/suggested learning rate/)]);
    expect(existsSync(join(dir, "none"))).toBe(false);
  });
});

describe("graft finetune", () => {
  it("keeps an average, logs, and what the run was; other data cannot go on", async () => {
    const { code, err } = await finetune("--out", "lora", "--ema", "0.9", "--watchdog", "restore", "--tensorboard", "--log-every", "2");
    expect([code, err]).toEqual([0, ""]);
    expect(steps("lora/metrics.jsonl").at(-1)).toMatch(/^train_loss/);
    expect(record("lora")).toMatchObject({ seed: 0, stopped: "epochs", settings: { method: "lora", ema: "0.9" } });
    const text = readFileSync(join(dir, "pairs.jsonl"), "utf8");
    writeFileSync(join(dir, "pairs.jsonl"), text.replace("red", "dog"));
    expect((await finetune("--out", "lora", "--ema", "0.9", "--resume")).err).toMatch(/the run began with other data/);
    writeFileSync(join(dir, "pairs.jsonl"), text);
  });

  it("overfits, tries everything once, and finds a rate", async () => {
    expect((await finetune("--out", "over", "--overfit-batches", "1")).code).toBe(0);
    expect((await finetune("--out", "none", "--fast-dev-run")).out).toMatch(/fast dev run: one batch each of train \(loss [\d.]+\), valid/);
    expect((await finetune("--out", "none", "--find-lr")).out).toMatch(/suggested learning rate/);
    expect(existsSync(join(dir, "none"))).toBe(false);
  });

  it("tells where the time of its steps goes, and keeps nothing but a trace", async () => {
    const { code, out, err } = await finetune("--out", "none", "--profile", "trace.json");
    expect([code, err]).toEqual([0, "trace of 10 steps in trace.json: open it in ui.perfetto.dev or chrome://tracing\n"]);
    for (const words of [/^10 steps after 10 for warm-up/, /^attentionBackward .* backward /m, /^model\.\S+ +LoraLayer +\d/m, /^\(outside kernels\) /m]) expect(out).toMatch(words);
    expect(existsSync(join(dir, "none"))).toBe(false);
    expect((JSON.parse(readFileSync(join(dir, "trace.json"), "utf8")) as { traceEvents: unknown[] }).traceEvents.length).toBeGreaterThan(20);
    expect((await finetune("--out", "none", "--profile")).code).toBe(0);
    const both = await finetune("--out", "none", "--profile", "--find-lr");
    expect([both.code, both.err]).toEqual([2, expect.stringMatching(/--profile and --find-lr exclude each other/)]);
    const nowhere = await finetune("--out", "none", "--profile", "no/trace.json");
    expect([nowhere.code, nowhere.err]).toEqual([1, expect.stringMatching(/^graft: finetune: --profile no\/trace.json: there is no folder no\./)]);
  });
});
