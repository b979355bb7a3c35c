import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { realize, tensor, useBackend, type Tensor } from "graftml";
import { hasBackend, roundings, suiteBackends } from "../backends.js";
import * as models from "graftml/models";
import * as optim from "graftml/optim";
import { difference, goldenPath, stored, type StoredTensors } from "./cases.js";
import { readSafetensors } from "../../src/io/index.js";

interface Reference {
  readonly inputs: readonly string[];
  readonly loss: number;
  readonly gradNorms: Readonly<Record<string, number>>;
  readonly adamw?: { readonly lr: number; readonly weightDecay: number; readonly losses: readonly number[] };
  // of models-extra
  readonly greedy?: readonly number[];
  readonly penalty?: readonly number[];
  readonly padded?: { readonly prompts: readonly (readonly number[])[]; readonly tokens: readonly (readonly number[])[] };
  readonly beams?: readonly (Required<Pick<models.BeamOptions, "lengthPenalty" | "earlyStopping">> & { readonly eosTokenId: number | number[]; readonly tokens: readonly (readonly number[])[]; readonly scores: readonly number[] })[];
}

/** Names of inputs in the files, and what `forward` calls them. */
const inputNames = { attention_mask: "attentionMask", token_type_ids: "tokenTypeIds", labels: "labels" } as const;

// Measured in f32 on models: logits 2e-6, losses after 10 steps 2e-6, norms 3e-7 of their value; a norm that is 0 but for rounding (key biases) 1e-7 of the largest.
const tolerance = { logits: [1e-5, 1e-5], loss: [1e-5, 1e-5], gradNorm: [1e-5, 5e-7] } as const;

const foldersOf = (name: string): string[] => readdirSync(goldenPath(name), { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => `${name}/${entry.name}`);
const cases = [...foldersOf("models"), ...foldersOf("models-extra")];
const readReference = (name: string): Reference => JSON.parse(readFileSync(`${goldenPath(name)}/reference.json`, "utf8")) as Reference;
const isCausal = (name: string): boolean => !name.includes("bert");
const hasContinuations = (name: string): boolean => readReference(name).penalty !== undefined;

const list = (values: readonly number[]) => ({ data: Float64Array.from(values), shape: [values.length] });

async function open(name: string): Promise<{ model: models.TextModel; ids: Tensor; inputs: models.TextInputs; reference: Reference; tensors: StoredTensors }> {
  const folder = goldenPath(name);
  const reference = readReference(name);
  const tensors = await readSafetensors(`${folder}/reference.safetensors`);
  const input = (key: string): Tensor => {
    const { data, shape, dtype } = stored(tensors, `in/${key}`);
    return tensor(data, { shape, dtype });
  };
  const given = reference.inputs.filter((key): key is keyof typeof inputNames => key in inputNames);
  const inputs = Object.fromEntries(given.map((key) => [inputNames[key], input(key)]));
  return { model: await models.load<models.TextModel>(folder), ids: input("input_ids"), inputs, reference, tensors };
}

/** Norms of all gradients; those of Mixtral's experts also as Transformers counts them, which keeps all experts of a layer in two tensors. */
function norms(model: models.TextModel): Map<string, number> {
  const squares = new Map<string, number>();
  const add = (name: string, square: number): void => void squares.set(name, (squares.get(name) ?? 0) + square);
  for (const [name, { grad }] of model.namedParameters()) {
    const square = grad === null ? 0 : [...grad.dataSync()].reduce((sum, value) => sum + value * value, 0);
    add(name, square);
    const moe = /^(.*)\.block_sparse_moe\.(?:gate|experts\.\d+)(?:\.(w[123]))?\.weight$/.exec(name);
    if (moe) add(`${moe[1]}.mlp.${moe[2] === undefined ? "gate.weight" : moe[2] === "w2" ? "experts.down_proj" : "experts.gate_up_proj"}`, square);
  }
  return new Map([...squares].map(([name, square]) => [name, Math.sqrt(square)]));
}

describe.each(suiteBackends)("golden models on the %s backend", (backend) => {
  beforeAll(() => {
    if (hasBackend(backend)) useBackend(backend);
  });
  afterAll(() => useBackend(undefined));

  const chosen = backend !== "reference" ? cases : ["models/mistral", "models/bert-mlm", "models-extra/gemma2-eager"]; // the oracle is slow
  describe.each(chosen)("%s", (name) => {
    it("logits, loss and gradients", async () => {
      const { model, ids, inputs, reference, tensors } = await open(name);
      const { logits, loss } = model.forward(ids, inputs);
      loss!.backward();
      await realize(logits, loss!, ...model.parameters().flatMap(({ grad }) => (grad === null ? [] : [grad])));
      const found = norms(model);
      const expected = Object.entries(reference.gradNorms);
      const [rtol, share] = tolerance.gradNorm;
      const logitBound = tolerance.logits.map((bound) => bound * roundings(name)) as [number, number];
      const atol = share * Math.max(...expected.map(([, norm]) => norm));
      const problems = [
        difference("logits", await logits.data(), logits.shape, stored(tensors, "logits"), ...logitBound),
        difference("loss", Float64Array.of(loss!.item()), [1], list([reference.loss]), ...tolerance.loss),
        ...expected.map(([path, norm]) => difference(path, Float64Array.of(found.get(path) ?? NaN), [1], list([norm]), rtol, atol)),
      ];
      expect(problems.filter((problem) => problem !== undefined)).toEqual([]);
      expect([...model.namedParameters().keys()].filter((path) => !(path in reference.gradNorms) && !path.includes("block_sparse_moe"))).toEqual([]);
    });

    it.skipIf(readReference(name).adamw === undefined)("ten steps of AdamW", async () => {
      const { model, ids, inputs, reference } = await open(name);
      const { losses: expected, ...options } = reference.adamw!;
      const optimizer = new optim.AdamW(model.parameters(), options);
      const losses: number[] = [];
      for (let i = 0; i < (backend !== "reference" ? expected.length : 2); i++) {
        optimizer.zeroGrad();
        const loss = model.forward(ids, inputs).loss!;
        loss.backward();
        await optimizer.step();
        losses.push(loss.item());
      }
      expect(difference("losses", Float64Array.from(losses), [losses.length], list(expected.slice(0, losses.length)), ...tolerance.loss)).toBeUndefined();
    });
  });

  it.each(chosen.filter(isCausal))("%s: greedy continuation", async (name) => {
    const { model, tensors, reference } = await open(name);
    const expected = reference.greedy ?? [...(tensors.get("greedy")?.data ?? [])];
    const start = reference.greedy === undefined ? 5 : 7;
    if (expected.length === 0) return; // phi3-longrope, see its note
    const { sequences } = await models.generate(model, expected.slice(0, start), { maxNewTokens: backend !== "reference" ? expected.length - start : 2 });
    expect(sequences[0]).toEqual(expected.slice(0, sequences[0].length));
  });
});

describe("golden continuations", () => {
  it.each(cases.filter(hasContinuations))("%s: repetition penalty, padding on the left, beams", async (name) => {
    const { model, reference } = await open(name);
    const prompt = reference.greedy!.slice(0, 7);
    const { sequences } = await models.generate(model, prompt, { maxNewTokens: reference.penalty!.length - 7, repetitionPenalty: 1.3 });
    expect(sequences[0]).toEqual(reference.penalty);
    const { prompts, tokens } = reference.padded!;
    const padded = await models.generate(model, prompts, { maxNewTokens: tokens[0].length });
    padded.tokens.forEach((found, i) => expect(found).toEqual(tokens[i].slice(0, found.length)));
    for (const { tokens: expected, scores, ...options } of reference.beams!) {
      const [found] = await models.beamSearch(model, prompt, { ...options, numBeams: 4, maxNewTokens: 12, numReturnSequences: 3 });
      expect(found.map((beam) => beam.tokens)).toEqual(expected);
      found.forEach(({ score }, i) => expect(score).toBeCloseTo(scores[i], 4));
    }
  });
});
