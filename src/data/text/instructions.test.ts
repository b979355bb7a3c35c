import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GraftError } from "../../base/index.js";
import { Random } from "../random.js";
import { trainByteLevelBpe, type Tokenizer } from "../tokenizers/index.js";
import { encodeExample, encodePreference, lengthSampler, loadExamples, PackedDataset, padSamples, ShuffledStream, toExample, type Example, type TokenSample } from "./index.js";

let folder: string;
let tokenizer: Tokenizer;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "graft-instructions-"));
  tokenizer = await trainByteLevelBpe(["x"], { vocabSize: 259, specialTokens: ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], chatTemplate: "chatml" });
});
afterAll(() => rm(folder, { recursive: true }));

const row = (fields: Readonly<Record<string, unknown>>, line = 7): { file: string; line: number; fields: Readonly<Record<string, unknown>> } => ({ file: "f.jsonl", line, fields });
/** The text that is learnt. */
const learnt = (sample: TokenSample | undefined): string => tokenizer.decode(sample!.labels.filter((label) => label !== -100));
const everything = (sample: TokenSample | undefined): string => tokenizer.decode(sample!.inputIds);

describe("forms", () => {
  it("are told by their keys", () => {
    const turns = [{ role: "user", content: "q" }, { role: "assistant", content: "a" }];
    const place = "f.jsonl, line 7";
    expect(toExample(row({ messages: turns }))).toEqual({ kind: "chat", messages: turns, place });
    expect(toExample(row({ conversations: [{ from: "human", value: "q" }, { from: "gpt", value: "a" }], system: "s" }))).toEqual({
      kind: "chat", messages: [{ role: "system", content: "s" }, ...turns], place,
    });
    expect(toExample(row({ instruction: "q", input: "", output: "a" }))).toEqual({ kind: "chat", messages: turns, place });
    expect(toExample(row({ instruction: "q", input: "i", output: "a" }))).toMatchObject({ messages: [{ content: "q\n\ni" }, {}] });
    expect(toExample(row({ prompt: "q", completion: "a" }))).toEqual({ kind: "completion", prompt: "q", completion: "a", place });
    expect(toExample(row({ text: "t" }))).toEqual({ kind: "text", text: "t", place });
    expect(toExample(row({ prompt: "q", chosen: "a", rejected: "b" }))).toEqual({ kind: "preference", prompt: "q", chosen: "a", rejected: "b", place });
    expect(toExample(row({ messages: turns, tools: '[{"name": "f"}]' }))).toMatchObject({ tools: [{ name: "f" }] });
  });

  it("that are wrong are named by file and line", () => {
    const cases: readonly (readonly [Readonly<Record<string, unknown>>, RegExp])[] = [
      [{ instructions: "q", output: "a" }, /f\.jsonl, line 7: the keys instructions, output are of no known form\. Did you mean "instruction"/],
      [{}, /\(none\)/],
      [{ messages: [] }, /"messages" is empty/],
      [{ messages: "hi" }, /"messages" is not a list/],
      [{ messages: [3] }, /turn 0 of "messages" is not an object/],
      [{ messages: [{ content: "x" }] }, /turn 0 of "messages" has no "role"/],
      [{ messages: [{ role: "user" }] }, /turn 0 of "messages" has no "content"/],
      [{ messages: [{ role: "user", content: 3 }] }, /is not text/],
      [{ conversations: [{ from: "humen", value: "x" }] }, /is from "humen"\. Did you mean "human"/],
      [{ prompt: "x", completion: 3 }, /"completion" is not text/],
      [{ text: null }, /"text" is missing/],
      [{ messages: [{ role: "user", content: "q" }], tools: "{" }, /"tools" is not valid JSON/],
    ];
    for (const [fields, message] of cases) expect(() => toExample(row(fields)), JSON.stringify(fields)).toThrow(message);
  });

  it("of any shape give an example or an error of ours", () => {
    const keys = fc.constantFrom("messages", "conversations", "text", "prompt", "completion", "chosen", "rejected", "instruction", "output", "role", "content", "__proto__");
    const value = fc.letrec((tie) => ({
      any: fc.oneof({ depthSize: "small" }, fc.constantFrom<unknown>(null, 3, "s", "", true), fc.array(tie("any"), { maxLength: 3 }), fc.dictionary(keys, tie("any"), { maxKeys: 3 })),
    })).any;
    fc.assert(
      fc.property(fc.dictionary(keys, value, { maxKeys: 4 }), (fields) => {
        try {
          expect(toExample(row(fields)).place).toBe("f.jsonl, line 7");
        } catch (error) {
          expect(error).toBeInstanceOf(GraftError);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe("folders", () => {
  it("have train, valid and test files, or one file is split", async () => {
    const lines = (count: number, name: string): string => Array.from({ length: count }, (_, i) => `{"text": "${name} ${i}"}\n`).join("");
    await mkdir(join(folder, "lm"));
    await writeFile(join(folder, "lm/train.jsonl"), lines(10, "t"));
    await writeFile(join(folder, "lm/valid.jsonl"), lines(3, "v"));
    const { train, valid, test } = await loadExamples(join(folder, "lm"), { validFraction: 0.5 });
    expect([train.length, valid.length, test.length]).toEqual([10, 3, 0]);
    const split = await loadExamples(join(folder, "lm/train.jsonl"), { validFraction: 0.2, seed: 1 });
    expect([split.train.length, split.valid.length]).toEqual([8, 2]);
    await expect(loadExamples(folder)).rejects.toThrow(/holds no train\.jsonl/);
    await writeFile(join(folder, "empty.jsonl"), "\n");
    await expect(loadExamples(join(folder, "empty.jsonl"))).rejects.toThrow(/holds no example/);
  });
});

describe("labels", () => {
  const chat: Example = {
    kind: "chat",
    place: "f.jsonl, line 7",
    messages: [{ role: "user", content: "q1" }, { role: "assistant", content: "a1" }, { role: "user", content: "q2" }, { role: "assistant", content: "a2" }],
  };

  it("count what the assistant says", () => {
    const sample = encodeExample(chat, tokenizer);
    expect(everything(sample)).toBe(tokenizer.applyChatTemplate(chat.kind === "chat" ? chat.messages : []));
    expect(learnt(sample)).toBe("a1<|im_end|>\na2<|im_end|>\n");
    expect(learnt(encodeExample(chat, tokenizer, { trainOn: "last" }))).toBe("a2<|im_end|>\n");
    expect(learnt(encodeExample(chat, tokenizer, { trainOn: "all" }))).toBe(everything(sample));
  });

  it("count the completion and its end", () => {
    const sample = encodeExample({ kind: "completion", prompt: "2 + 2 =", completion: " 4", place: "p" }, tokenizer);
    expect(everything(sample)).toBe("2 + 2 = 4<|endoftext|>");
    expect(learnt(sample)).toBe(" 4<|endoftext|>");
    expect(learnt(encodeExample({ kind: "text", text: "all", place: "p" }, tokenizer))).toBe("all<|endoftext|>");
  });

  it("of a pair count both answers", () => {
    const pair = encodePreference({ kind: "preference", prompt: "q", chosen: " yes", rejected: " no", place: "p" }, tokenizer)!;
    expect([learnt(pair.chosen), learnt(pair.rejected)]).toEqual([" yes<|endoftext|>", " no<|endoftext|>"]);
    const turns = (answer: string): { role: string; content: string }[] => [{ role: "user", content: "q" }, { role: "assistant", content: answer }];
    const chats = encodePreference({ kind: "preference", prompt: "", chosen: turns("yes"), rejected: turns("no"), place: "p" }, tokenizer)!;
    expect([learnt(chats.chosen), learnt(chats.rejected)]).toEqual(["yes<|im_end|>\n", "no<|im_end|>\n"]);
  });

  it("say what cannot be learnt", async () => {
    const plain = await trainByteLevelBpe(["x"], { vocabSize: 257 });
    expect(() => encodeExample(chat, plain)).toThrow(/has no chat template/);
    expect(() => encodeExample(chat, tokenizer, { maxLength: 10 })).toThrow(/f\.jsonl, line 7: the sample has \d+ tokens, the limit is 10/);
    expect(encodeExample(chat, tokenizer, { maxLength: 10, overLong: "skip" })).toBeUndefined();
    expect(encodeExample(chat, tokenizer, { maxLength: 22, overLong: "truncate" })!.inputIds).toHaveLength(22);
    expect(encodeExample(chat, tokenizer, { maxLength: 3, overLong: "truncate" })).toBeUndefined();
    expect(() => encodeExample({ kind: "chat", messages: [{ role: "user", content: "q" }], place: "p" }, tokenizer)).toThrow(/p: has no turn of the assistant/);
    expect(() => encodeExample({ kind: "preference", prompt: "", chosen: "a", rejected: "b", place: "p" }, tokenizer)).toThrow(/encodePreference/);
  });
});

describe("packing", () => {
  const sample = (length: number, first: number): TokenSample => {
    const inputIds = Int32Array.from({ length }, (_, i) => first + i);
    return { inputIds, labels: inputIds.slice() };
  };

  it("keeps samples whole and apart", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 16 }), { minLength: 1, maxLength: 30 }), fc.constantFrom("best" as const, "order" as const), (lengths, fit) => {
        const samples = lengths.map((length, i) => sample(length, 100 * (i + 1)));
        const packed = new PackedDataset(samples, { blockSize: 16, padId: 9, fit });
        expect(packed.plan.flat().sort((a, b) => a - b)).toEqual(lengths.map((_, i) => i));
        if (fit === "order") expect(packed.plan.flat()).toEqual(lengths.map((_, i) => i));
        for (let r = 0; r < packed.length; r++) {
          const { inputIds, labels, segmentIds, positionIds } = packed.get(r);
          for (let i = 0; i < 16; i++) {
            if (segmentIds[i] === 0) expect([inputIds[i], labels[i]]).toEqual([9, -100]);
            else {
              const own = samples[packed.plan[r][segmentIds[i] - 1]];
              expect(inputIds[i]).toBe(own.inputIds[positionIds[i]]);
              // nothing of another sample is predicted: the token before a label is of its own segment
              expect(labels[i]).toBe(positionIds[i] === 0 ? -100 : own.labels[positionIds[i]]);
              if (labels[i] !== -100) expect(segmentIds[i - 1]).toBe(segmentIds[i]);
            }
          }
        }
      }),
      { numRuns: 100 },
    );
  });

  it("fills rows well and refuses what does not fit", () => {
    const packed = new PackedDataset([3, 8, 5, 4, 4].map((length) => sample(length, 0)), { blockSize: 8 });
    expect(packed.length).toBe(3);
    expect(packed.density).toBe(1);
    expect(() => new PackedDataset([sample(9, 0)], { blockSize: 8 })).toThrow(/sample 0 has 9 tokens, a row holds 8/);
  });

  it("padding marks what is real", () => {
    const { inputIds, labels, attentionMask } = padSamples([sample(2, 5), sample(3, 7)], { padId: 1, multipleOf: 4 });
    expect(inputIds.shape).toEqual([2, 4]);
    expect([...inputIds.data]).toEqual([5, 6, 1, 1, 7, 8, 9, 1]);
    expect([...labels.data]).toEqual([5, 6, -100, -100, 7, 8, 9, -100]);
    expect([...attentionMask.data]).toEqual([1, 1, 0, 0, 1, 1, 1, 0]);
  });
});

describe("order", () => {
  it("by length: every sample once, little padding", () => {
    const lengths = Array.from({ length: 103 }, (_, i) => (i * 37) % 100);
    const order = Array.from(lengthSampler(lengths, { batchSize: 8 }).indices(new Random(1)));
    expect([...order].sort((a, b) => a - b)).toEqual(lengths.map((_, i) => i));
    const spread = Array.from({ length: 12 }, (_, b) => order.slice(8 * b, 8 * b + 8).map((i) => lengths[i])).map((batch) => Math.max(...batch) - Math.min(...batch));
    expect(Math.max(...spread)).toBeLessThan(20);
  });

  it("of a stream: all items, another order in each epoch, and the rest of it after a resume", async () => {
    const make = (): ShuffledStream<number> => new ShuffledStream(() => Array.from({ length: 100 }, (_, i) => i), { bufferSize: 10, seed: 4 });
    const take = async (stream: ShuffledStream<number>, most = Infinity): Promise<number[]> => {
      const items: number[] = [];
      for await (const item of stream) {
        items.push(item);
        if (items.length >= most) break;
      }
      return items;
    };
    const whole = make();
    const [first, second] = [await take(whole), await take(whole)];
    expect([...first].sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(second).not.toEqual(first);

    const stopped = make();
    await take(stopped);
    const before = await take(stopped, 37);
    const resumed = make();
    resumed.loadStateDict(stopped.stateDict());
    expect([...before, ...(await take(resumed))]).toEqual(second);
    expect(resumed.stateDict()).toMatchObject({ epoch: 2, items: 0 });
    expect(() => resumed.loadStateDict({ ...stopped.stateDict(), seed: 9 })).toThrow(/has seed 9, this stream has 4/);
  });
});
