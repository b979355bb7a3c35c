import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hasNative, noGrad, optim, tensor, tune, useBackend, type Tensor } from "graftml";
import * as models from "graftml/models";
import { difference, goldenPath, stored, type StoredTensors } from "./cases.js";
import { readSafetensors } from "../../src/io/index.js";

interface LoraReference {
  readonly r: number;
  readonly alpha: number;
  readonly targetModules: readonly string[];
  readonly lr: number;
  readonly losses: readonly number[];
}

const cases = readdirSync(goldenPath("models")).filter((name) => existsSync(goldenPath(`models/${name}/adapter`)));
// The reference trains without weight decay. Adam divides small gradients by their own size, so that rounding grows in ten steps at a rate of 0.01: weights within 2e-4.
const tolerance = { logits: [2e-5, 2e-5], losses: [1e-5, 1e-5], weights: [1e-4, 2e-4], merged: [1e-5, 1e-5] } as const;

/** PEFT writes lists of names in any order. */
const sorted = (value: unknown): unknown => (Array.isArray(value) ? [...(value as string[])].sort() : value);

const list = (values: ArrayLike<number>) => ({ data: Float64Array.from(values), shape: [values.length] });

interface Opened {
  readonly model: models.TextModel;
  readonly ids: Tensor;
  readonly labels: Tensor;
  readonly reference: LoraReference;
  readonly tensors: StoredTensors;
  readonly folder: string;
}

async function open(name: string): Promise<Opened> {
  const folder = goldenPath(`models/${name}`);
  const { lora } = JSON.parse(readFileSync(`${folder}/reference.json`, "utf8")) as { readonly lora: LoraReference };
  const tensors = await readSafetensors(`${folder}/reference.safetensors`);
  const input = (key: string): Tensor => {
    const { data, shape, dtype } = stored(tensors, `in/${key}`);
    return tensor(data, { shape, dtype });
  };
  return { model: await models.load<models.TextModel>(folder), ids: input("input_ids"), labels: input("labels"), reference: lora, tensors, folder };
}

const logitsOf = ({ model, ids }: Opened): Promise<Float32Array> => noGrad(() => model.forward(ids).logits.data() as Promise<Float32Array>);

async function compareAdapters(found: string, expected: string): Promise<string[]> {
  const [a, b] = [await readSafetensors(join(found, "adapter_model.safetensors")), await readSafetensors(join(expected, "adapter_model.safetensors"))];
  expect([...a.keys()].sort()).toEqual([...b.keys()].sort());
  const problems = [...b].map(([key, value]) => difference(key, a.get(key)!.data, a.get(key)!.shape, { ...value, data: Float64Array.from(value.data) }, ...tolerance.weights));
  return problems.filter((problem) => problem !== undefined);
}

let folder: string;
beforeAll(async () => {
  if (hasNative()) useBackend("cpu");
  folder = await mkdtemp(join(tmpdir(), "graft-lora-"));
});
afterAll(async () => {
  useBackend(undefined);
  await rm(folder, { recursive: true });
});

describe.each(cases)("LoRA as PEFT computes it: %s", (name) => {
  it("ten steps of AdamW give its losses, logits and adapter; merged and unmerged weights agree", async () => {
    const opened = await open(name);
    const { model, ids, labels, reference, tensors } = opened;
    const before = await logitsOf(opened);
    await tune.loadPeft(model, join(opened.folder, "adapter"), { trainable: true });
    const optimizer = new optim.AdamW(model.parameters(), { lr: reference.lr, weightDecay: 0 });
    const losses: number[] = [];
    for (let i = 0; i < reference.losses.length; i++) {
      optimizer.zeroGrad();
      const { loss } = model.forward(ids, { labels });
      loss!.backward();
      await optimizer.step();
      losses.push(loss!.item());
    }
    const logits = await logitsOf(opened);
    const problems = [
      difference("losses", Float64Array.from(losses), [losses.length], list(reference.losses), ...tolerance.losses),
      difference("logits", logits, stored(tensors, "lora/logits").shape, stored(tensors, "lora/logits"), ...tolerance.logits),
    ];
    expect(problems.filter((problem) => problem !== undefined)).toEqual([]);

    const trained = join(folder, name);
    const config = await tune.savePeft(model, trained, { baseModel: "base" });
    expect(await compareAdapters(trained, join(opened.folder, "adapter-trained"))).toEqual([]);
    const theirs = JSON.parse(await readFile(join(opened.folder, "adapter/adapter_config.json"), "utf8")) as Record<string, unknown>;
    for (const key of ["r", "lora_alpha", "target_modules", "fan_in_fan_out", "use_rslora", "use_dora", "bias", "modules_to_save"]) expect([key, sorted(config[key])]).toEqual([key, sorted(theirs[key])]);

    await tune.merge(model);
    expect(difference("merged", await logitsOf(opened), [logits.length], list(logits), ...tolerance.merged)).toBeUndefined();
    tune.unmerge(model);
    tune.setAdapter(model, null);
    expect(await logitsOf(opened)).toEqual(before);
    tune.setAdapter(model, "default");
    await tune.mergeAndUnload(model);
    expect(difference("unloaded", await logitsOf(opened), [logits.length], list(logits), ...tolerance.merged)).toBeUndefined();
    expect([...model.stateDict().keys()]).toEqual([...(await models.load(opened.folder)).stateDict().keys()]);
  });

  it("the trained adapter gives its logits", async () => {
    const opened = await open(name);
    await tune.loadPeft(opened.model, join(opened.folder, "adapter-trained"));
    expect(opened.model.parameters().some(({ requiresGrad }) => requiresGrad)).toBe(false);
    const expected = stored(opened.tensors, "lora/logits");
    expect(difference("logits", await logitsOf(opened), expected.shape, expected, 1e-5, 1e-5)).toBeUndefined();
  });
});

it("leaves nothing half-written", async () => {
  for (const name of await readdir(folder)) expect((await readdir(join(folder, name))).sort()).toEqual(["adapter_config.json", "adapter_model.safetensors"]);
});
