import { mkdtemp, readFile, rm } from "node:fs/promises";
import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { io, noGrad, tensor, type Tensor } from "graftml";
import * as models from "graftml/models";
import { goldenPath } from "../golden/cases.js";
import { readOnnx, type ReadModel } from "./read-onnx.js";
import { runOnnx, whereFound, type Fed } from "./runtime.js";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "graft-onnx-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const cases = ["models", "models-extra"].flatMap((set) => readdirSync(goldenPath(set), { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => `${set}/${entry.name}`));
const load = (name: string): Promise<models.TextModel> => models.load<models.TextModel>(goldenPath(name));

/** Every value is made before it is read, once; bytes of constants fit their shapes. */
function problemsOf({ nodes, constants, inputs, outputs }: ReadModel): string[] {
  const problems: string[] = [];
  const known = new Set<string>([...inputs, ...constants].map(({ name }) => name));
  const widths: Readonly<Record<number, number>> = { 1: 4, 6: 4, 7: 8, 9: 1, 10: 2, 16: 2 };
  for (const { name, dims, type, raw } of constants) if (raw?.length !== dims.reduce((n, size) => n * size, widths[type])) problems.push(`${name} ${dims.join()} has ${raw?.length} bytes`);
  for (const { name, inputs: read, outputs: made } of nodes) {
    problems.push(...read.filter((input) => !known.has(input)).map((input) => `${name} reads ${input}, which is not there`));
    problems.push(...made.filter((output) => known.has(output)).map((output) => `${name} makes ${output} a second time`));
    for (const output of made) known.add(output);
  }
  problems.push(...outputs.filter(({ name }) => !known.has(name)).map(({ name }) => `nothing makes ${name}`));
  if (new Set(nodes.map(({ name }) => name)).size !== nodes.length) problems.push("two nodes have one name");
  return problems;
}

const integers = ({ constants }: ReadModel): number[] =>
  constants.flatMap(({ type, raw }) => (type === 7 ? [...new BigInt64Array(Uint8Array.from(raw!).buffer)].map(Number) : []));

describe("an exported text model", () => {
  it.each(cases)("%s: a sound graph with free batch and length", async (name) => {
    const file = join(dir, "structure.onnx");
    const model = await load(name);
    const result = await models.exportOnnx(model, file);
    const read = readOnnx(await readFile(file));
    expect(problemsOf(read)).toEqual([]);
    expect({ irVersion: read.irVersion, opsets: read.opsets, producer: read.producer[0] }).toEqual({ irVersion: 8, opsets: [["", 17]], producer: "graftml" });
    expect(read.metadata.model_type).toBe(model.config.model_type);
    expect(read.inputs.map(({ name: input, shape, type }) => [input, shape, type])).toEqual(result.inputs.map(({ name: input }) => [input, ["batch_size", "sequence_length"], 7]));
    expect(read.outputs).toEqual([{ name: "logits", type: 1, shape: result.outputs[0].shape }]);
    expect(integers(read).filter((n) => n > 130)).toEqual([]); // no size of a recording, whose batches are larger than any dim of these models
    expect(model.modules().some(({ moduleHooks }) => (moduleHooks?.before.length ?? 0) > 0)).toBe(false);
  });
});

let seed = 1;
const random = (below: number): number => (seed = (seed * 48271) % 2147483647) % below;
const list = (count: number, value: (i: number) => number): number[] => Array.from({ length: count }, (_, i) => value(i));
const ids = (data: readonly number[], B: number, T: number): Tensor => tensor(Int32Array.from(data), { shape: [B, T] });

/** What Transformers was given and gave (scripts/golden). */
async function reference(name: string, inputs: readonly string[]): Promise<{ readonly feed: Record<string, Fed>; readonly logits: io.HostTensor }> {
  const tensors = await io.readSafetensors(`${goldenPath(name)}/reference.safetensors`);
  const { shape, data } = tensors.get("in/input_ids")!;
  const feed = inputs.map((input): [string, Fed] => {
    const given = tensors.get(`in/${input}`)?.data ?? data.map(() => (input === "attention_mask" ? 1 : 0));
    return [input, { type: "i64", shape, data: [...given] }];
  });
  return { feed: Object.fromEntries(feed), logits: tensors.get("logits")! };
}

describe.skipIf(runOnnx === undefined)(`logits of text models (${whereFound})`, () => {
  it.each(cases)("%s: as Transformers', and as Graft's for batches and lengths of all kinds, with and without padding", async (name) => {
    const file = join(dir, "logits.onnx");
    const model = await load(name);
    const { inputs } = await models.exportOnnx(model, file);
    const segments = inputs.some((input) => input.name === "token_type_ids");
    const rows = (model as { maxPositions?: number }).maxPositions ?? (model.config.max_position_embeddings as number) - 2; // RoBERTa's first position is 2
    const longest = Math.min(30, rows);
    const { feed, logits: golden } = await reference(name, inputs.map((input) => input.name));
    const feeds = [feed];
    const expected: { shape: readonly number[]; data: ArrayLike<number> }[] = [golden];
    for (const [B, T] of [[1, 1], [3, 5], [2, longest]]) {
      for (const padded of [false, true]) {
        const lengths = list(B, () => (padded ? 1 + random(T) : T));
        const mask = list(B * T, (i) => (i % T < lengths[Math.floor(i / T)] ? 1 : 0));
        const tokens = list(B * T, (i) => (mask[i] === 1 ? 2 + random((model.config.vocab_size as number) - 2) : ((model.config.pad_token_id as number | null) ?? 0)));
        const types = list(B * T, (i) => (i % T > T / 2 ? 1 : 0));
        const fed = (data: readonly number[]): Fed => ({ type: "i64", shape: [B, T], data });
        feeds.push({ input_ids: fed(tokens), attention_mask: fed(mask), ...(segments ? { token_type_ids: fed(types) } : {}) });
        const { logits } = noGrad(() => model.forward(ids(tokens, B, T), { attentionMask: ids(mask, B, T), ...(segments ? { tokenTypeIds: ids(types, B, T) } : {}) }));
        expected.push({ shape: logits.shape, data: await logits.data() });
      }
    }
    const found = await runOnnx!(file, feeds);
    found.forEach(({ logits: { shape, data } }, i) => {
      expect(shape).toEqual(expected[i].shape);
      const distances = Array.from(data, (value, k) => Math.abs(value - expected[i].data[k]));
      expect(distances.every((distance) => distance < 1e-4)).toBe(true); // NaN is not
    });
  });
});
