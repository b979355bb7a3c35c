import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readScalars } from "../../src/train/testing/read-events.js";
import { graft, here, scratch } from "./run.js";

const { dir, remove } = scratch();
afterAll(remove);

/** A table of three classes. */
beforeAll(() => {
  const rows = Array.from({ length: 120 }, (_, i) => `${Math.sin(i) + (i % 3)},${Math.cos(3 * i) - (i % 3)},${"abc"[i % 3]}`);
  writeFileSync(join(dir, "points.csv"), `x,y,kind\n${rows.join("\n")}\n`);
  writeFileSync(join(dir, "r.yaml"), "data: { csv: points.csv, label: kind }\nmodel: { layers: [{ Linear: 8 }, ReLU, { Linear: 3 }] }\noptimizer: { name: Adam, lr: 0.02 }\nbatchSize: 16\nepochs: 3\n");
  const program = 'import { data, defineTraining, models } from "graftml";\nexport default defineTraining({\n  settings: { epochs: 2, batchSize: 32 },\n  data: async () => data.load("digits"),\n  model: ({ data: { inputShape } }) => new models.MLP({ inputShape, hidden: [8] }),\n});\n';
  writeFileSync(join(dir, "p.ts"), program);
});

const run = (...args: string[]) => here(["train", ...args], { cwd: dir });
type Line = Readonly<Record<string, number>>;
const lines = (name: string): Line[] => readFileSync(join(dir, name, "metrics.jsonl"), "utf8").trim().split("\n").map((line) => JSON.parse(line) as Line);
const record = (name: string) => JSON.parse(readFileSync(join(dir, name, "run.json"), "utf8")) as { seed: number; dataHash: string; versions: Record<string, string> };

describe("graft train", () => {
  it("takes averages, watchdog and logs from flags and keys", async () => {
    const { code, err } = await run("r.yaml", "--out", "flags", "--ema", "0.9", "--watchdog", "skip", "--tensorboard", "--log-every", "2", "--no-progress");
    expect([code, err]).toEqual([0, ""]);
    expect(lines("flags").flatMap(({ step, loss }) => (loss === undefined ? [] : [step])).slice(0, 3)).toEqual([2, 4, 6]);
    expect(readScalars(join(dir, "flags")).filter(({ tag }) => tag === "eval/loss").length).toBe(3);
    expect(readdirSync(join(dir, "flags", `checkpoint-${lines("flags").at(-1)!.step}`))).toContain("ema.safetensors");
    writeFileSync(join(dir, "keys.yaml"), `${readFileSync(join(dir, "r.yaml"), "utf8")}ema: { decay: 0.9 }\nwatchdog: { nan: skip, spike: skip }\ntensorboard: true\nlogEvery: 2\ncheckpoint: { keep: 9 }\n`);
    expect((await run("keys.yaml", "--out", "keys", "--no-progress")).code).toBe(0);
    expect(readFileSync(join(dir, "keys", "model.safetensors")).equals(readFileSync(join(dir, "flags", "model.safetensors")))).toBe(true);
    expect(readdirSync(join(dir, "keys")).filter((name) => name.startsWith("checkpoint-")).length).toBe(3);
    expect(await run("r.yaml", "--set", "watchdog.spike=skp")).toMatchObject({ code: 1, err: expect.stringMatching(/watchdog\.spike is "skp"\. Did you mean "skip"/) as unknown });
    expect((await run("r.yaml", "--ema", "much")).code).toBe(2);
    expect((await run("r.yaml", "--watchdog", "bark")).code).toBe(2);
  });

  it("keeps seed, versions and a hash of the data, and refuses to go on with other data", async () => {
    expect((await run("r.yaml", "--out", "a", "--no-progress", "--seed", "4")).code).toBe(0);
    expect(record("a")).toMatchObject({ seed: 4, versions: { graft: expect.any(String) as unknown, node: process.versions.node, backend: expect.any(String) as unknown } });
    expect(record("a").dataHash).toMatch(/^[0-9a-f]{64}$/);
    const text = readFileSync(join(dir, "points.csv"), "utf8");
    writeFileSync(join(dir, "points.csv"), text.replace("\n0,", "\n9,"));
    expect(await run("r.yaml", "--out", "a", "--resume", "--epochs", "4", "--no-progress")).toMatchObject({ code: 1, err: expect.stringMatching(/a: the run began with other data .*--overwrite/) as unknown });
    writeFileSync(join(dir, "points.csv"), text);
    expect((await run("r.yaml", "--out", "a", "--resume", "--epochs", "4", "--no-progress")).code).toBe(0);
  });

  it("overfits a few batches, also of a program", async () => {
    const { out } = await run("r.yaml", "--overfit-batches", "1", "--epochs", "200", "--out", "over", "--no-progress");
    expect(out).not.toMatch(/^test/m);
    expect(lines("over").at(-2)!.loss).toBeLessThan(0.25 * lines("over")[0].loss);
    const program = await graft(["train", "p.ts", "--overfit-batches", "2", "--ema", "0.5", "--out", "program", "--no-progress"], { cwd: dir });
    expect([program.code, program.err]).toEqual([0, ""]);
    expect(lines("program").at(-1)!.step).toBe(4);
  });

  it("tries one batch of everything, and finds a learning rate, without files", async () => {
    const dev = await run("r.yaml", "--fast-dev-run", "--out", "none");
    expect([dev.code, dev.err]).toEqual([0, ""]);
    expect(dev.out).toMatch(/fast dev run: one batch each of train \(loss [\d.]+\), valid \(loss [\d.]+\), test \(loss [\d.]+\)/);
    const found = await run("r.yaml", "--find-lr", "--out", "none");
    expect([found.code, found.err]).toEqual([0, ""]);
    expect(found.out).toMatch(/learning rate +loss +smoothed[^]*steepest descent[^]*suggested learning rate: \d\.\d+e-\d/);
    expect(existsSync(join(dir, "none"))).toBe(false);
    expect((await run("r.yaml", "--find-lr", "--fast-dev-run")).code).toBe(2);
    const program = await graft(["train", "p.ts", "--find-lr", "--out", "none"], { cwd: dir });
    expect(program.out).toMatch(/suggested learning rate/);
    expect(existsSync(join(dir, "none"))).toBe(false);
  });
});
