import { readFile } from "node:fs/promises";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { F, hasNative, realize, tensor, tune, useBackend, type Tensor } from "graftml";
import * as models from "graftml/models";
import { difference, goldenPath } from "./cases.js";

// Adapters that PEFT made (scripts/golden/adapters.py), with what it computes with them.

interface Expected {
  readonly inputIds: readonly (readonly number[])[];
  readonly shape: readonly number[];
  readonly logits: readonly number[];
  readonly gradNorms: Readonly<Record<string, number>>;
}

const cases = readdirSync(goldenPath("adapters"));
const baseOf = (name: string): string => goldenPath(`models/${name.slice(0, name.lastIndexOf("-"))}`);
const list = (values: readonly number[], shape: readonly number[] = [values.length]) => ({ data: Float64Array.from(values), shape });
const tokens = (ids: readonly (readonly number[])[]): Tensor => tensor(Int32Array.from(ids.flat()), { shape: [ids.length, ids[0].length] });

beforeAll(() => {
  if (hasNative()) useBackend("cpu");
});
afterAll(() => useBackend(undefined));

describe("adapters made by PEFT", () => {
  it.each(cases)("%s: logits and gradients", async (name) => {
    const folder = goldenPath(`adapters/${name}`);
    const expected = JSON.parse(await readFile(join(folder, "expected.json"), "utf8")) as Expected;
    const model = await models.load<models.TextModel>(baseOf(name));
    await tune.loadPeft(model, folder, { trainable: true });
    const { logits } = model.forward(tokens(expected.inputIds));
    F.sum(F.square(logits)).backward();
    expect(difference("logits", await logits.data(), logits.shape, list(expected.logits, expected.shape), 1e-5, 1e-5)).toBeUndefined();
    const gradients = [...model.namedParameters()].flatMap(([path, { grad }]) => (grad === null ? [] : [[path, grad] as const]));
    await realize(...gradients.map(([, grad]) => grad));
    expect(gradients.map(([path]) => path).sort()).toEqual(Object.keys(expected.gradNorms).sort());
    const problems = gradients.map(([path, grad]) => difference(path, Float64Array.of(Math.hypot(...grad.dataSync())), [1], list([expected.gradNorms[path]]), 1e-5, 1e-7));
    expect(problems.filter((problem) => problem !== undefined)).toEqual([]);
  });
});
