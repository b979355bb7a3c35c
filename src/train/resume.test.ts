import { spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { listCheckpoints } from "../io/index.js";
import * as nn from "../nn/index.js";
import { SGD } from "../optim/index.js";
import { rand } from "../ops/index.js";
import { fit } from "./fit.js";
import { readScalars } from "./testing/read-events.js";
import { bitsOf, blobs, everything, seeded, SmallNet, smallRun } from "./testing/small-run.js";

let dir: string;
beforeEach(async () => void (dir = await mkdtemp(join(tmpdir(), "graft-train-"))));
afterEach(() => rm(dir, { recursive: true, force: true }));

/** Runs the child until it has done `steps` steps, then kills it with SIGKILL a moment later. Resolves to whether it was still running. */
async function killAfter(steps: number, wait: number): Promise<boolean> {
  const script = fileURLToPath(new URL("./testing/killed-run.ts", import.meta.url));
  const child = spawn(process.execPath, ["--import", "tsx", script, dir], { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
    if (text.includes(`step ${steps}\n`)) setTimeout(() => child.kill("SIGKILL"), wait);
  });
  const signal = await new Promise((resolve) => child.on("exit", (_, by) => resolve(by)));
  return signal === "SIGKILL";
}

describe("a run that was killed and resumed", () => {
  it("ends with the same bits as one that was not, wherever the kill fell", async () => {
    const folder = join(dir, "whole");
    const logged = { log: true, logEvery: 1, tensorboard: true } as const;
    const whole = await smallRun({ ...everything, ...logged, checkpoint: { dir: folder } });
    const expected = await bitsOf(whole.model);
    expect(await killAfter(4, 7)).toBe(true);
    expect(await killAfter(17, Math.random() * 20)).toBe(true); // in the second epoch, resumed once already
    const resumed = await smallRun({ ...everything, ...logged, checkpoint: { dir, every: 3 }, resume: "latest" });
    expect(resumed.result.resumedFrom).toMatch(/checkpoint-\d+$/);
    expect(await bitsOf(resumed.model)).toBe(expected);
    const losses = (run: typeof whole) => run.result.history.map(({ epoch, step, loss, lr, valid_loss }) => ({ epoch, step, loss, lr, valid_loss }));
    expect(losses(resumed)).toEqual(losses(whole));
    // the logs have each line once, those of steps behind the last checkpoint as well
    const timeless = (entries: [string, unknown][]) => entries.filter(([name]) => !/runtime|per_second/.test(name));
    const lines = async (of: string) => (await readFile(join(of, "metrics.jsonl"), "utf8")).trim().split("\n").map((line) => timeless(Object.entries(JSON.parse(line) as object)));
    expect(await lines(dir)).toEqual(await lines(folder));
    const curves = (of: string) => timeless(readScalars(of).map(({ tag, step, value }) => [tag, [step, value]]));
    expect(curves(dir)).toEqual(curves(folder));
  });

  it("and one that was stopped after any step, with the best weights and accumulation", async () => {
    const options = { accumulate: 2, stop: { patience: 50 }, restoreBest: true, evalEvery: 4 } as const;
    const whole = await smallRun({ ...options });
    const expected = await bitsOf(whole.model);
    for (const stopAt of [1, 5, 8, 13]) {
      const folder = join(dir, String(stopAt));
      const checkpoint = { dir: folder, every: 100 };
      const first = await smallRun({ ...options, checkpoint, callbacks: { onBatchEnd: ({ step }) => (step === stopAt ? "stop" : undefined) } });
      expect(first.result.stopped).toBe("callback");
      const { model, result } = await smallRun({ ...options, checkpoint, resume: true });
      expect(result.stopped).toBe("epochs");
      expect(await bitsOf(model)).toBe(expected);
      expect(result.best?.step).toBe(whole.result.best?.step);
    }
  });

  it("is not trained further when it was complete", async () => {
    const checkpoint = { dir };
    const whole = await smallRun({ checkpoint });
    const again = await smallRun({ checkpoint, resume: true });
    expect(again.result).toMatchObject({ steps: whole.result.steps, stopped: "epochs", checkpoint: whole.result.checkpoint });
    expect(await bitsOf(again.model)).toBe(await bitsOf(whole.model));
    const longer = await smallRun({ checkpoint, resume: true, epochs: 4 });
    expect(longer.result.steps).toBe(40);
    expect(await bitsOf(longer.model)).toBe(await bitsOf((await smallRun({ epochs: 4 })).model));
  });
});

describe("checkpoints of a run", () => {
  it("are kept as asked, the best one too, with a log that fits", async () => {
    const { result } = await smallRun({ checkpoint: { dir, every: 4, keep: 2 }, log: true });
    const steps = await listCheckpoints(dir);
    expect(steps.slice(-2)).toEqual([28, 30]);
    expect(steps).toContain(result.best!.step);
    expect(result.checkpoint).toBe(join(dir, "checkpoint-30"));
    const read = async () => (await readFile(join(dir, "metrics.jsonl"), "utf8")).trim().split("\n").map((line) => JSON.parse(line) as Record<string, number>);
    const lines = await read();
    expect(lines.map((line) => `${Object.keys(line).find((name) => /loss/.test(name))} ${line.step}`)).toEqual(["loss 10", "eval_loss 10", "loss 20", "eval_loss 20", "loss 30", "eval_loss 30", "train_loss 30"]);
    expect(lines[5].eval_accuracy).toBe(result.history[2].valid_accuracy);
    const again = { log: true, resume: join(dir, "checkpoint-28") };
    await expect(smallRun({ ...again, checkpoint: { dir, every: 4 } })).rejects.toThrow(/holds later checkpoints \(checkpoint-30\)/);
    await smallRun({ ...again, checkpoint: { dir, every: 4, overwrite: true } });
    expect(await listCheckpoints(dir)).toContain(30);
    expect((await read()).map(({ step }) => step)).toEqual(lines.map(({ step }) => step));
  });

  it("of another run are neither mixed up nor deleted unasked", async () => {
    await smallRun({ checkpoint: { dir }, epochs: 2 });
    await expect(smallRun({ checkpoint: { dir }, epochs: 1 })).rejects.toThrow(/holds checkpoints of another run \(the last: checkpoint-20\).*resume: true.*overwrite: true/);
    await smallRun({ checkpoint: { dir, overwrite: true }, epochs: 1 });
    expect(await listCheckpoints(dir)).toEqual([10]);
  });

  it("of another model, optimizer or data set are refused with all problems, and nothing changes", async () => {
    await smallRun({ checkpoint: { dir }, epochs: 1 });
    const model = seeded(() => new SmallNet(4, 8), 2);
    const before = await bitsOf(model);
    const run = fit(model, { train: blobs(20), optimizer: (m) => new SGD(m.parameters(), { lr: 0.1 }), checkpoint: { dir }, resume: true, batchSize: 8, progress: false });
    const error = (await run.catch((e: unknown) => e)) as Error;
    expect(error).toMatchObject({ code: "state" });
    for (const part of [/trained with Adam, now the optimizer is SGD/, /with a scheduler/, /samples 77, this loader has 20/, /shape of first.weight: the model has \[8, 4\], the state dict \[16, 4\]/]) expect(error.message).toMatch(part);
    expect(await bitsOf(model)).toBe(before);
    class Other extends nn.Module {
      w = new nn.Parameter(rand([4, 3]));
      forward(x: Parameters<SmallNet["forward"]>[0]) {
        return x.matmul(this.w);
      }
    }
    await expect(smallRunOf(new Other())).rejects.toThrow(/it is of a SmallNet, the model is a Other/);
    await expect(fit(model, { train: blobs(20), resume: join(dir, "nothing"), progress: false })).rejects.toThrow(/there is no checkpoint in/);
    await expect(fit(model, { train: blobs(20), resume: true, progress: false })).rejects.toThrow(/there is no checkpoint folder/);
  });
  const smallRunOf = (model: nn.Module) => fit(model, { train: blobs(77), checkpoint: { dir }, resume: true, batchSize: 8, progress: false });

  it("start afresh where there is none", async () => {
    const { result } = await smallRun({ checkpoint: { dir: join(dir, "new") }, resume: true, epochs: 1 });
    expect(result).toMatchObject({ resumedFrom: undefined, steps: 10 });
    expect(await readdir(join(dir, "new"))).toEqual(["checkpoint-10"]);
  });
});
