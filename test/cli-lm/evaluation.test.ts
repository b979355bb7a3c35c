import { cpSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { data, manualSeed, models, train } from "graftml";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { graft, here, scratch } from "../cli/run.js";

const { dir, remove } = scratch();
afterAll(remove);

const golden = (name: string): string => fileURLToPath(new URL(`../golden/models/${name}`, import.meta.url));
const write = (name: string, ...lines: (string | object)[]): void => writeFileSync(join(dir, name), `${lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line))).join("\n")}\n`);
const run = (...args: string[]) => here(["eval", ...args], { cwd: dir });
const numbers = async (...args: string[]): Promise<Record<string, number>> => {
  const { code, out, err } = await run(...args, "--json");
  expect({ code, err }).toEqual({ code: 0, err: "" });
  return JSON.parse(out) as Record<string, number>;
};

const words = ["good", "fine", "bad", "poor"];
const review = (i: number): { text: string; label: string } => ({ text: `a ${words[i % 4]} film by ${["her", "him", "them"][i % 3]}`, label: i % 4 < 2 ? "positive" : "negative" });

beforeAll(async () => {
  cpSync(golden("llama"), join(dir, "llama"), { recursive: true });
  await (await data.tokenizers.trainCharacters(["the cat sat on the mat. QA?\nzx"], { roles: { eos: "</s>" } })).save(join(dir, "llama"));
  write("text.txt", "the cat sat on the mat.", "the mat sat on the cat.", "the cat sat.");
  const tokenizer = await data.tokenizers.trainWordPiece(Array.from({ length: 40 }, (_, i) => review(i).text), { vocabSize: 90 });
  manualSeed(1);
  const sizes = { hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 32, max_position_embeddings: 16, hidden_dropout_prob: 0, attention_probs_dropout_prob: 0 };
  await models.save(join(dir, "bert"), await models.create({ model_type: "bert", vocab_size: tokenizer.vocabSize, ...sizes }, { task: "masked-lm" }));
  await tokenizer.save(join(dir, "bert"));
  write("reviews.jsonl", ...Array.from({ length: 80 }, (_, i) => review(i)));
});

describe("graft eval of a language model", () => {
  it("measures texts, in windows where they are long", async () => {
    const found = await numbers("llama", "--data", "text.txt", "--limit", "1");
    const [model, tokenizer] = [await models.load(join(dir, "llama")), await data.tokenizers.Tokenizer.load(join(dir, "llama"))];
    const expected = await train.evaluateText(model, tokenizer, [readFileSync(join(dir, "text.txt"), "utf8")]);
    expect(found).toMatchObject({ task: "perplexity", tokens: expected.tokens, bytes: expected.bytes });
    expect(found.loss).toBeCloseTo(expected.loss, 6);
    const { out, err } = await run("llama", "--data", "text.txt", "--max-length", "16", "--stride", "8");
    expect(out).toMatch(/^loss \d\.\d{4} {2}perplexity \d+\.\d\d {2}\d\.\d{4} bits per byte {2}\d+ tokens in 1 texts\n$/);
    expect(err).toMatch(/longer than 16 tokens: read in windows/);
    write("texts.jsonl", { text: "the cat" }, { text: "the mat" });
    expect(await numbers("llama", "--data", "texts.jsonl")).toMatchObject({ documents: 2, bytes: 14 });
  });

  it("measures the answers of fine-tuning data", async () => {
    write("pairs.jsonl", { prompt: "the cat", completion: " sat" }, { prompt: "Q", completion: "A" });
    expect(await numbers("llama", "--data", "pairs.jsonl")).toMatchObject({ task: "perplexity", documents: 2, tokens: 7, bytes: 5 }); // each answer and </s>
    const { err } = await run("llama", "--data", "pairs.jsonl", "--max-length", "8");
    expect(err).toMatch(/examples longer than 8 tokens: 1 cut at their end, 1 left out|examples longer than 8 tokens: 1 cut at their end, 0 left out/);
  });

  it("answers multiple-choice questions by likelihood", async () => {
    write("questions.jsonl", { query: "the cat", choices: ["sat", "zzz", "?"], gold: 0 }, { question: "the mat", choices: ["cat", "sat on"], answer: "B" });
    const found = await numbers("llama", "--data", "questions.jsonl", "--task", "multiple-choice", "--prompt", "Q {}\\nA");
    const [model, tokenizer] = [await models.load(join(dir, "llama")), await data.tokenizers.Tokenizer.load(join(dir, "llama"))];
    const same = await train.multipleChoice(model, tokenizer, [{ prompt: "Q the cat\nA", choices: ["sat", "zzz", "?"], answer: 0, place: "" }, { prompt: "Q the mat\nA", choices: ["cat", "sat on"], answer: 1, place: "" }]);
    expect(found).toMatchObject({ acc: same.acc, acc_norm: same.acc_norm, acc_bytes: same.acc_bytes, questions: 2, truncated: 0 });
    expect((await run("llama", "--data", "questions.jsonl", "--task", "multiple-choice", "--limit", "1")).out).toMatch(/^acc \d+\.00 % \+- 0\.00 {2}acc_norm .* {2}1 questions\n$/);
  });

  it("generates answers and compares them", async () => {
    write("answers.jsonl", { question: "the cat", answers: ["\u0000"] });
    const found = await numbers("llama", "--data", "answers.jsonl", "--task", "exact-match", "--max-tokens", "3");
    expect(found).toMatchObject({ task: "exact-match", exact_match: 0, questions: 1 });
  });

  it("says what is wrong, with the exit code of it", async () => {
    expect(await run("llama")).toMatchObject({ code: 2, err: expect.stringMatching(/needs --data FILE/) as unknown });
    expect(await run("llama", "--data", "none.txt")).toMatchObject({ code: 1, err: expect.stringMatching(/none\.txt: there is no such file/) as unknown });
    expect(await run("llama", "--data", "text.txt", "--task", "guessing")).toMatchObject({ code: 2 });
    expect(await run("llama", "--data", "text.txt", "--task", "classification")).toMatchObject({ code: 2, err: expect.stringMatching(/is no sequence classifier/) as unknown });
    expect(await run("llama", "--data", "text.txt", "--max-length", "100000")).toMatchObject({ code: 1, err: expect.stringMatching(/--max-length is 100000, the model has positions for \d+/) as unknown });
    expect(await run("llama", "--data", "questions.jsonl", "--task", "multiple-choice", "--prompt", "Q")).toMatchObject({ code: 2, err: expect.stringMatching(/has no \{\} where the question goes/) as unknown });
    write("bad.jsonl", { query: "q", choices: ["a", "b"] });
    expect(await run("llama", "--data", "bad.jsonl", "--task", "multiple-choice")).toMatchObject({ code: 1, err: expect.stringMatching(/bad\.jsonl, line 1: has no answer/) as unknown });
    cpSync(join(dir, "llama"), join(dir, "misfit"), { recursive: true });
    await (await data.tokenizers.trainByteLevelBpe(["some text"], { vocabSize: 300 })).save(join(dir, "misfit"));
    expect(await run("misfit", "--data", "text.txt")).toMatchObject({ code: 1, err: expect.stringMatching(/has \d+ tokens, misfit has a vocabulary of \d+/) as unknown });
    const help = await graft(["eval", "--help"]);
    expect(help.out).toMatch(/--task multiple-choice/);
  });
});

describe("a classifier of texts", () => {
  it.each(["full", "head", "lora"])("is tuned with graft finetune --method %s and measured with graft eval", async (method) => {
    const args = ["finetune", "--model", "bert", "--data", "reviews.jsonl", "--task", "classification", "--method", method, "--epochs", "12", "--lr", "0.01", "--out", method, "--no-progress"];
    const tuned = await here(args, { cwd: dir });
    expect(tuned).toMatchObject({ code: 0, err: "" });
    expect(tuned.out).toMatch(/validation accuracy .* % {2}saved to/);
    expect(existsSync(join(dir, method, "adapter/adapter_model.safetensors"))).toBe(method === "lora");
    const found = await numbers(method, "--data", "reviews.jsonl");
    expect(found).toMatchObject({ task: "classification", samples: 80 });
    if (method !== "head") expect(found.accuracy).toBe(1); // one word tells
    for (const name of ["f1_macro", "f1_weighted", "auc", "average_precision", "calibration_error", "brier"]) expect(found[name], name).toBeGreaterThanOrEqual(0);
    expect((found.confusion as unknown as number[][]).flat().reduce((a, b) => a + b)).toBe(80);
    const { out } = await run(method, "--data", "reviews.jsonl");
    expect(out).toMatch(/^all samples {2}accuracy .*\nf1_macro .* auc .*calibration_error/);
    expect(out).toMatch(/negative .*positive .*recall %/);
    expect(out).toMatch(/confidence +samples +mean +right/);
  });

  it("begins with an encoder of graft pretrain", async () => {
    write("reviews.txt", ...Array.from({ length: 200 }, (_, i) => review(i).text));
    const recipe = "objective: mlm\ndata: { path: reviews.txt }\ntokenizer: { vocabSize: 257 }\nmodel: { layers: 1, heads: 2, size: 16, block: 16 }\ntraining: { steps: 30, batchSize: 4, lr: 0.01, warmupSteps: 5, evalEvery: 15 }\n";
    writeFileSync(join(dir, "encoder.yaml"), recipe);
    const made = await here(["pretrain", "encoder.yaml", "--out", "encoder"], { cwd: dir });
    expect(made.code, made.err).toBe(0);
    expect(made.out).toMatch(/BERT of .* parameters/);
    expect(made.out).toMatch(/validation: loss \d.*, perplexity .*hidden tokens\/s/);
    expect(JSON.parse(readFileSync(join(dir, "encoder/config.json"), "utf8"))).toMatchObject({ architectures: ["BertForMaskedLM"], max_position_embeddings: 16 });
    expect((await here(["pretrain", "encoder.yaml", "--fast-dev-run", "--out", "dev"], { cwd: dir })).code).toBe(0);
    const tuned = await here(["finetune", "--model", "encoder", "--data", "reviews.jsonl", "--task", "classification", "--method", "full", "--epochs", "1", "--out", "from-encoder", "--no-progress"], { cwd: dir });
    expect(tuned).toMatchObject({ code: 0, err: "" });
    writeFileSync(join(dir, "wrong.yaml"), recipe.replace("vocabSize: 257", "kind: bytes"));
    expect((await here(["pretrain", "wrong.yaml", "--out", "wrong"], { cwd: dir })).err).toMatch(/tokenizer\.kind is bytes, which has no mask token/);
  });

  it("says what is wrong with data and model", async () => {
    const tune = (...more: string[]) => here(["finetune", "--model", "bert", "--task", "classification", "--method", "full", "--out", "wrong", "--no-progress", ...more], { cwd: dir });
    expect((await tune("--data", "pairs.jsonl")).err).toMatch(/pairs\.jsonl, line 1: has no field "text"/);
    write("one.csv", "text,label", "a,x", "b,x");
    expect((await tune("--data", "one.csv")).err).toMatch(/all texts are of one class, x/);
    expect((await tune("--data", "reviews.jsonl", "--label-field", "stars")).err).toMatch(/has no class in the field "stars"/);
    expect(existsSync(join(dir, "wrong"))).toBe(false);
    write("long.csv", "text,label", `${"good ".repeat(40)},positive`);
    expect((await run("full", "--data", "long.csv")).err).toMatch(/1 of 1 text\(s\) are longer than 16 tokens: cut/);
    write("other.csv", "text,label", "good,mixed");
    expect(await run("full", "--data", "other.csv")).toMatchObject({ code: 1, err: expect.stringMatching(/the class is "mixed", known are negative, positive/) as unknown });
    expect(await run("full", "--data", "reviews.jsonl", "--task", "perplexity")).toMatchObject({ code: 2, err: expect.stringMatching(/is a classifier, which has no perplexity/) as unknown });
  });
});
