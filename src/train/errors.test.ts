import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GraftError } from "../base/index.js";
import { ArrayDataset, DataLoader } from "../data/index.js";
import * as io from "../io/index.js";
import type * as nn from "../nn/index.js";
import { Adam, SGD } from "../optim/index.js";
import { F } from "../ops/index.js";
import { evaluate } from "./evaluate.js";
import { fit } from "./fit.js";
import { bitsOf, blobs, seeded, SmallNet, smallRun } from "./testing/small-run.js";
import type { FitOptions } from "./types.js";

vi.mock("../io/index.js", async (original) => ({ ...(await original<typeof io>()) }));

const quiet = { progress: false, handleSignals: false } as const;
const fail = async (options: Partial<FitOptions>, model: nn.Module = new SmallNet()): Promise<Error & { code?: string }> => {
  try {
    await fit(model, { train: blobs(20), ...quiet, ...options });
  } catch (error) {
    return error as Error;
  }
  return expect.unreachable();
};

let dir: string;
beforeEach(async () => void (dir = await mkdtemp(join(tmpdir(), "graft-train-"))));
afterEach(async () => {
  vi.restoreAllMocks();
  delete process.env.GRAFT_MEMORY_LIMIT;
  await rm(dir, { recursive: true, force: true });
});

describe("mistakes that fit names", () => {
  it.each<[string, object, RegExp]>([
    ["an unknown option", { epoch: 3 }, /train.fit: unknown option "epoch". Did you mean "epochs"/],
    ["an option that does not exist in a group", { stop: { patence: 3 } }, /unknown option "patence". Did you mean "patience"/],
    ["clipping", { clip: { norm: -1 } }, /norm is -1/],
    ["a number of epochs", { epochs: 1.5 }, /epochs is 1.5/],
    ["no data", { train: undefined }, /train is missing/],
    ["a plain list", { train: [1, 2] }, /train is a plain list. Give a Dataset/],
    ["empty data", { train: blobs(0) }, /train is empty: there are no samples/],
    ["empty validation data", { valid: blobs(0) }, /valid is empty/],
    ["an optimizer of another model", { optimizer: new Adam(new SmallNet().parameters()) }, /has no parameter of this SmallNet/],
    ["a scheduler of nothing", { scheduler: {} }, /the scheduler is {}/],
    ["a monitor without data", { stop: { monitor: "valid_accuracy" } }, /there are no validation data/],
    ["a monitor that is not measured", { stop: { monitor: "acuracy" }, epochs: 1 }, /"acuracy", which is not measured. Did you mean "accuracy"\? Measured: loss, accuracy, lr/],
    ["a batch size for a loader", { train: new DataLoader(blobs(9)), batchSize: 3 }, /batchSize is for a Dataset/],
    ["a loss beside a step", { loss: F.mseLoss, step: () => 1 }, /both loss and step/],
    ["a loss that is no scalar", { loss: (x: never) => x }, /the loss is \[20, 3\], not a scalar/],
    ["targets without a loss", { train: new ArrayDataset([1, 2].map((i) => [Float32Array.of(1, 2, 3, i), Float32Array.of(1)])) }, /targets are f32 \[2, 1\], so the loss must be named/],
    ["a log without a folder", { log: true }, /no checkpoint folder/],
  ])("%s", async (_, options, message) => {
    expect((await fail(options)).message).toMatch(message);
  });

  it("a model that learns nothing", async () => {
    const model = new SmallNet();
    model.freeze();
    expect((await fail({}, model)).message).toMatch(/SmallNet has no parameters that learn/);
  });

  it("shapes, with the module's path, step and batch", async () => {
    expect(await fail({}, new SmallNet(5))).toMatchObject({ code: "shape", message: expect.stringMatching(/^train.fit: step 1, epoch 1, batch 1: first: .*\(The batch: input \[20, 4\] f32, target \[20\] i32\.\)$/) as unknown });
  });

  it("a label that is no class, with value and sample", async () => {
    const bad = new ArrayDataset(Array.from({ length: 20 }, (_, i) => [Float32Array.of(1, 2, 3, 4), i === 13 ? 7 : 1] as const));
    const model = seeded(() => new SmallNet());
    const before = await bitsOf(model);
    const error = await fail({ train: bad, batchSize: 20 }, model);
    expect(error).toMatchObject({ code: "index", message: expect.stringMatching(/step 1, epoch 1, batch 1: label 7 of sample 13 of the data set \(row \d+ of the batch\) is out of range: the model has 3 classes, 0 to 2/) as unknown });
    expect(await bitsOf(model)).toBe(before);
    await expect(evaluate(model, bad, { batchSize: 8 })).rejects.toThrow(/train.evaluate: epoch 1, batch 2: label 7 of sample 13 of the data set \(row 5 of the batch\)/);
    await smallRun({ epochs: 1 }); // nothing of the failed step is left behind
  });

  it("a loss that is not finite; the last good checkpoint stays", async () => {
    let at = 0;
    const error = await smallRun({ loss: (x, y) => F.crossEntropy(x, y).mul(++at > 13 ? NaN : 1), valid: undefined, checkpoint: { dir } }).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: "numeric", message: expect.stringMatching(/the loss is NaN at step 14 \(epoch 2, batch 4\).*last good checkpoint is .*checkpoint-10.*GRAFT_CHECK=1/) as unknown });
    expect(await io.listCheckpoints(dir)).toEqual([10]);
  });

  it("weights that are not finite, rather than saving them", async () => {
    const error = await smallRun({ optimizer: (m) => new SGD(m.parameters(), { lr: 1e38 }), scheduler: undefined, checkpoint: { dir, every: 1 }, valid: undefined }).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: "numeric" });
    expect((error as Error).message).toMatch(/not finite|the loss is/);
    for (const step of await io.listCheckpoints(dir)) {
      for (const { data } of (await io.loadCheckpoint(join(dir, `checkpoint-${step}`))).tensors.model.values()) expect(Array.from(data).every(Number.isFinite)).toBe(true);
    }
  });
});

const noSpace = (): GraftError => new GraftError("file", "checkpoint: could not be written: the disk is full (ENOSPC).");

describe("a full disk", () => {
  it("in the middle of a run is said and trained past; at its end it is an error, with everything intact", async () => {
    const expected = await bitsOf((await smallRun()).model);
    const real = io.saveCheckpoint;
    const spy = vi.spyOn(io, "saveCheckpoint");
    spy.mockImplementation((path, content) => (content.step === 20 ? Promise.reject(noSpace()) : real(path, content)));
    const written = vi.spyOn(process.stdout, "write").mockReturnValue(true);
    const { model } = await smallRun({ checkpoint: { dir }, progress: "plain" });
    expect(written.mock.calls.map(([text]) => String(text)).join("")).toMatch(/warning: the checkpoint of step 20 was not saved: .*disk is full.*checkpoint-10\. Training goes on\./);
    expect(await bitsOf(model)).toBe(expected);
    expect(await io.listCheckpoints(dir)).toEqual([10, 30]);

    spy.mockImplementation(() => Promise.reject(noSpace()));
    const kept = seeded(() => new SmallNet());
    const error = await fail({ checkpoint: { dir: join(dir, "b") }, epochs: 1 }, kept);
    expect(error).toMatchObject({ code: "file", message: expect.stringMatching(/the checkpoint of step 1 was not saved: .*The training itself is intact: the model holds the weights of step 1/) as unknown });
    expect(await bitsOf(kept)).not.toBe(await bitsOf(seeded(() => new SmallNet())));
  });
});

describe("a step that does not fit in memory", () => {
  it("is refused with the batch size that fits", async () => {
    const model = seeded(() => new SmallNet(4, 64));
    const before = await bitsOf(model);
    process.env.GRAFT_MEMORY_LIMIT = String(200_000);
    const error = await fail({ train: blobs(600), batchSize: 512 }, model);
    expect(error.code).toBe("memory");
    const [, batch, times] = /A batch of (\d+) would fit: use batchSize: \d+, and accumulate: (\d+)/.exec(error.message) ?? [];
    expect(Number(batch)).toBeGreaterThan(16);
    expect(Number(batch)).toBeLessThan(512);
    expect(Number(times)).toBe(Math.ceil(512 / Number(batch)));
    expect(await bitsOf(model)).toBe(before);
    const { steps } = await fit(model, { train: blobs(600), batchSize: Number(batch), accumulate: Number(times), epochs: 1, ...quiet });
    expect(steps).toBe(Math.ceil(Math.ceil(600 / Number(batch)) / Number(times)));
  });
});
