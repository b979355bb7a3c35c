import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { data } from "graftml";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { here, scratch } from "../cli/run.js";

const { dir, remove } = scratch();
afterAll(remove);
beforeAll(async () => {
  cpSync(fileURLToPath(new URL("../golden/models/llama", import.meta.url)), join(dir, "llama"), { recursive: true, filter: (path) => !/adapter|reference/.test(path) });
  const rows = Array.from({ length: 60 }, (_, i) => ({ text: `the ${["cat", "dog", "ball"][i % 3]} is ${i % 2 === 0 ? "good" : "bad"}`, label: i % 2 === 0 ? "positive" : "negative" }));
  writeFileSync(join(dir, "reviews.jsonl"), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  await (await data.tokenizers.trainCharacters(rows.map(({ text }) => text), { roles: { eos: "</s>" } })).save(join(dir, "llama"));
});

describe("a decoder as classifier", () => {
  it.each(["full", "lora"])("is tuned with graft finetune --method %s and measured with graft eval", async (method) => {
    const args = ["finetune", "--model", "llama", "--data", "reviews.jsonl", "--task", "classification", "--method", method, "--epochs", "8", "--lr", "0.01", "--out", method, "--no-progress"];
    const tuned = await here(args, { cwd: dir });
    expect(tuned).toMatchObject({ code: 0, err: "" });
    expect(JSON.parse(readFileSync(join(dir, method, "config.json"), "utf8"))).toMatchObject({ architectures: ["LlamaForSequenceClassification"], id2label: { 0: "negative", 1: "positive" } });
    const { out } = await here(["eval", method, "--data", "reviews.jsonl", "--json"], { cwd: dir });
    expect((JSON.parse(out) as { accuracy: number }).accuracy).toBeGreaterThan(0.9);
  });
});
