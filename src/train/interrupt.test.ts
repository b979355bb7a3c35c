import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ArrayDataset } from "../data/index.js";
import { listCheckpoints } from "../io/index.js";
import { Linear } from "../nn/index.js";
import { fit } from "./fit.js";
import { bitsOf, blobs, smallRun } from "./testing/small-run.js";

let dir: string;
beforeEach(async () => void (dir = await mkdtemp(join(tmpdir(), "graft-train-"))));
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(dir, { recursive: true, force: true });
});

const output = (): { text: () => string } => {
  let text = "";
  for (const stream of [process.stdout, process.stderr]) vi.spyOn(stream, "write").mockImplementation((part) => ((text += String(part)), true));
  return { text: () => text };
};

describe("Ctrl-C", () => {
  it("finishes the step, saves, and says how to go on", async () => {
    const whole = await bitsOf((await smallRun()).model);
    const { text } = output();
    const checkpoint = { dir, every: 1000 };
    const { result } = await smallRun({ checkpoint, progress: "plain", callbacks: { onBatchEnd: ({ step }) => void (step === 13 && process.emit("SIGINT")) } });
    expect(result).toMatchObject({ stopped: "interrupted", steps: 13, checkpoint: join(dir, "checkpoint-13") });
    expect(text()).toMatch(/stopping after this step; Ctrl-C again leaves at once/);
    expect(text()).toMatch(/interrupted after step 13\. Saved to .*checkpoint-13\. Go on with train\.fit\(model, { \.\.\., resume: true }\)\./);
    expect(process.listenerCount("SIGINT")).toBe(0);
    const { model } = await smallRun({ checkpoint, resume: true });
    expect(await bitsOf(model)).toBe(whole);
  });

  it("comes through between steps that never wait for anything", async () => {
    const samples = new ArrayDataset([[Float32Array.of(1, 2), 0] as const]); // one batch per epoch, computed on this thread
    const { stopped } = await fit(new Linear(2, 2), { train: samples, epochs: 1e9, progress: false, signal: AbortSignal.timeout(100) });
    expect(stopped).toBe("interrupted");
  });

  it("in an evaluation leaves it, and the resumed run evaluates again", async () => {
    const whole = await smallRun();
    output();
    let batches = 0;
    const valid = { ...blobs(30, 1000), length: 30, get: (i: number) => (++batches === 20 && process.emit("SIGTERM"), blobs(30, 1000).get(i)) };
    const first = await smallRun({ valid, checkpoint: { dir } });
    expect(first.result).toMatchObject({ stopped: "interrupted", steps: 10, history: [] });
    const { model, result } = await smallRun({ checkpoint: { dir }, resume: true });
    expect(await bitsOf(model)).toBe(await bitsOf(whole.model));
    expect(result.history.map(({ valid_loss }) => valid_loss)).toEqual(whole.result.history.map(({ valid_loss }) => valid_loss));
  });

  it("without a folder says that nothing was saved, and a second one leaves at once", async () => {
    const { text } = output();
    const exit = vi.spyOn(process, "exit").mockReturnValue(undefined as never);
    const twice = () => {
      process.emit("SIGINT");
      process.emit("SIGINT");
    };
    await smallRun({ progress: "plain", callbacks: { onBatchEnd: ({ step }) => void (step === 2 && twice()) } });
    expect(exit).toHaveBeenCalledWith(130);
    expect(text()).toMatch(/nothing was saved \(checkpoint: { dir }\)/);
  });

  it("as a real signal ends a process in order", async () => {
    const script = fileURLToPath(new URL("./testing/killed-run.ts", import.meta.url));
    const child = spawn(process.execPath, ["--import", "tsx", script, dir], { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    child.stdout.on("data", (chunk: Buffer) => {
      if (!text.includes("step 5\n") && (text += chunk.toString()).includes("step 5\n")) child.kill("SIGINT");
      else text += chunk.toString();
    });
    expect(await new Promise((resolve) => child.on("exit", resolve))).toBe(0);
    expect(text).toMatch(/done interrupted\n$/);
    const [last] = (await listCheckpoints(dir)).slice(-1);
    expect(last).toBeGreaterThanOrEqual(5);
    expect(last).toBeLessThan(30);
  });
});
