import fc from "fast-check";
import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { GraftError } from "../base/index.js";
import { cleanInterrupted, writeFileAtomic, writeFolderAtomic } from "./atomic.js";
import { latestCheckpoint, listCheckpoints, loadCheckpoint, saveCheckpoint } from "./checkpoint.js";
import { checkKeys, readConfig, writeConfig } from "./config.js";

let dir: string;
beforeEach(async () => void (dir = await mkdtemp(join(tmpdir(), "graft-io-"))));
afterEach(() => rm(dir, { recursive: true, force: true }));

const weights = (value: number) => ({ w: { dtype: "f32", shape: [2], data: Float32Array.of(value, -value) } }) as const;
const save = (step: number, more: { keep?: number; best?: number } = {}): Promise<string> =>
  saveCheckpoint(dir, { step, tensors: { model: weights(step), optimizer: weights(step / 10) }, state: { step, best: Infinity, zero: -0, log: [NaN, 1.5] }, ...more });
const noSpace = (): Promise<never> => Promise.reject(Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" }));
const deadPid = (): number => spawnSync(process.execPath, ["-e", ""]).pid;

describe("atomic writes", () => {
  it("keeps the old file and leaves nothing behind when the disk is full", async () => {
    const file = join(dir, "a", "notes.json");
    await writeFileAtomic(file, "old");
    const error: unknown = await writeFileAtomic(file, async (write) => {
      await write("half of the new");
      await noSpace();
    }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(GraftError);
    expect(error).toMatchObject({ code: "file", message: expect.stringMatching(/notes\.json.*disk is full \(ENOSPC\).*is intact/) as unknown });
    expect(await readFile(file, "utf8")).toBe("old");
    expect(await readdir(join(dir, "a"))).toEqual(["notes.json"]);
  });

  it("replaces a folder as a whole, or not at all", async () => {
    const folder = join(dir, "model");
    const write = (text: string) => writeFolderAtomic(folder, (temporary) => writeFileAtomic(join(temporary, text), text));
    await write("one");
    await write("two");
    expect(await readdir(folder)).toEqual(["two"]);
    await expect(writeFolderAtomic(folder, noSpace)).rejects.toThrow(/disk is full/);
    expect(await readdir(folder)).toEqual(["two"]);
    expect(await readdir(dir)).toEqual(["model"]);
  });

  it("cleans up after a killed writer, puts a half-replaced folder back, and leaves running writers alone", async () => {
    const pid = deadPid();
    await mkdir(join(dir, `.model.${pid}-0000aaaa.old`));
    await mkdir(join(dir, `.model.${pid}-0000aaaa.tmp`));
    await writeFile(join(dir, `.w.safetensors.${process.ppid}-0000aaaa.tmp`), ""); // its process runs
    await writeFolderAtomic(join(dir, "own"), async () => {
      await cleanInterrupted(dir);
    });
    expect((await readdir(dir)).sort()).toEqual([`.w.safetensors.${process.ppid}-0000aaaa.tmp`, "model", "own"]);
  });
});

describe("checkpoints", () => {
  it("come back bit for bit, with numbers that JSON lacks", async () => {
    const folder = await save(100);
    expect((await readdir(folder)).sort()).toEqual(["model.safetensors", "optimizer.safetensors", "state.json"]);
    const back = await loadCheckpoint(folder);
    expect(back.step).toBe(100);
    expect(back.tensors.model.get("w")?.data).toEqual(Float32Array.of(100, -100));
    expect(back.state).toEqual({ step: 100, best: Infinity, zero: -0, log: [NaN, 1.5] });
    await save(100); // a resumed run may save the same step again
    expect(await readdir(dir)).toEqual(["checkpoint-100"]);
    await expect(saveCheckpoint(dir, { step: 101, tensors: {}, state: { loss: 1n } })).rejects.toThrow(/state\.loss is a bigint/);
    await expect(saveCheckpoint(dir, { step: 101, tensors: {}, state: { t: new Float32Array(1) } })).rejects.toThrow(/state\.t is a Float32Array/);
    expect(await listCheckpoints(dir)).toEqual([100]);
  });

  it("finds the newest complete one and notices damage", async () => {
    expect(await latestCheckpoint(join(dir, "nothing"))).toBeUndefined();
    await save(9);
    const ten = await save(10);
    await mkdir(join(dir, "checkpoint-11")); // no state.json
    await mkdir(join(dir, `.checkpoint-12.${deadPid()}-0123abcd.tmp`));
    expect(await latestCheckpoint(dir)).toBe(ten);
    expect((await readdir(dir)).sort()).toEqual(["checkpoint-10", "checkpoint-11", "checkpoint-9"]);
    const model = join(ten, "model.safetensors");
    const bytes = await readFile(model);
    bytes[bytes.length - 1] ^= 1;
    await writeFile(model, bytes);
    await expect(loadCheckpoint(ten)).rejects.toThrow(/model\.safetensors: does not match its checksum/);
    await truncate(model, 20);
    expect(await latestCheckpoint(dir)).toBe(join(dir, "checkpoint-9"));
    const state = join(dir, "checkpoint-9", "state.json");
    await writeFile(state, (await readFile(state, "utf8")).replace("1.5", "1.6"));
    await expect(loadCheckpoint(join(dir, "checkpoint-9"))).rejects.toThrow(/state\.json: does not match/);
  });

  it("of unknown origin are refused with a GraftError only", async () => {
    const folder = await save(7);
    const state = join(folder, "state.json");
    const valid = await readFile(state);
    const attempt = async (text: Uint8Array | string): Promise<void> => {
      await writeFile(state, text);
      await loadCheckpoint(folder).catch((error: unknown) => expect(error).toBeInstanceOf(GraftError));
      await latestCheckpoint(dir);
    };
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.nat({ max: 255 }), async (at, value) => {
        const changed = Buffer.from(valid);
        changed[at % changed.length] = value;
        await attempt(changed);
      }),
      { numRuns: 60 },
    );
    await fc.assert(fc.asyncProperty(fc.json(), fc.json(), (files, inner) => attempt(`{"format":1,"step":7,"files":${files},"stateSha256":"","state":${inner}}`)), { numRuns: 40 });
    await attempt(`{"format":1,"step":7,"files":{},"stateSha256":"","state":${"[".repeat(100_000)}${"]".repeat(100_000)}}`);
    let deep: unknown = 0;
    for (let i = 0; i < 600; i++) deep = [deep];
    await expect(saveCheckpoint(dir, { step: 8, tensors: {}, state: deep })).rejects.toMatchObject({ code: "state" });
  });

  it("keeps N and the best one", async () => {
    for (const step of [1, 2, 3, 4, 5]) await save(step, { keep: 2, best: 2 });
    expect(await listCheckpoints(dir)).toEqual([2, 4, 5]);
    await expect(save(6, { keep: 0 })).rejects.toThrow(/keep is 0/);
  });
});

describe("config", () => {
  it("is written and read, and unknown keys are named together", async () => {
    await writeConfig(dir, { architecture: "simple-cnn", classes: 10 });
    expect(await readConfig(dir)).toEqual({ architecture: "simple-cnn", classes: 10 });
    await expect(writeConfig(dir, { architecture: "simple-cnn", dropout: NaN })).rejects.toThrow(/NaN, an infinity or -0/);
    await writeFile(join(dir, "config.json"), '{"a":1,"a":2}');
    await expect(readConfig(dir)).rejects.toThrow(/"a" appears twice/);
    expect(() => checkKeys("simple-cnn", { hiden: 1, clases: 2 }, ["hidden", "classes"])).toThrow(/"hiden". Did you mean "hidden"\? .*"clases". Did you mean "classes"\? Known keys: hidden, classes/);
  });
});
