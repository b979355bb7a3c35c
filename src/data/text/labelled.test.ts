import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { trainWordPiece, type Tokenizer } from "../tokenizers/index.js";
import { encodeLabelled, loadLabelled, padTexts } from "./labelled.js";
import { choiceQuestions, openQuestions } from "./questions.js";

const dir = mkdtempSync(join(tmpdir(), "graft-labelled-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const write = (name: string, ...lines: (string | object)[]): string => {
  writeFileSync(join(dir, name), `${lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line))).join("\n")}\n`);
  return join(dir, name);
};
const all = async <T>(source: AsyncIterable<T>): Promise<T[]> => {
  const list: T[] = [];
  for await (const one of source) list.push(one);
  return list;
};

describe("texts with classes", () => {
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    tokenizer = await trainWordPiece(["good film bad film"], { vocabSize: 60 });
  });

  it("come from tables and folders", async () => {
    const csv = write("reviews.csv", "text,label", `"good, really",pos`, "bad,neg", "so so,pos");
    const { train, valid, classes } = await loadLabelled(csv);
    expect(train.map(({ text, label }) => [text, label])).toEqual([["good, really", "pos"], ["bad", "neg"], ["so so", "pos"]]);
    expect([valid, classes]).toEqual([[], ["neg", "pos"]]);
    const split = await loadLabelled(csv, { validFraction: 0.34 });
    expect([split.train.length, split.valid.length]).toEqual([2, 1]);
    mkdirSync(join(dir, "folder"));
    write("folder/train.jsonl", { sentence: "a", label: 10 }, { sentence: "b", label: 2 });
    write("folder/test.jsonl", { sentence: "c", label: 1 });
    const folder = await loadLabelled(join(dir, "folder"));
    expect([folder.classes, folder.train.length, folder.test.length]).toEqual([["1", "2", "10"], 2, 1]); // as numbers
    const tsv = write("other.tsv", "review\tstars", "fine\t4");
    expect((await loadLabelled(tsv, { textField: "review", labelField: "stars" })).train[0]).toMatchObject({ text: "fine", label: "4" });
    await expect(loadLabelled(tsv)).rejects.toThrow(/other\.tsv, line 2: has no field "text".*Fields: review, stars/);
    await expect(loadLabelled(write("none.jsonl", { text: "a" }))).rejects.toThrow(/none\.jsonl, line 1: has no class in the field "label"/);
    await expect(loadLabelled(join(dir, "missing.csv"))).rejects.toThrow(/missing\.csv/);
  });

  it("become ids; long ones keep their closing token", () => {
    const texts = [{ text: "good film", label: "pos", place: "1" }, { text: "bad film bad film", label: "0", place: "2" }];
    const { samples, overLong } = encodeLabelled(texts, tokenizer, { classes: ["neg", "pos"], maxLength: 4 });
    expect([overLong, samples.map(({ label }) => label)]).toEqual([1, [1, 0]]);
    const sep = tokenizer.tokenToId("[SEP]")!;
    expect([samples[1].inputIds.length, samples[1].inputIds[3]]).toEqual([4, sep]);
    expect(encodeLabelled(texts, tokenizer, { classes: ["neg", "pos"], maxLength: 4, overLong: "skip" }).samples).toHaveLength(1);
    expect(() => encodeLabelled(texts, tokenizer, { classes: ["neg", "pos"], maxLength: 4, overLong: "error" })).toThrow(/^2: the text has \d+ tokens, the limit is 4/);
    expect(() => encodeLabelled([{ text: "x", label: "mixed", place: "r.csv, line 3" }], tokenizer, { classes: ["neg", "pos"] })).toThrow(/r\.csv, line 3: the class is "mixed", known are neg, pos/);
    const padded = padTexts([{ inputIds: Int32Array.of(5, 6, 7), label: 1 }, { inputIds: Int32Array.of(8), label: 0 }], { padId: 9, multipleOf: 4 });
    expect([[...padded.inputIds.data], [...padded.attentionMask.data], [...padded.labels.data]]).toEqual([[5, 6, 7, 9, 8, 9, 9, 9], [1, 1, 1, 0, 1, 0, 0, 0], [1, 0]]);
    expect(padTexts([{ inputIds: Int32Array.of(1, 2, 3), label: 0 }], { multipleOf: 8, maxLength: 5 }).inputIds.shape).toEqual([1, 5]);
  });
});

describe("questions", () => {
  it("with choices have their answer as a number, a letter, a label or a text", async () => {
    const file = write(
      "questions.jsonl",
      { query: "The sky is", choices: ["blue", "loud"], gold: 1 },
      { question: "q", choices: ["x", "y", "z"], answer: "C" },
      { question: "q", choices: { text: ["x", "y"], label: ["1", "2"] }, answerKey: "2" },
      { prompt: "q", options: ["x", "y"], answer: "y" },
      { ctx: "q", endings: ["x", "y"], label: "0" },
    );
    expect((await all(choiceQuestions(file))).map(({ prompt, answer }) => [prompt, answer])).toEqual([["The sky is", 1], ["q", 2], ["q", 1], ["q", 1], ["q", 0]]);
    const wrong = (row: object): Promise<unknown> => all(choiceQuestions(write("wrong.jsonl", row)));
    await expect(wrong({ query: "q", choices: ["x", "y"], gold: 2 })).rejects.toThrow(/wrong\.jsonl, line 1: the answer 2 is none of the 2 choices/);
    await expect(wrong({ query: "q", choices: ["x"], gold: 0 })).rejects.toThrow(/"choices" is not a list of two or more texts/);
    await expect(wrong({ query: "q", choices: ["x", "y"] })).rejects.toThrow(/has no answer: none of answer, gold/);
    await expect(wrong({ text: "q" })).rejects.toThrow(/has no question.*Fields: text/);
  });

  it("with open answers come from lists, pairs and conversations", async () => {
    const messages = [{ role: "user", content: "Hi" }, { role: "assistant", content: "Hello" }];
    const file = write("open.jsonl", { question: "2 + 2 =", answers: ["4", "four"] }, { prompt: "a", completion: " b" }, { messages }, { question: "who", answers: { text: ["me"], answer_start: [0] } });
    expect((await all(openQuestions(file))).map(({ prompt, answers }) => [prompt, answers])).toEqual([["2 + 2 =", ["4", "four"]], ["a", [" b"]], [messages.slice(0, 1), ["Hello"]], ["who", ["me"]]]);
    await expect(all(openQuestions(write("text.jsonl", { text: "only" })))).rejects.toThrow(/text\.jsonl, line 1: has no question with an answer/);
  });
});
