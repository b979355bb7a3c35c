import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { F, io, manualSeed, models, optim, realize, tensor, type Tensor } from "graftml";
import type { GPT2LMHeadModel } from "../gpt2.js";
import type { LlamaForCausalLM } from "../llama.js";

const gpt2 = { model_type: "gpt2", n_layer: 2, n_head: 2, n_embd: 8, n_positions: 16, vocab_size: 11 } as const;
const llama = { model_type: "llama", vocab_size: 11, hidden_size: 8, intermediate_size: 12, num_hidden_layers: 2, num_attention_heads: 2 } as const;
const bert = { model_type: "bert", vocab_size: 11, hidden_size: 8, intermediate_size: 12, num_hidden_layers: 2, num_attention_heads: 2 } as const;
const ids = tensor([[1, 2, 3, 4], [5, 6, 7, 8]], { dtype: "i32" });

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "graft-text-"));
  manualSeed(1);
});
afterEach(() => rm(dir, { recursive: true }));

const failure = (promise: Promise<unknown>): Promise<Error & { code?: string }> => promise.then(() => expect.fail("no error"), (error: Error) => error);
const values = async (x: Tensor): Promise<number[]> => [...(await x.data())];
/** Rewrites the weights of a folder. */
async function change(edit: (weights: Map<string, io.HostTensor>) => Map<string, io.HostTensor>): Promise<void> {
  await io.writeWeights(dir, edit(await io.readWeights(dir)));
}
const renamed = (weights: Map<string, io.HostTensor>, name: (old: string) => string): Map<string, io.HostTensor> => new Map([...weights].map(([old, value]) => [name(old), value]));

describe("create", () => {
  it("fills in Hugging Face's defaults and draws weights as it does", async () => {
    const model = await models.create<GPT2LMHeadModel>({ ...gpt2, n_embd: 64, n_layer: 8 });
    expect(model.config).toMatchObject({ model_type: "gpt2", architectures: ["GPT2LMHeadModel"], layer_norm_epsilon: 1e-5, resid_pdrop: 0.1, n_layer: 8 });
    const spread = async (path: string): Promise<number> => (await model.getTensor(path).detach().std().data())[0];
    expect(await spread("transformer.h.3.mlp.c_fc.weight")).toBeCloseTo(0.02, 3);
    expect(await spread("transformer.h.3.mlp.c_proj.weight")).toBeCloseTo(0.02 / 4, 3);
    expect(await values(model.getTensor("transformer.h.3.attn.c_attn.bias"))).toEqual(new Array(192).fill(0));
    expect(model.lm_head.weight).toBe(model.transformer.wte.weight);
    const padded = await models.create<LlamaForCausalLM>({ ...llama, pad_token_id: 2 });
    expect(await values(F.select(padded.getTensor("model.embed_tokens.weight").detach(), 0, 2))).toEqual(new Array(8).fill(0));
  });

  it("refuses what it does not know", async () => {
    expect(await failure(models.create({ model_type: "gtp2" }))).toMatchObject({ code: "config", message: expect.stringMatching(/model_type "gtp2". Did you mean "gpt2"\? Known: gpt2, llama/) as unknown });
    expect((await failure(models.create({ ...llama, hidden_size: "8", rms_norm_eps: true }))).message).toMatch(/hidden_size is "8", not a number. rms_norm_eps is true, not a number/);
    expect((await failure(models.create({ ...llama, hidden_act: "sliu" }))).message).toMatch(/hidden_act is "sliu". Did you mean "silu"/);
    expect((await failure(models.create({ ...gpt2, n_head: 3 }))).message).toMatch(/n_embd 8 is not a multiple of n_head 3/);
    expect((await failure(models.create({ ...llama, rope_scaling: { type: "spiral" } }))).message).toMatch(/rope_type is "spiral"; known are default, linear/);
    expect((await failure(models.create({ ...llama, rope_scaling: { rope_type: "llama3", factor: 8 } }))).message).toMatch(/low_freq_factor is missing/);
    expect((await failure(models.create(gpt2, { task: "masked-lm" }))).message).toMatch(/gpt2 has no head for the task "masked-lm"/);
    expect((await failure(models.create({ ...bert, is_decoder: true }))).message).toMatch(/is_decoder cannot be done yet/);
  });

  it("takes rotary settings in the old form and the new", async () => {
    const scaling = { factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 4 };
    const [old, fresh] = await Promise.all([
      models.create<LlamaForCausalLM>({ ...llama, rope_theta: 500, rope_scaling: { type: "llama3", ...scaling } }),
      models.create<LlamaForCausalLM>({ ...llama, rope_parameters: { rope_theta: 500, rope_type: "llama3", ...scaling } }),
    ]);
    fresh.loadStateDict(old.stateDict());
    expect(old.rotary.scaling).toEqual(fresh.rotary.scaling);
    expect(await values(fresh.forward(ids).logits)).toEqual(await values(old.forward(ids).logits));
  });
});

describe("forward", () => {
  it("shifts the labels inside and leaves -100 out", async () => {
    const model = (await models.create<GPT2LMHeadModel>(gpt2)).eval();
    const labels = tensor([[1, -100, 3, 4], [5, 6, -100, -100]], { dtype: "i32" });
    const { logits, loss } = model.forward(ids, { labels });
    const picked = [[0, 1, 3], [0, 2, 4], [1, 0, 6]].map(([b, t, label]) => F.select(F.select(F.select(F.logSoftmax(logits, -1), 0, b), 0, t), 0, label));
    const [mean, sum] = [F.neg(F.div(picked.reduce((a, b) => a.add(b)), 3)), model.forward(ids, { labels, reduction: "sum" }).loss!];
    await realize(loss!, mean, sum);
    expect(loss!.item()).toBeCloseTo(mean.item(), 5);
    expect(sum.item()).toBeCloseTo(3 * mean.item(), 4);
  });

  it("packed samples do not see each other", async () => {
    const model = (await models.create<LlamaForCausalLM>(llama)).eval();
    const packed = tensor([[1, 2, 3, 7, 8, 9, 10]], { dtype: "i32" });
    const { logits } = model.forward(packed, { segmentIds: tensor([[0, 0, 0, 1, 1, 1, 1]], { dtype: "i32" }), positionIds: tensor([[0, 1, 2, 0, 1, 2, 3]], { dtype: "i32" }) });
    const [first, second] = [tensor([[1, 2, 3]], { dtype: "i32" }), tensor([[7, 8, 9, 10]], { dtype: "i32" })].map((part) => model.forward(part).logits);
    const both = await values(F.cat([first, second], 1));
    (await values(logits)).forEach((value, i) => expect(value).toBeCloseTo(both[i], 6));
  });

  it("keeps the logits that are asked for", async () => {
    const model = (await models.create<LlamaForCausalLM>(llama)).eval();
    const all = model.forward(ids).logits;
    expect(await values(model.forward(ids, { logitsToKeep: 1 }).logits)).toEqual(await values(F.narrow(all, 1, 3, 1)));
    expect(await values(model.forward(ids, { logitsToKeep: tensor(Int32Array.of(2)) }).logits)).toEqual(await values(F.narrow(all, 1, 2, 1)));
    expect(() => model.forward(ids, { logitsToKeep: 5 })).toThrow(/logitsToKeep is 5, there are 4 positions/);
    expect(() => model.forward(ids, { logitsToKeep: 1, labels: ids })).toThrow(/labels need all logits/);
  });

  it("gradients with checkpointing are the same", async () => {
    const model = await models.create<LlamaForCausalLM>(llama);
    const gradients = async (on: boolean): Promise<number[][]> => {
      models.checkpointGradients(model, on);
      model.zeroGrad();
      model.forward(ids, { labels: ids }).loss!.backward();
      return Promise.all(model.parameters().map((p) => values(p.grad!)));
    };
    expect(() => models.checkpointGradients(model.lm_head)).toThrow(/Linear has no stack of blocks/);
    const [plain, again] = [await gradients(false), await gradients(true)];
    plain.forEach((list, i) => list.forEach((value, k) => expect(again[i][k]).toBeCloseTo(value, 6)));
  });

  it("goes on from a cache, which grows", async () => {
    const model = (await models.create<LlamaForCausalLM>(llama)).eval();
    const long = tensor(Int32Array.from({ length: 2 * 70 }, (_, i) => (i * 7) % 11), { shape: [2, 70] });
    const all = await values(model.forward(long).logits);
    const cache = model.newCache({ batch: 2, capacity: 8 });
    const parts: Tensor[] = [];
    for (const [from, size] of [[0, 5], [5, 1], [6, 60], [66, 4]]) parts.push(model.forward(F.narrow(long, 1, from, size), { cache }).logits);
    (await values(F.cat(parts, 1))).forEach((value, i) => expect(value).toBeCloseTo(all[i], 5));
    expect([cache.length, cache.capacity]).toEqual([70, 128]);
  });

  it("learns, with dropout on", async () => {
    const model = await models.create<GPT2LMHeadModel>(gpt2);
    const optimizer = new optim.AdamW(model.parameters(), { lr: 0.02 });
    const losses: number[] = [];
    for (let i = 0; i < 40; i++) {
      optimizer.zeroGrad();
      const { loss } = model.forward(ids, { labels: ids });
      loss!.backward();
      await optimizer.step();
      losses.push(loss!.item());
    }
    expect(losses[0]).toBeGreaterThan(2);
    expect(Math.min(...losses.slice(-5))).toBeLessThan(0.7);
  });

  it("says what is wrong with its inputs", async () => {
    const [model, encoder] = [await models.create<GPT2LMHeadModel>(gpt2), await models.create(bert)];
    expect(() => model.forward(tensor([1, 2], { dtype: "i32" }))).toThrow(/inputIds have 1 dim\(s\). Pass token ids \[B, T\]/);
    expect(() => model.forward(F.repeat(ids, [1, 5]))).toThrow(/the sequence has 20 tokens, the model has positions for 16/);
    expect(() => model.forward(ids, { labels: tensor([[1, 2]], { dtype: "i32" }) })).toThrow(/labels are \[1, 2\]. They must be \[2, 4\]/);
    expect(() => model.forward(ids, { attention_mask: ids } as never)).toThrow(/Did you mean "attentionMask"/);
    expect(() => encoder.forward(ids, { segmentIds: ids })).toThrow(/unknown option "segmentIds"/);
    expect(() => encoder.forward(ids, { attentionMask: F.narrow(ids, 1, 0, 3) })).not.toThrow();
  });
});

describe("save and load", () => {
  it("keeps weights, config and shared weights under one name", async () => {
    const model = (await models.create<GPT2LMHeadModel>({ ...gpt2, resid_pdrop: 0, initializer_range: 1 })).eval();
    await models.save(dir, model, { task_note: "tuned" });
    const weights = await io.readWeights(dir);
    expect(weights.has("lm_head.weight")).toBe(false);
    expect(weights.has("transformer.wte.weight")).toBe(true);
    const text = await readFile(join(dir, "config.json"), "utf8");
    expect(text).toContain('"resid_pdrop": 0.0,'); // Transformers refuses 0 where it wants 0.0
    expect(JSON.parse(text)).toMatchObject({ architectures: ["GPT2LMHeadModel"], model_type: "gpt2", dtype: "float32", task_note: "tuned" });
    const again = await models.load<GPT2LMHeadModel>(dir);
    expect(again.training).toBe(false);
    expect(again.config).toMatchObject({ resid_pdrop: 0, task_note: "tuned" });
    expect(again.lm_head.weight).toBe(again.transformer.wte.weight);
    expect(await values(again.forward(ids).logits)).toEqual(await values(model.forward(ids).logits));
  });

  it("reads files with other names for the same weights", async () => {
    const model = await models.create<GPT2LMHeadModel>(gpt2);
    await models.save(dir, model);
    const mask = { dtype: "f32", shape: [1], data: new Float32Array(1) } as const;
    await change((weights) => new Map([...renamed(weights, (name) => name.replace("transformer.", "")), ["h.0.attn.bias", mask], ["lm_head.weight", weights.get("transformer.wte.weight")!]]));
    expect(await values((await models.load<GPT2LMHeadModel>(dir)).forward(ids).logits)).toEqual(await values(model.eval().forward(ids).logits));

    const encoder = (await models.create(bert)).eval();
    await models.save(dir, encoder);
    await change((weights) => renamed(weights, (name) => name.replace(/LayerNorm.weight$/, "LayerNorm.gamma").replace(/LayerNorm.bias$/, "LayerNorm.beta")));
    expect(await values((await models.load<models.TextModel>(dir)).forward(ids).logits)).toEqual(await values(encoder.forward(ids).logits));
  });

  it("reads shards, and keeps weights in 16 bits, frozen, where that is asked for", async () => {
    const model = (await models.create<LlamaForCausalLM>(llama)).eval();
    await models.save(dir, model);
    const weights = await io.readWeights(dir);
    await rm(join(dir, "model.safetensors"));
    expect((await io.writeWeights(dir, weights, { maxShardBytes: 1000 })).length).toBeGreaterThan(3);
    const half = await models.load<LlamaForCausalLM>(dir, { dtype: "bf16" });
    expect(half.parameters().every((p) => p.dtype === "bf16" && !p.requiresGrad)).toBe(true);
    const exact = await values(model.forward(ids).logits);
    (await values(half.forward(ids).logits)).forEach((value, i) => expect(value).toBeCloseTo(exact[i], 2));
    await models.save(dir, half);
    expect(JSON.parse(await readFile(join(dir, "config.json"), "utf8"))).toMatchObject({ dtype: "bfloat16" });
  });

  it("gives a checkpoint another head when it is told so", async () => {
    const encoder = await models.create(bert);
    await models.save(dir, encoder);
    const classifier = await models.load<models.TextModel>(dir, { task: "sequence-classification", classes: ["bad", "good", "mixed"] });
    expect(classifier.constructor.name).toBe("BertForSequenceClassification");
    expect(classifier.config).toMatchObject({ id2label: { 0: "bad", 1: "good", 2: "mixed" }, architectures: ["BertForSequenceClassification"] });
    expect(classifier.forward(ids).logits.shape).toEqual([2, 3]);
    const word = "bert.embeddings.word_embeddings.weight";
    expect(await values(classifier.getTensor(word))).toEqual(await values(encoder.getTensor(word)));
    await models.save(dir, classifier);
    expect((await models.load<models.TextModel>(dir)).forward(ids).logits.shape).toEqual([2, 3]);
    expect((await models.load<models.TextModel>(dir, { classes: 5 })).forward(ids).logits.shape).toEqual([2, 5]);
    expect((await models.load<models.TextModel>(dir, { task: "token-classification" })).forward(ids).logits.shape).toEqual([2, 4, 3]);
  });

  it("refuses weights that do not fit, with all problems", async () => {
    await models.save(dir, await models.create(llama));
    await change((weights) => {
      weights.delete("model.norm.weight");
      weights.set("model.layers.0.mlp.gate_prj.weight", weights.get("model.layers.0.mlp.gate_proj.weight")!);
      weights.set("model.layers.1.mlp.up_proj.weight", { dtype: "f32", shape: [2], data: new Float32Array(2) });
      return weights;
    });
    const error = await failure(models.load(dir));
    expect(error).toMatchObject({ code: "state" });
    expect(error.message).toMatch(/3 problem\(s\):[^]*missing: model.norm.weight \[8\][^]*unexpected: model.layers.0.mlp.gate_prj.weight[^]*shape of model.layers.1.mlp.up_proj.weight: the model has \[12, 8\], the file \[2\]/);
    await models.save(dir, await models.create(bert));
    await change((weights) => new Map([...weights].filter(([name]) => !name.startsWith("cls."))));
    expect((await failure(models.load(dir))).message).toMatch(/Only the head is missing: pass \{ task \}/);
    await writeFile(join(dir, "model.safetensors"), "xx");
    expect(await failure(models.load(dir))).toMatchObject({ code: "format" });
    expect(await failure(models.load(dir, { dtype: "f23" as "f32" }))).toMatchObject({ message: expect.stringMatching(/dtype is "f23". Did you mean "f32"/) as unknown });
  });
});
