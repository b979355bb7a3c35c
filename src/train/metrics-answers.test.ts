import { describe, expect, it } from "vitest";
import { exactMatch, normalizeAnswer, tokenF1 } from "./metrics.js";

describe("answers", () => {
  it("are compared without case, punctuation, articles and spaces", () => {
    expect(normalizeAnswer("  The Eiffel-Tower, an (old)  one!\n")).toBe("eiffeltower old one");
    expect(normalizeAnswer("Theatre and anthem")).toBe("theatre and anthem"); // words that only begin like an article
    expect(exactMatch("The cat.", ["dog", "a cat"])).toBe(1);
    expect(exactMatch("The cat", "cats")).toBe(0);
    expect(exactMatch(" The cat ", "The cat", { normalize: false })).toBe(1);
    expect(exactMatch("the cat", "The cat", { normalize: false })).toBe(0);
  });

  it("share words, each as often as both have it", () => {
    expect(tokenF1("the black cat", "a cat")).toBeCloseTo(2 / 3, 12); // P 1/2, R 1
    expect(tokenF1("to be to", "to be or not to be")).toBeCloseTo((2 * 3) / (3 + 6), 12); // "to" twice, "be" once
    expect(tokenF1("black dog", ["cat", "dog"])).toBeCloseTo(2 / 3, 12);
    expect([tokenF1("", ""), tokenF1("a", "the"), tokenF1("", "cat"), tokenF1("cat", "")]).toEqual([1, 1, 0, 0]);
  });
});
