import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GraftError } from "../../base/index.js";
import { DecodeStream, Tokenizer, trainBpe, trainByteLevelBpe, type TokenizerJson } from "./index.js";

let folder: string;
let trained: Tokenizer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "graft-tokenizer-"));
  trained = await trainByteLevelBpe(["the cat and the hat", "constructor __proto__ toString"], { vocabSize: 290, modelMaxLength: 64 });
});
afterAll(() => rm(folder, { recursive: true }));

const write = async (name: string, content: unknown): Promise<string> => {
  const file = join(folder, name);
  await writeFile(file, typeof content === "string" ? content : JSON.stringify(content));
  return file;
};
/** A character-like BPE whose parts can be spoilt. */
const json = (changes: Readonly<Record<string, unknown>> = {}, model: Readonly<Record<string, unknown>> = {}): unknown => ({
  added_tokens: [{ id: 0, content: "<unk>", special: true }],
  model: { type: "BPE", unk_token: "<unk>", vocab: { "<unk>": 0, a: 1, b: 2, ab: 3 }, merges: [["a", "b"]], ...model },
  ...changes,
});

describe("files", () => {
  it("come back as they were saved", async () => {
    const dir = join(folder, "saved");
    await (await trained.withChatTemplate("chatml")).save(dir);
    expect((await readdir(dir)).sort()).toEqual(["chat_template.jinja", "tokenizer.json", "tokenizer_config.json"]);
    const loaded = await Tokenizer.load(dir);
    expect(loaded.json).toEqual(trained.json);
    expect(loaded.encode("the cat __proto__")).toEqual(trained.encode("the cat __proto__"));
    expect(loaded.eosId).toBe(0);
    expect(JSON.parse(await readFile(join(dir, "tokenizer_config.json"), "utf8"))).toMatchObject({ eos_token: "<|endoftext|>", model_max_length: 64 });
    expect(loaded.applyChatTemplate([{ role: "user", content: "hi" }])).toContain("<|im_start|>user\nhi<|im_end|>");
  });

  it("takes words that are names of an object's prototype", () => {
    for (const text of ["constructor", "__proto__", "toString"]) expect(trained.decode(trained.encode(text))).toBe(text);
  });

  it("reads old files: merges as text, no type, parts left out", async () => {
    const file = await write("old.json", { model: { unk_token: null, vocab: { a: 0, b: 1, ab: 2 }, merges: ["a b"] } });
    const tokenizer = await Tokenizer.load(file);
    expect(tokenizer.encode("abab")).toEqual([2, 2]);
    expect(tokenizer.vocabSize).toBe(3);
  });

  it("fits a model or says which token does not", () => {
    expect(() => trained.checkFits(290)).not.toThrow();
    expect(() => trained.checkFits(100, "the checkpoint")).toThrow(/has \d+ tokens, the checkpoint has a vocabulary of 100/);
  });
});

describe("what is wrong is said", () => {
  it("about files", async () => {
    await expect(Tokenizer.load(join(folder, "nowhere"))).rejects.toThrow(/tokenizer\.json: there is no such file/);
    const wrong: readonly (readonly [unknown, RegExp])[] = [
      ["{", /is not valid JSON/],
      ["[]", /holds a list, not an object/],
      [{}, /there is no "model"/],
      [json({}, { type: "WordPeice" }), /"WordPeice" is unknown\. Did you mean "WordPiece"/],
      [json({}, { vocab: { a: 1, b: 1 } }), /the id 1 of "b" is another token's too/],
      [json({}, { vocab: { a: -1 } }), /the token "a" has the id -1/],
      [json({}, { vocab: { a: 2 ** 40 } }), /the token "a" has the id 1099511627776/],
      [json({}, { vocab: [] }), /must be an object/],
      [json({}, { merges: [["a", "c"]] }), /merge 0 needs the token "c"/],
      [json({}, { merges: ["a b c"] }), /merge 0 is not a pair/],
      [json({}, { merges: 3 }), /must be a list/],
      [json({ added_tokens: [{ id: 1 }] }), /added token 0 has no content/],
      [json({ pre_tokenizer: { type: "Nonsense" } }), /cannot be built.*Nonsense/],
      [json({ normalizer: "x" }), /"normalizer" is not an object with a type/],
      [json({}, { type: "Unigram", vocab: [["a", 0]], unk_id: 3 }), /unk_id is 3/],
      [json({}, { type: "Unigram", vocab: [["a"]] }), /entry 0/],
    ];
    for (const [content, message] of wrong) {
      const failure = Tokenizer.load(await write("wrong.json", content));
      await expect(failure, JSON.stringify(content)).rejects.toThrow(message);
      await expect(failure).rejects.toMatchObject({ code: "format" });
    }
  });

  it("about any damaged file, with an error of ours or none", async () => {
    const whole = JSON.stringify(json());
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.constantFrom("", "9", "}", '"', "null", "[", "-"), async (at, inserted) => {
        const text = whole.slice(0, at) + inserted + whole.slice(at + 1);
        let parsed: unknown;
        try {
          parsed = JSON.parse(text);
        } catch {
          return;
        }
        await Tokenizer.from({ json: parsed as TokenizerJson }).catch((error: unknown) => expect(error).toBeInstanceOf(GraftError));
      }),
      { numRuns: 60 },
    );
  });

  it("about ids and text", () => {
    expect(() => trained.decode([5, 9999])).toThrow(/the id 9999 is not in the vocabulary/);
    expect(() => trained.decode([1.5])).toThrow(/the id 1\.5/);
    expect(trained.decode([])).toBe("");
    expect(() => trained.encode(null as unknown as string)).toThrow(/the text is null/);
    expect(() => trained.encode("a", { addSpecialToken: false } as object)).toThrow(/Did you mean "addSpecialTokens"/);
  });

  it("about chat templates", async () => {
    expect(() => trained.applyChatTemplate([{ role: "user", content: "a" }])).toThrow(/has no chat template.*withChatTemplate/);
    await expect(trained.withChatTemplate("{% for x in %}")).rejects.toThrow(/not valid Jinja/);
    const strict = await trained.withChatTemplate("{{ raise_exception('only questions') }}");
    expect(() => strict.applyChatTemplate([{ role: "user", content: "a" }])).toThrow(/refuses these messages: only questions/);
    expect(() => strict.applyChatTemplate([])).toThrow(/no messages/);
    expect(() => strict.applyChatTemplate([{ content: "a" } as never])).toThrow(/message 0 has no role/);
  });
});

describe("encoding", () => {
  it("treats a whole text as one word where nothing cuts it, however long", async () => {
    const file = await write("whole.json", json({}, { vocab: { "<unk>": 0, a: 1, b: 2, ab: 3, abab: 4 }, merges: [["a", "b"], ["ab", "ab"]] }));
    const tokenizer = await Tokenizer.load(file);
    expect(tokenizer.encode("ab".repeat(51))).toEqual([...Array<number>(25).fill(4), 3]);
    expect(tokenizer.encode("ab".repeat(20_000))).toHaveLength(10_000);
  });

  it("applies the earliest merge first, then the leftmost", async () => {
    const merges = [["b", "c"], ["a", "b"], ["a", "a"]];
    const vocab = { "<unk>": 0, a: 1, b: 2, c: 3, bc: 4, ab: 5, aa: 6 };
    const tokenizer = await Tokenizer.load(await write("order.json", json({}, { vocab, merges })));
    expect(tokenizer.encode("abc")).toEqual([1, 4]);
    expect(tokenizer.encode("aaa")).toEqual([6, 1]);
    expect(tokenizer.encode("abc".repeat(30))).toEqual(Array<number[]>(30).fill([1, 4]).flat());
  });

  it("streams text as it becomes certain", async () => {
    const streamed = (tokenizer: Tokenizer, ids: readonly number[]): string[] => {
      const stream = new DecodeStream(tokenizer);
      return [...ids.map((id) => stream.push(id)), stream.end()];
    };
    const text = "the cat \u6f22\u{1f600} hat";
    const pieces = streamed(trained, trained.encode(text));
    expect(pieces.join("")).toBe(text);
    expect(pieces).toContain("\u{1f600}"); // four bytes, at once
    const words = await trainBpe(["the cat the hat"], { vocabSize: 14 });
    expect(streamed(words, words.encode("the cat the hat")).join("")).toBe("the cat the hat");
    expect(streamed(trained, trained.encode("\u6f22").slice(0, 2)).join("")).toBe("\ufffd");
  });

  it("joins byte tokens to characters", async () => {
    const vocab = { "<unk>": 0, "<0xC3>": 1, "<0xBC>": 2, "<0xEF>": 3, "<0xBB>": 4, "<0xBF>": 5, a: 6 };
    const parts = json({ decoder: { type: "Sequence", decoders: [{ type: "ByteFallback" }, { type: "Fuse" }] } }, { vocab, merges: [], byte_fallback: true });
    const tokenizer = await Tokenizer.load(await write("bytes.json", parts));
    expect(tokenizer.encode("a\u00fc\ufeff")).toEqual([6, 1, 2, 3, 4, 5]);
    expect(tokenizer.decode([6, 1, 2, 3, 4, 5])).toBe("a\u00fc\ufeff");
    expect(tokenizer.decode([1, 2, 1, 6])).toBe("\ufffd\ufffd\ufffda");
  });

  it("templates put words around the turns", async () => {
    const tokenizer = await trained.withChatTemplate("plain");
    const messages = [{ role: "user", content: "2 + 2?" }, { role: "assistant", content: "4" }];
    expect(tokenizer.applyChatTemplate(messages)).toBe("<|endoftext|>User: 2 + 2?\nAssistant: 4<|endoftext|>\n");
    expect(tokenizer.applyChatTemplate(messages.slice(0, 1), { addGenerationPrompt: true })).toBe("<|endoftext|>User: 2 + 2?\nAssistant:");
  });
});
