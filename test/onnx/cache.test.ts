import { mkdtemp, readFile, rm } from "node:fs/promises";
import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { noGrad, tensor, type Tensor } from "graftml";
import * as models from "graftml/models";
import { goldenPath } from "../golden/cases.js";
import { readOnnx } from "./read-onnx.js";
import { runOnnx, whereFound, type Fed, type Result } from "./runtime.js";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "graft-onnx-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const cases = ["models", "models-extra"].flatMap((set) => readdirSync(goldenPath(set), { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => `${set}/${entry.name}`)).filter((name) => !/bert|dynamic|longrope/.test(name));
const load = (name: string): Promise<models.TextModel> => models.load<models.TextModel>(goldenPath(name));
const list = (count: number, value: (i: number) => number): number[] => Array.from({ length: count }, (_, i) => value(i));

const [B, T] = [2, 12];
const padding = 3; // of the second sequence, in front
/** Columns from `from` up to `to` of rows of T. */
const columns = (rows: readonly number[], from: number, to: number): number[] => rows.filter((_, i) => i % T >= from && i % T < to);
const i64 = (shape: readonly number[], data: readonly number[]): Fed => ({ type: "i64", shape, data });

describe.skipIf(runOnnx === undefined)(`keys and values that are kept (${whereFound})`, () => {
  it.each(cases)("%s: piece by piece as all at once, with padding in front", async (name) => {
    const model = await load(name);
    const file = join(dir, "cache.onnx");
    const { inputs } = await models.exportOnnx(model, file, { cache: true });
    const words = model.config.vocab_size as number;
    const tokens = list(B * T, (i) => 2 + ((i * 7919 + 5) % (words - 2)));
    const mask = list(B * T, (i) => (i >= T && i < T + padding ? 0 : 1));
    const positions = list(B * T, (i) => (i < T ? i : Math.max(0, i - T - padding)));
    const whole = (data: readonly number[]): Tensor => tensor(Int32Array.from(data), { shape: [B, T] });
    const expected = await noGrad(() => model.forward(whole(tokens), { attentionMask: whole(mask), positionIds: whole(positions) }).logits).data();

    let past: Readonly<Record<string, Result>> = {};
    const pieces = [0, 5, 6, 7, T];
    for (const [p, from] of pieces.slice(0, -1).entries()) {
      const to = pieces[p + 1];
      const feed: Record<string, Fed> = {
        input_ids: i64([B, to - from], columns(tokens, from, to)),
        attention_mask: i64([B, to], columns(mask, 0, to)),
        position_ids: i64([B, to - from], columns(positions, from, to)),
      };
      for (const { name: input, shape } of inputs) {
        if (!input.startsWith("past_key_values.")) continue;
        const { data, shape: given } = past[input.replace("past_key_values", "present")] ?? { data: [], shape: [B, shape[1] as number, 0, shape[3] as number] };
        feed[input] = { type: "f32", shape: given, data: Array.from(data) };
      }
      [past] = await runOnnx!(file, [feed]);
      const { logits } = past;
      expect(logits.shape).toEqual([B, to - from, words]);
      for (let b = 0; b < B; b++) {
        for (let t = Math.max(from, b * padding); t < to; t++) { // a place of padding has no right answer
          const row = list(words, (v) => Math.abs(logits.data[(b * (to - from) + t - from) * words + v] - expected[(b * T + t) * words + v]));
          expect(row.every((distance) => distance < 1e-4)).toBe(true);
        }
      }
    }
  });
});

it("names of Hugging Face's exports", async () => {
  const file = join(dir, "names.onnx");
  await models.exportOnnx(await load("models/gpt2"), file, { cache: true, batch: 1 });
  const { inputs, outputs } = readOnnx(await readFile(file));
  expect(inputs.map(({ name, shape }) => `${name} ${shape.join(" | ")}`)).toEqual([
    "input_ids 1 | sequence_length",
    "attention_mask 1 | past_sequence_length + sequence_length",
    "position_ids 1 | sequence_length",
    ...["0.key", "0.value", "1.key", "1.value"].map((key) => `past_key_values.${key} 1 | 4 | past_sequence_length | 8`),
  ]);
  expect(outputs.map(({ name }) => name)).toEqual(["logits", "present.0.key", "present.0.value", "present.1.key", "present.1.value"]);
});

it("is refused where nothing is kept, or keys change", async () => {
  await expect(models.exportOnnx(await load("models/bert-mlm"), join(dir, "no.onnx"), { cache: true })).rejects.toThrow(/BertForMaskedLM does not predict next tokens/);
  await expect(models.exportOnnx(await load("models-extra/phi3-longrope"), join(dir, "no.onnx"), { cache: true })).rejects.toThrow(/beyond \d+ tokens .*LongRoPE/);
  await expect(models.exportOnnx(new models.MLP(), join(dir, "no.onnx"), { cache: true })).rejects.toThrow(/takes no sequences/);
});
