import { cpSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { data, models } from "graftml";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { here, scratch } from "../cli/run.js";

const { dir, remove } = scratch();
afterAll(remove);

const words = ["red", "blue", "green", "cat", "dog", "ball"];
const line = (i: number): string => `the ${words[i % 3]} ${words[3 + (i % 2)]} saw the ${words[(i * 7) % 6]} in the garden.\n`;
const base = join(dir, "base");

beforeAll(async () => {
  writeFileSync(join(dir, "text.txt"), Array.from({ length: 300 }, (_, i) => line(i)).join(""));
  const recipe = "data: { path: text.txt }\ntokenizer: { vocabSize: 300 }\nmodel: { layers: 1, heads: 2, size: 16, block: 32 }\ntraining: { steps: 30, batchSize: 4, lr: 0.01, warmupSteps: 5, evalEvery: 15 }\n";
  writeFileSync(join(dir, "tiny.yaml"), recipe);
  // a model of the golden folder with a tokenizer that fits its vocabulary
  cpSync(fileURLToPath(new URL("../golden/models/llama", import.meta.url)), base, { recursive: true });
  const rows = Number((JSON.parse(readFileSync(join(base, "config.json"), "utf8")) as { vocab_size: number }).vocab_size);
  const tokenizer = await data.tokenizers.trainCharacters([readFileSync(join(dir, "text.txt"), "utf8"), "QA?"], { roles: { eos: "</s>" } });
  tokenizer.checkFits(rows);
  await tokenizer.save(base);
  writeFileSync(join(dir, "pairs.jsonl"), Array.from({ length: 12 }, (_, i) => `${JSON.stringify({ prompt: "the cat", completion: ` saw the ${words[i % 6]}` })}\n`).join(""));
});

describe("graft pretrain", () => {
  it("trains from nothing and saves what graft generate reads", async () => {
    const { code, out, err } = await here(["pretrain", "tiny.yaml", "--out", "run"], { cwd: dir });
    expect(err).not.toContain("graft:");
    expect(code).toBe(0);
    expect(out).toMatch(/valid_bits_per_byte/);
    expect(out).toMatch(/tokens\/s/);
    for (const file of ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]) expect(existsSync(join(dir, "run", file)), file).toBe(true);
    const first = await here(["generate", "run", "the red", "--max-tokens", "8", "--temperature", "1", "--seed", "3"], { cwd: dir });
    expect(first.out).toMatch(/^the red/);
    expect((await here(["generate", "run", "the red", "--max-tokens", "8", "--temperature", "1", "--seed", "3"], { cwd: dir })).out).toBe(first.out);
    expect((await here(["pretrain", "tiny.yaml", "--out", "run"], { cwd: dir })).err).toMatch(/holds a run.*--resume/);
  });

  it("names a wrong key", async () => {
    writeFileSync(join(dir, "wrong.yaml"), "data: { path: text.txt }\nmodel: { layer: 2 }\n");
    const { code, err } = await here(["pretrain", "wrong.yaml"], { cwd: dir });
    expect(code).toBe(1);
    expect(err).toMatch(/wrong\.yaml:2:10: model\.layer.*"layer".*"layers"/);
  });
});

describe("graft finetune", () => {
  const tune = (method: string, ...more: string[]) =>
    here(["finetune", "--model", "base", "--data", "pairs.jsonl", "--method", method, "--epochs", "1", "--lr", "0.01", "--out", method, "--no-progress", ...more], { cwd: dir });

  it.each(["lora", "dora", "qlora"])("saves an adapter with %s, which graft merge makes a model of", async (method) => {
    const { code, err } = await tune(method, "--r", "2");
    expect(err).toBe("");
    expect(code).toBe(0);
    expect(existsSync(join(dir, method, "adapter_model.safetensors"))).toBe(true);
    expect((await here(["merge", method], { cwd: dir })).code).toBe(0);
    const merged = await models.load(join(dir, method, "merged"));
    expect(merged.constructor.name).toBe("LlamaForCausalLM");
    expect((await here(["generate", `${method}/merged`, "the cat", "--max-tokens", "4"], { cwd: dir })).out).toMatch(/^the cat/);
  });

  it.each(["full", "head"])("saves a model with %s", async (method) => {
    expect(await tune(method)).toMatchObject({ code: 0, err: "" });
    expect((await here(["generate", method, "the cat", "--max-tokens", "4"], { cwd: dir })).out).toMatch(/^the cat/);
  });

  it("says what is wrong with data and flags", async () => {
    expect((await tune("lora", "--data", "none.jsonl", "--out", "a")).err).toMatch(/none\.jsonl: there is no such file/);
    expect((await tune("lora", "--targets", "q_prj", "--out", "b")).err).toMatch(/q_proj/);
    expect((await tune("lora", "--max-length", "5", "--out", "c")).err).toMatch(/pairs\.jsonl.*the limit is 5/);
    expect((await tune("lora", "--lr", "much", "--out", "d")).code).toBe(2);
    expect(["a", "b", "c", "d"].filter((name) => existsSync(join(dir, name)))).toEqual([]);
  });
});
