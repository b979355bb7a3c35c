import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { GraftError } from "../../base/index.js";
import { trainBpe, trainByteLevelBpe, trainCharacters, trainUnigram, trainWordPiece, type Tokenizer } from "./index.js";
import { gpt2Pattern, splitGpt2 } from "./split.js";

interface Reference {
  readonly probes: readonly string[];
  readonly kinds: Readonly<Record<string, { readonly vocab: readonly string[]; readonly merges: unknown; readonly ids: readonly number[][]; readonly decoded: readonly string[] }>>;
}
const golden = (name: string): string => readFileSync(new URL(`../../../test/golden/tokenizers/${name}`, import.meta.url), "utf8");
const text = golden("text.txt");
const lines = text.match(/[^\n]*\n|[^\n]+$/g)!;
const { probes, kinds } = JSON.parse(golden("reference.json")) as Reference;
const words = (): string[] => text.split(/(?<=\s)/);

describe("merges equal those of the tokenizers package", () => {
  const cases: Readonly<Record<string, () => Promise<Tokenizer>>> = {
    byteLevel: () => trainByteLevelBpe(lines, { vocabSize: 420, minFrequency: 2 }),
    byteLevelPrefix: () => trainByteLevelBpe(lines, { vocabSize: 330, maxTokenLength: 5, addPrefixSpace: true }),
    whitespace: () => trainBpe(lines, { vocabSize: 150, words: "whitespace" }),
    metaspace: () => trainBpe(lines, { vocabSize: 150, limitAlphabet: 21 }),
    bert: () => trainBpe(lines, { vocabSize: 140, minFrequency: 3, words: "bert" }),
  };
  for (const [name, train] of Object.entries(cases)) {
    it(name, async () => {
      const tokenizer = await train();
      const expected = kinds[name];
      expect(tokenizer.json.model.merges).toEqual(expected.merges);
      expect(Array.from({ length: tokenizer.vocabSize }, (_, id) => tokenizer.idToToken(id))).toEqual(expected.vocab);
      expect(tokenizer.encodeBatch(probes)).toEqual(expected.ids);
      expect(tokenizer.decodeBatch(expected.ids)).toEqual(expected.decoded);
    });
  }

  it("worked out by hand: low, lower, lowest", async () => {
    const tokenizer = await trainBpe(["low low lower lowest"], { vocabSize: 14, words: "whitespaceSplit" });
    // l-o 4, o-w 4, w-e 2: of equal counts the smaller ids first, and ids are in the order e l o r s t w, then merges: s-t before lowe-r
    expect(tokenizer.json.model.merges).toEqual([["l", "o"], ["lo", "w"], ["low", "e"], ["s", "t"]]);
  });
});

describe("byte-level BPE", () => {
  it("gives every text back", async () => {
    const tokenizer = await trainByteLevelBpe(lines, { vocabSize: 400 });
    fc.assert(fc.property(fc.string({ unit: "grapheme", maxLength: 40 }), (value) => tokenizer.decode(tokenizer.encode(value)) === value), { numRuns: 100 });
  });

  it("is the same by the fast way and by the library", async () => {
    const tokenizer = await trainByteLevelBpe(lines, { vocabSize: 400 });
    // an added token in the text sends it through the library
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 40 }), (value) => {
        expect(tokenizer.encode(`<|endoftext|>${value}`)).toEqual([0, ...tokenizer.encode(value)]);
      }),
      { numRuns: 40 },
    );
  });

  it("cuts words as GPT-2's expression does", () => {
    const unit = fc.constantFrom(..."ab1 \t\n'sve.\u00e9\u6f22\u0085\ufeff\ud83d\ude00-", " ", "'ll");
    fc.assert(
      fc.property(fc.array(unit, { maxLength: 20 }), (units) => {
        const value = units.join("");
        const found: string[] = [];
        splitGpt2(value, 0, value.length, (from, to) => void found.push(value.slice(from, to)));
        expect(found).toEqual(value.match(gpt2Pattern) ?? []);
      }),
      { numRuns: 300 },
    );
  });

  it("does not depend on the order of the texts", async () => {
    const one = await trainByteLevelBpe(lines, { vocabSize: 380 });
    const other = await trainByteLevelBpe([...lines].reverse(), { vocabSize: 380 });
    expect(other.json).toEqual(one.json);
  });
});

describe("other kinds", () => {
  it("WordPiece frames sentences and marks pieces inside words", async () => {
    const tokenizer = await trainWordPiece(words(), { vocabSize: 200 });
    const ids = tokenizer.encode("KATO katomi");
    expect(ids[0]).toBe(tokenizer.specialId("cls"));
    expect(ids.at(-1)).toBe(tokenizer.specialId("sep"));
    expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe("kato katomi");
    expect(Array.from({ length: tokenizer.vocabSize }, (_, id) => tokenizer.idToToken(id)!).some((token) => token.startsWith("##"))).toBe(true);
  });

  it("Unigram prefers frequent pieces and keeps all characters", async () => {
    const tokenizer = await trainUnigram(lines, { vocabSize: 120 });
    expect(tokenizer.vocabSize).toBe(120);
    expect(tokenizer.decode(tokenizer.encode("kato miren"))).toBe("kato miren");
    const pieces = tokenizer.json.model.vocab as [string, number][];
    const characters = new Set(text.normalize("NFKC").replaceAll(" ", "\u2581"));
    const tokens = new Set(pieces.map(([token]) => token));
    expect([...characters].filter((character) => !tokens.has(character))).toEqual([]);
    expect(pieces.slice(3).every(([, score], i, all) => score < 0 && (i === 0 || score <= all[i - 1][1]))).toBe(true);
    const length = lines.reduce((sum, line) => sum + tokenizer.encode(line).length, 0);
    expect(length).toBeLessThan(text.length * 0.75);
  });

  it("characters come in the order of their code points", async () => {
    const tokenizer = await trainCharacters(["hello\n", "b a"]);
    expect(Array.from({ length: tokenizer.vocabSize }, (_, id) => tokenizer.idToToken(id)).join("")).toBe("\n abehlo");
    expect(tokenizer.decode(tokenizer.encode("hello b\n"))).toBe("hello b\n");
  });

  it("special tokens are never cut", async () => {
    const tokenizer = await trainByteLevelBpe(lines, { vocabSize: 300, specialTokens: ["<|im_start|>", "<|im_end|>"], roles: { eos: "<|im_end|>" } });
    expect(tokenizer.encode("<|im_start|>ka<|im_end|>").at(-1)).toBe(tokenizer.eosId);
    expect(tokenizer.eosId).toBe(1);
  });

  it("says what is wrong with texts and options", async () => {
    await expect(trainByteLevelBpe([], {})).rejects.toThrow(/hold no words/);
    await expect(trainByteLevelBpe("one string")).rejects.toThrow(/are one string/);
    await expect(trainByteLevelBpe([3 as unknown as string])).rejects.toThrow(/a text is number/);
    await expect(trainBpe(lines, { vocabsize: 3 } as object)).rejects.toThrow(/Did you mean "vocabSize"/);
    await expect(trainBpe(lines, { words: "space" as "bert" })).rejects.toThrow(GraftError);
  });
});
