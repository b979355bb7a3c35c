import { beforeAll, describe, expect, it } from "vitest";
import { Random } from "../random.js";
import { trainByteLevelBpe, trainWordPiece, type Tokenizer } from "../tokenizers/index.js";
import { masker } from "./masking.js";

const sentences = Array.from({ length: 30 }, (_, i) => `a ${["red", "blue", "green"][i % 3]} ${["house", "tree"][i % 2]} stands by the road`);
let tokenizer: Tokenizer;
beforeAll(async () => {
  tokenizer = await trainWordPiece(sentences, { vocabSize: 120 });
});

describe("masker", () => {
  it("hides 15 % of the words: 80 % masked, 10 % replaced, 10 % left, never a special token or padding", () => {
    const rows = tokenizer.encodeBatch(Array.from({ length: 400 }, (_, i) => sentences[i % 30] + (i % 4 === 0 ? " again and again" : "")));
    const [cls, sep, mask] = ["[CLS]", "[SEP]", "[MASK]"].map((token) => tokenizer.tokenToId(token)!);
    const { inputIds, attentionMask, labelPositions, labels } = masker(tokenizer)(rows, new Random(1));
    const [B, T] = inputIds.shape;
    expect([B, T % 8, labels.shape, labelPositions.shape]).toEqual([400, 0, [1, labels.data.length], [labels.data.length]]);
    expect(labels.data.length % 32).toBe(0);
    const original = rows.flatMap((row) => Array.from({ length: T }, (_, i) => row[i] ?? tokenizer.padId!));
    const counts = { masked: 0, kept: 0, other: 0 };
    const changed = new Set<number>();
    labels.data.forEach((label, i) => {
      if (label === -100) return;
      const at = labelPositions.data[i];
      expect(label).toBe(original[at]);
      expect([cls, sep, tokenizer.padId]).not.toContain(label);
      expect(changed.has(at)).toBe(false);
      changed.add(at);
      counts[inputIds.data[at] === mask ? "masked" : inputIds.data[at] === label ? "kept" : "other"]++;
    });
    original.forEach((id, at) => changed.has(at) || expect(inputIds.data[at]).toBe(id));
    original.forEach((_, at) => expect(attentionMask.data[at]).toBe(at % T < rows[Math.floor(at / T)].length ? 1 : 0));
    const words = rows.reduce((sum, row) => sum + row.length - 2, 0);
    const close = (found: number, of: number, share: number): void => expect(Math.abs(found / of - share)).toBeLessThan(4 * Math.sqrt((share * (1 - share)) / of)); // 4 standard deviations
    close(changed.size, words, 0.15);
    close(counts.masked, changed.size, 0.8);
    close(counts.kept, changed.size, 0.1 + 0.1 / tokenizer.vocabSize);
  });

  it("is the same for the same stream, hides one word at least, and may hide all", () => {
    const rows = tokenizer.encodeBatch(sentences.slice(0, 2));
    expect(masker(tokenizer)(rows, new Random(5))).toEqual(masker(tokenizer)(rows, new Random(5)));
    const few = masker(tokenizer, { probability: 1e-9 })(rows, new Random(2));
    expect(few.labels.data.filter((label) => label !== -100)).toHaveLength(1);
    const all = masker(tokenizer, { probability: 1, masked: 1, random: 0, multipleOf: 1, maxLength: 12 })(rows, new Random(2));
    expect(all.labels.data.filter((label) => label !== -100)).toHaveLength(rows.reduce((sum, row) => sum + row.length - 2, 0));
  });

  it("hides some words more often than others, and looks for them from the first token too", () => {
    const rows = tokenizer.encodeBatch(sentences.slice(0, 3));
    const road = tokenizer.tokenToId("road")!;
    const { labels, labelPositions, inputIds } = masker(tokenizer, { probability: 1, weight: (id) => (id === road ? 1 : 0), fromFirst: true })(rows, new Random(4));
    const T = inputIds.shape[1];
    const found = [...labels.data].flatMap((label, i) => (label === -100 ? [] : [[label, labelPositions.data[i]]]));
    const places = rows.map((row, i) => i * T + row.indexOf(road));
    expect(found).toEqual(places.flatMap((at, i) => [[road, at], [road, i * T]]));
  });

  it("needs a mask token and shares that make sense", async () => {
    const other = await trainByteLevelBpe(sentences, { vocabSize: 270 });
    expect(() => masker(other)).toThrow(/has no mask token.*trainWordPiece/);
    expect(() => masker(tokenizer, { masked: 0.8, random: 0.3 })).toThrow(/more than 1 together/);
    expect(() => masker(tokenizer, { probability: 0 })).toThrow(/probability/);
  });
});
