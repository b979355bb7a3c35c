import { existsSync, readdirSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { data, hasNative, io, manualSeed, models, nn, noGrad, tensor, tune, useBackend, type Tensor } from "graftml";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { difference, goldenPath } from "../golden/cases.js";
import { missing, reason, run } from "./python.js";

// What Graft writes, read by the packages that it is for.

let folder: string;
let count = 0;
const fresh = (): string => join(folder, `f${count++}`);
beforeAll(async () => {
  if (hasNative()) useBackend("cpu");
  folder = await mkdtemp(join(tmpdir(), "graft-python-"));
});
afterAll(async () => {
  useBackend(undefined);
  await rm(folder, { recursive: true });
});

const ids = [[5, 8, 13, 21, 34, 3, 2, 7], [4, 9, 2, 3, 5, 8, 13, 21]]; // the smallest vocabulary has 41
const tokens = (): Tensor => tensor(Int32Array.from(ids.flat()), { shape: [2, 8] });
const logitsOf = (model: models.TextModel): Promise<Float32Array> => noGrad(() => model.forward(tokens()).logits.data()) as Promise<Float32Array>;
const load = (name: string): Promise<models.TextModel> => models.load<models.TextModel>(goldenPath(name));
const list = (values: ArrayLike<number>) => ({ data: Float64Array.from(values), shape: [values.length] });
/** Two computations in f32: PyTorch's own is up to 1.2e-5 away from its result in f64 (phi3-partial, logits up to 6). */
const same = (what: string, ours: Float32Array, theirs: readonly number[], tolerance = 2e-5): string | undefined => difference(what, ours, [ours.length], list(theirs), tolerance, tolerance);
const changed = (model: models.TextModel): void => {
  for (const parameter of model.parameters()) if (parameter.requiresGrad) nn.init.normal(parameter, 0.05, 0.1);
};

const transformers = `
import torch, transformers
from transformers import AutoConfig
def logits(folder, **more):
    name = AutoConfig.from_pretrained(folder, **more).architectures[0] if not more else "AutoModelForCausalLM"
    model = getattr(transformers, name).from_pretrained(folder, dtype=torch.float32, **more).eval()
    return model(input_ids=torch.tensor(job["ids"])).logits.detach().flatten().tolist()
`;

const withTransformers = missing("torch", "transformers");
describe.skipIf(withTransformers.length > 0)(`Transformers${reason(withTransformers)}`, () => {
  const names = (kind: string): string[] => readdirSync(goldenPath(kind)).map((name) => `${kind}/${name}`).filter((name) => existsSync(join(goldenPath(name), "model.safetensors")));

  it("loads every kind of model that Graft saved, with equal logits", async () => {
    const all = [...names("models"), ...names("models-extra")];
    expect(all.length).toBeGreaterThan(20);
    const saved = await Promise.all(all.map(async (name) => {
      const model = await load(name);
      const dir = fresh();
      await models.save(dir, model);
      return { name, dir, ours: await logitsOf(model) };
    }));
    const theirs = await run<number[][]>(`${transformers}\nresult = [logits(folder) for folder in job["folders"]]`, { ids, folders: saved.map(({ dir }) => dir) });
    expect(saved.flatMap(({ name, ours }, i) => same(name, ours, theirs[i]) ?? [])).toEqual([]);
  }, 300_000);

  it("loads merged models, half precision and shards", async () => {
    const made: { dir: string; ours: Float32Array }[] = [];
    for (const method of ["lora", "dora", "qlora"] as const) {
      const model = await load("models/llama");
      if (method === "qlora") tune.qlora(model, { r: 4, alpha: 8 });
      else tune.lora(model, { r: 4, alpha: 8, dora: method === "dora" });
      changed(model);
      await tune.mergeAndUnload(model);
      const dir = fresh();
      await models.save(dir, model);
      made.push({ dir, ours: await logitsOf(model) });
    }
    const half = await load("models/qwen2");
    half.to("bf16");
    await models.save(fresh(), half);
    made.push({ dir: join(folder, `f${count - 1}`), ours: await logitsOf(half) });
    const whole = await load("models/gpt2");
    const dir = fresh();
    await io.writeWeights(dir, new Map([...whole.stateDict()].filter(([name]) => name !== "lm_head.weight")), { maxShardBytes: 30_000, metadata: { format: "pt" } });
    await writeFile(join(dir, "config.json"), JSON.stringify(await io.readJson(join(goldenPath("models/gpt2"), "config.json"))));
    made.push({ dir, ours: await logitsOf(whole) });
    const theirs = await run<number[][]>(`${transformers}\nresult = [logits(folder) for folder in job["folders"]]`, { ids, folders: made.map((entry) => entry.dir) });
    expect(made.flatMap(({ dir: name, ours }, i) => same(name, ours, theirs[i]) ?? [])).toEqual([]);
  }, 300_000);
});

describe.skipIf(withTransformers.length > 0)(`classifiers of sequences in Transformers${reason(withTransformers)}`, () => {
  it("agree in logits and loss, with padding", async () => {
    const rows = [[5, 8, 13, 21, 34], [9, 4, 7]];
    const made = [];
    for (const name of ["llama", "gpt2", "qwen2", "qwen3", "mistral", "mixtral", "gemma2", "phi3", "bert-mlm"]) {
      manualSeed(3);
      const model = await models.load<models.TextModel>(goldenPath(`models/${name}`), { task: "sequence-classification", classes: ["bad", "good", "mixed"] });
      const pad = (model.config.pad_token_id as number | null | undefined) ?? 0;
      if (name !== "bert-mlm") nn.init.normal((model as models.LlamaForSequenceClassification).score.weight, 0, 1);
      const dir = fresh();
      await models.save(dir, model, { pad_token_id: pad });
      const again = await models.load<models.TextModel>(dir); // as a checkpoint of its own
      const inputIds = rows.map((row) => [...row, ...new Array<number>(5 - row.length).fill(pad)]);
      const attentionMask = tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], { dtype: "i32" });
      const output = noGrad(() => again.forward(tensor(inputIds, { dtype: "i32" }), { attentionMask, labels: tensor([2, 0], { dtype: "i32" }) }));
      made.push({ name, dir, inputIds, shape: output.logits.shape, logits: (await output.logits.data()) as Float32Array, loss: output.loss!.item() });
    }
    const theirs = await run<{ name: string; labels: string[]; logits: number[]; loss: number }[]>(
      `
import torch
from transformers import AutoModelForSequenceClassification
result = []
for folder, ids in job:
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    out = model(input_ids=torch.tensor(ids), attention_mask=torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]), labels=torch.tensor([2, 0]))
    result.append({"name": type(model).__name__, "labels": list(model.config.id2label.values()), "logits": out.logits.flatten().tolist(), "loss": out.loss.item()})
`,
      made.map(({ dir, inputIds }) => [dir, inputIds]),
    );
    for (const [i, { name, shape, logits, loss }] of made.entries()) {
      expect({ name, shape, labels: theirs[i].labels }).toEqual({ name, shape: [2, 3], labels: ["bad", "good", "mixed"] });
      expect([same(name, logits, theirs[i].logits), same(`${name}: loss`, Float32Array.of(loss), [theirs[i].loss])]).toEqual([undefined, undefined]);
    }
  }, 300_000);
});

const withPeft = missing("torch", "transformers", "peft");
describe.skipIf(withPeft.length > 0)(`PEFT${reason(withPeft)}`, () => {
  it("loads adapters that Graft saved, with equal logits", async () => {
    const cases: [string, tune.LoraOptions][] = [
      ["llama", { r: 4, alpha: 16 }],
      ["llama", { r: 4, dora: true }],
      ["gpt2", { r: 4, rsLora: true, rankPattern: { "h.0.attn.c_attn": 2 } }],
      ["qwen3", { r: 2, targetModules: ["q_proj", "down_proj"] }],
    ];
    const saved = [];
    for (const [name, options] of cases) {
      const model = await load(`models/${name}`);
      tune.lora(model, options);
      changed(model);
      const dir = fresh();
      await tune.savePeft(model, dir, { baseModel: goldenPath(`models/${name}`) });
      saved.push({ name, base: goldenPath(`models/${name}`), dir, ours: await logitsOf(model) });
    }
    const program = `
import torch
from transformers import AutoModelForCausalLM
from peft import AutoPeftModelForCausalLM, PeftModel
result = []
for base, folder in job["pairs"]:
    for model in (PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), folder), AutoPeftModelForCausalLM.from_pretrained(folder)):
        result.append(model.eval()(input_ids=torch.tensor(job["ids"])).logits.detach().flatten().tolist())
`;
    const theirs = await run<number[][]>(program, { ids, pairs: saved.map(({ base, dir }) => [base, dir]) });
    expect(saved.flatMap(({ name, ours }, i) => [same(name, ours, theirs[2 * i]) ?? [], same(`${name}, by itself`, ours, theirs[2 * i + 1]) ?? []]).flat()).toEqual([]);
  }, 300_000);
});

describe.skipIf(withPeft.length > 0)(`classifiers with adapters in PEFT${reason(withPeft)}`, () => {
  it("agree: the adapter brings its head along", async () => {
    const saved = [];
    for (const [name, head] of [["llama", "score"], ["bert-mlm", "classifier"]]) {
      const base = goldenPath(`models/${name}`);
      const model = await models.load<models.TextModel>(base, { task: "sequence-classification", classes: 3 });
      tune.lora(model, { r: 4, targetModules: [name === "llama" ? "q_proj" : "query"], modulesToSave: [head] });
      changed(model);
      const dir = fresh();
      await tune.savePeft(model, dir, { baseModel: base, taskType: "SEQ_CLS" });
      const output = noGrad(() => model.forward(tensor(ids[0], { dtype: "i32" }).reshape([1, 8])).logits);
      // what is fresh in the base and not in the adapter (BERT's pooler) must be the same
      const rest = Object.fromEntries(await Promise.all([...model.stateDict()].filter(([path]) => path.includes("pooler")).map(async ([path, weight]) => [path, await weight.toArray()] as const)));
      saved.push({ name, base, dir, rest, ours: (await output.data()) as Float32Array });
    }
    const theirs = await run<number[][]>(
      `
import torch
from transformers import AutoModelForSequenceClassification
from peft import PeftModel
result = []
for base, folder, rest in job["cases"]:
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=3)
    model.load_state_dict({name: torch.tensor(value) for name, value in rest.items()}, strict=False)
    result.append(PeftModel.from_pretrained(model, folder).eval()(input_ids=torch.tensor([job["ids"]])).logits.flatten().tolist())
`,
      { ids: ids[0], cases: saved.map(({ base, dir, rest }) => [base, dir, rest]) },
    );
    expect(saved.flatMap(({ name, ours }, i) => same(name, ours, theirs[i]) ?? [])).toEqual([]);
  }, 300_000);
});

const texts = ["The cat, the dog; and 1234 birds!", "naïve café — “quoted” text…", "  two  spaces\tand\nlines\r\n", "日本語 と emoji 😀👩‍👩‍👧", "don't we'll I've", "x = y[3] ** 2  # code", ""];
const corpus = Array.from({ length: 60 }, (_, i) => `the ${["cat", "dog", "bird"][i % 3]} sat on the ${["mat", "log"][i % 2]} ${i}. naïve café 日本語 😀 don't; x = y[${i}] ** 2\n`);

const withTokenizers = missing("tokenizers");
describe.skipIf(withTokenizers.length > 0)(`tokenizers${reason(withTokenizers)}`, () => {
  const { trainBpe, trainByteLevelBpe, trainUnigram, trainWordPiece } = data.tokenizers;
  it.each<[string, () => Promise<data.tokenizers.Tokenizer>]>([
    ["byte-level BPE", () => trainByteLevelBpe(corpus, { vocabSize: 400 })],
    ["BPE", () => trainBpe(corpus, { vocabSize: 200 })],
    ["WordPiece", () => trainWordPiece(corpus, { vocabSize: 200 })],
    ["Unigram", () => trainUnigram(corpus, { vocabSize: 120 })],
  ])("loads a trained tokenizer.json and gives the same ids and texts: %s", async (_, make) => {
    const tokenizer = await make();
    const dir = fresh();
    await tokenizer.save(dir);
    const all = [...texts, ...corpus.slice(0, 5)];
    const theirs = await run<{ ids: number[][]; texts: string[] }>(
      `
from tokenizers import Tokenizer
t = Tokenizer.from_file(job["file"])
ids = [t.encode(text).ids for text in job["texts"]]
result = {"ids": ids, "texts": [t.decode(i, skip_special_tokens=True) for i in ids]}
`,
      { file: join(dir, "tokenizer.json"), texts: all },
    );
    const ours = tokenizer.encodeBatch(all);
    expect(ours).toEqual(theirs.ids);
    expect(ours.map((list) => tokenizer.decode(list, { skipSpecialTokens: true }))).toEqual(theirs.texts);
  }, 120_000);

  it.skipIf(withTransformers.length > 0)("AutoTokenizer loads the folder, with its special tokens and chat template", async () => {
    const tokenizer = await (await trainByteLevelBpe(corpus, { vocabSize: 400, roles: { eos: "<|end|>", bos: "<|start|>" } })).withChatTemplate("plain");
    const dir = fresh();
    await tokenizer.save(dir);
    const messages = [{ role: "user", content: "the cat" }, { role: "assistant", content: "sat" }, { role: "user", content: "why?" }];
    const theirs = await run<{ ids: number[]; eos: number; bos: number; chat: string }>(
      `
from transformers import AutoTokenizer
t = AutoTokenizer.from_pretrained(job["dir"])
result = {"ids": t(job["text"])["input_ids"], "eos": t.eos_token_id, "bos": t.bos_token_id, "chat": t.apply_chat_template(job["messages"], tokenize=False, add_generation_prompt=True)}
`,
      { dir, text: texts[0], messages },
    );
    expect(theirs).toEqual({ ids: tokenizer.encode(texts[0]), eos: tokenizer.eosId, bos: tokenizer.bosId, chat: tokenizer.applyChatTemplate(messages, { addGenerationPrompt: true }) });
  }, 120_000);
});

const withGguf = missing("gguf", "numpy");
describe.skipIf(withGguf.length > 0)(`gguf${reason(withGguf)}`, () => {
  it("reads exported files: settings, shapes, values", async () => {
    const model = await load("models/llama");
    const made = [];
    for (const type of ["f32", "f16", "bf16", "q8_0", "q4_0"] as const) {
      const file = `${fresh()}.gguf`;
      await models.exportGguf(model, file, { type, name: "tiny" });
      made.push({ type, file });
    }
    const theirs = await run<{ name: string; layers: number; type: string; shape: number[]; values: number[] }[]>(
      `
from gguf import GGUFReader
from gguf.quants import dequantize
result = []
for file in job:
    r = GGUFReader(file)
    field = lambda key: r.get_field(key).contents()
    t = next(t for t in r.tensors if t.name == "blk.0.ffn_up.weight")
    result.append({"name": field("general.name"), "layers": field("llama.block_count"), "type": t.tensor_type.name, "shape": [int(n) for n in t.shape], "values": dequantize(t.data, t.tensor_type).astype("float32").flatten().tolist()})
`,
      made.map(({ file }) => file),
    );
    const weight = (await model.stateDict().get("model.layers.0.mlp.up_proj.weight")!.data()) as Float32Array;
    const largest = Math.max(...weight.map(Math.abs));
    const errors: Record<string, number> = { f32: 0, f16: 2 ** -11, bf16: 2 ** -8, q8_0: 1 / 127, q4_0: 1 / 8 }; // shares of the largest weight
    for (const [i, { type }] of made.entries()) {
      expect(theirs[i]).toMatchObject({ name: "tiny", layers: 2, type: type.toUpperCase(), shape: [32, 56] });
      expect(Math.max(...weight.map((value, at) => Math.abs(value - theirs[i].values[at]))), type).toBeLessThanOrEqual(errors[type] * largest);
    }
  }, 120_000);

  it.skipIf(withTransformers.length > 0)("Transformers loads them, with equal logits", async () => {
    const all = ["models/llama", "models-extra/mistral-no-window", "models/qwen2", "models/gpt2"]; // of qwen3 it does not read the size of the heads
    const made = [];
    for (const name of all) {
      const model = await load(name);
      const dir = fresh();
      await models.exportGguf(model, join(dir, "x.gguf"), { type: "f32", name: "tiny" }); // Transformers takes a name with "mistral" in it for another architecture
      made.push({ name, dir, ours: await logitsOf(model) });
    }
    const theirs = await run<number[][]>(`${transformers}\nresult = [logits(folder, gguf_file="x.gguf") for folder in job["folders"]]`, { ids, folders: made.map(({ dir }) => dir) });
    expect(made.flatMap(({ name, ours }, i) => same(name, ours, theirs[i]) ?? [])).toEqual([]);
  }, 300_000);
});
