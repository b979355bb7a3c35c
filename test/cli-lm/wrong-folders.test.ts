import { cpSync, existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { data, models, tune } from "graftml";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { here, scratch } from "../cli/run.js";

const { dir, remove } = scratch();
afterAll(remove);
const golden = (name: string): string => fileURLToPath(new URL(`../golden/models/${name}`, import.meta.url));
const say = async (...args: string[]): Promise<string> => {
  const { code, err } = await here(args, { cwd: dir });
  return `${code} ${err}`;
};
const lines = (file: string, ...rows: object[]): void => writeFileSync(join(dir, file), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
const finetune = (...more: string[]): Promise<string> => say("finetune", "--epochs", "1", "--no-progress", ...more);

beforeAll(async () => {
  const tokenizer = await data.tokenizers.trainCharacters(["the cat saw the dog."], { roles: { eos: "</s>" } });
  for (const name of ["llama", "mistral", "bert-mlm"]) {
    cpSync(golden(name), join(dir, name), { recursive: true, filter: (path) => !/adapter|reference/.test(path) });
    await tokenizer.save(join(dir, name));
  }
  const pair = { prompt: "the cat", completion: " saw the dog." };
  lines("pairs.jsonl", pair, pair, pair, pair);
  lines("long.jsonl", pair, pair, pair, { ...pair, completion: pair.completion.repeat(20) });
  lines("talk.jsonl", ...[1, 2, 3].map(() => ({ messages: [{ role: "user", content: "the cat" }, { role: "assistant", content: "saw" }] })));
  const model = await models.load(join(dir, "llama"));
  tune.lora(model, { r: 2 });
  await tune.savePeft(model, join(dir, "adapter"), { baseModel: join(dir, "llama") });
});

describe("a folder that is not what a command needs", () => {
  it("an adapter of another kind of model, or of another size", async () => {
    expect(await say("merge", "adapter", "--model", "mistral", "--out", "m")).toMatch(/^1 graft: loadPeft: .*made for LlamaForCausalLM, the model is MistralForCausalLM/);
    const config = JSON.parse(readFileSync(join(dir, "llama", "config.json"), "utf8")) as object;
    await models.save(join(dir, "smaller"), await models.create({ ...config, model_type: "llama", num_hidden_layers: 1, intermediate_size: 40 }));
    await (await data.tokenizers.Tokenizer.load(join(dir, "llama"))).save(join(dir, "smaller"));
    const misfit = await say("merge", "adapter", "--model", "smaller", "--out", "m");
    for (const part of [/does not fit LlamaForCausalLM: \d+ problem\(s\)/, /no layer model\.layers\.1/, /shape of model\.layers\.0\.mlp/]) expect(misfit).toMatch(part);
    expect(existsSync(join(dir, "m"))).toBe(false);
  });

  it("a model where an adapter is wanted, and an adapter where a model is", async () => {
    expect(await say("merge", "llama")).toMatch(/^1 graft: merge: llama holds no adapter/);
    for (const args of [["export", "adapter", "--to", "gguf"], ["inspect", "adapter", "--input", "4"]]) expect(await say(...args), args[0]).toMatch(/^1 graft: .*adapter holds an adapter, not a model.*[Mm]erge|^1 graft: .*adapter: holds an adapter, not a model.*merge/);
    expect(await finetune("--model", "adapter", "--data", "pairs.jsonl", "--out", "t")).toMatch(/holds an adapter, not a model.*graft merge/);
    expect(existsSync(join(dir, "t"))).toBe(false);
  });

  it("an adapter whose model is gone", async () => {
    cpSync(join(dir, "adapter"), join(dir, "lost"), { recursive: true });
    const file = join(dir, "lost", "adapter_config.json");
    const config = JSON.parse(readFileSync(file, "utf8")) as object;
    writeFileSync(file, JSON.stringify({ ...config, base_model_name_or_path: join(dir, "gone") }));
    expect(await say("merge", "lost")).toMatch(/^1 graft: .*gone: there is no such file or folder/);
    writeFileSync(file, JSON.stringify({ ...config, base_model_name_or_path: null }));
    expect(await say("generate", "lost", "the")).toMatch(/^1 graft: .*does not name its model. Say --model/);
  });

  it("generate goes with an adapter as with a model", async () => {
    expect((await here(["generate", "adapter", "the cat", "--max-tokens", "3"], { cwd: dir })).out).toBe((await here(["generate", "llama", "the cat", "--max-tokens", "3"], { cwd: dir })).out);
  });

  it("no model, a truncated one, one of another kind, one without a tokenizer", async () => {
    mkdirSync(join(dir, "empty"));
    expect(await say("generate", "empty", "the")).toMatch(/^1 graft: models\.load: empty: has no config\.json, so it is not the folder of a model/);
    cpSync(join(dir, "llama"), join(dir, "short"), { recursive: true });
    truncateSync(join(dir, "short", "model.safetensors"), 50_000);
    expect(await say("generate", "short", "the")).toMatch(/^1 graft: models\.load: short: .*truncated/);
    expect(await say("generate", "bert-mlm", "the")).toMatch(/^1 graft: bert-mlm: BertForMaskedLM does not predict next tokens/);
    cpSync(golden("llama"), join(dir, "mute"), { recursive: true });
    expect(await say("chat", "mute")).toMatch(/^1 graft: mute\/tokenizer\.json: there is no such file/);
  });

  it("a tokenizer with more tokens than the model has embeddings", async () => {
    cpSync(join(dir, "llama"), join(dir, "odd"), { recursive: true });
    const many = Array.from({ length: 150 }, (_, i) => String.fromCodePoint(200 + i)).join("");
    await (await data.tokenizers.trainCharacters([many], { roles: { eos: "</s>" } })).save(join(dir, "odd"));
    for (const args of [["generate", "odd", "x"], ["chat", "odd"], ["finetune", "--model", "odd", "--data", "pairs.jsonl", "--out", "o"], ["export", "odd", "--to", "gguf"]]) {
      expect(await say(...args), args[0]).toMatch(/^1 graft: .*tokenizer.*151 tokens.*97/);
    }
    expect(existsSync(join(dir, "o")) || existsSync(join(dir, "odd", "odd-f16.gguf"))).toBe(false);
  });
});

describe("samples that do not fit", () => {
  it("too long: the line, and what can be done", async () => {
    expect(await finetune("--model", "llama", "--data", "long.jsonl", "--out", "l1")).toMatch(/^1 graft: long\.jsonl, line 4: the sample has \d+ tokens, the limit is 64.*--over-long/);
    expect(await finetune("--model", "llama", "--data", "long.jsonl", "--out", "l2", "--over-long", "skip")).toMatch(/^0 1 sample\(s\) longer than 64 tokens left out/);
    expect(await finetune("--model", "llama", "--data", "long.jsonl", "--out", "l3", "--over-long", "truncate")).toBe("0 ");
    expect(await finetune("--model", "llama", "--data", "pairs.jsonl", "--out", "l4", "--max-length", "100")).toMatch(/--max-length is 100, the model has positions for 64/);
    expect(["l1", "l4"].filter((name) => existsSync(join(dir, name)))).toEqual([]);
  });

  it("conversations without a chat template", async () => {
    expect(await finetune("--model", "llama", "--data", "talk.jsonl", "--out", "c1")).toMatch(/^1 graft: finetune: talk\.jsonl, line \d is a conversation.*no chat template. Say --template/);
    expect(await finetune("--model", "llama", "--data", "talk.jsonl", "--out", "c2", "--template", "plain")).toBe("0 ");
    expect(existsSync(join(dir, "c2", "chat_template.jinja"))).toBe(true);
  });
});
