import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { F, hasNative, nn, noGrad, realize, tensor, tune, useBackend, type Tensor } from "graftml";
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

const python = process.env.GRAFT_PYTHON ?? "python3";
const hasPeft = spawnSync(python, ["-c", "import importlib.util as u, sys; sys.exit(not all(u.find_spec(m) for m in ('torch', 'transformers', 'peft')))"]).status === 0;

const program = `
import json, sys, torch
from transformers import AutoModelForCausalLM
from peft import PeftModel
base, folder, ids = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), folder).eval()
print(json.dumps(model(input_ids=torch.tensor(ids)).logits.flatten().tolist()))
`;

describe.skipIf(!hasPeft)("our adapters in PEFT (needs Python with torch, transformers and peft; GRAFT_PYTHON names it)", () => {
  it.each<[string, tune.LoraOptions]>([
    ["llama", { r: 4, dora: true }],
    ["gpt2", { r: 4, rsLora: true, rankPattern: { "h.0.attn.c_attn": 2 } }],
  ])(
    "%s %o",
    async (name, options) => {
      const folder = await mkdtemp(join(tmpdir(), "graft-adapter-"));
      const ids = [[5, 8, 13, 21, 34, 55, 2, 7]];
      try {
        const model = await models.load<models.TextModel>(goldenPath(`models/${name}`));
        tune.lora(model, options);
        for (const parameter of model.parameters()) if (parameter.requiresGrad) nn.init.normal(parameter, 0.05, 0.1);
        await tune.savePeft(model, folder);
        const ours = await noGrad(() => model.forward(tokens(ids)).logits.data());
        await writeFile(join(folder, "program.py"), program);
        const { stdout, stderr } = spawnSync(python, [join(folder, "program.py"), goldenPath(`models/${name}`), folder, JSON.stringify(ids)], { encoding: "utf8", maxBuffer: 1 << 26 });
        expect(stdout, stderr).toMatch(/\]\s*$/);
        const theirs = JSON.parse(stdout.slice(stdout.lastIndexOf("\n[") + 1)) as number[];
        expect(difference("logits", ours, [ours.length], list(theirs), 1e-5, 1e-5)).toBeUndefined();
      } finally {
        await rm(folder, { recursive: true });
      }
    },
    120_000,
  );
});
