import { describe, expect, it } from "vitest";
import { checkChoice, checkNumber, checkOptions } from "./options.js";

describe("checkOptions", () => {
  const known = ["dim", "keepdim"] as const;
  it("accepts known keys and no options at all", () => {
    checkOptions("sum", { dim: 0 }, known as never);
    checkOptions("sum", undefined, known as never);
  });
  it("names the nearest known key", () => {
    expect(() => checkOptions("sum", { keepdims: true }, known as never)).toThrow('sum: unknown option "keepdims". Did you mean "keepdim"? Options: dim, keepdim.');
    expect(() => checkOptions("elu", { neg_slope: 1 } as object, ["alpha", "negSlope"] as never)).toThrow('Did you mean "negSlope"?');
    expect(() => checkOptions("sum", { zzzzzzz: 1 }, known as never)).toThrow('unknown option "zzzzzzz". Options');
  });
  it("refuses what is not an object", () => {
    expect(() => checkOptions("sum", 1 as never, known as never)).toThrow("the options are number 1, not an object. Write { dim: ... }");
    expect(() => checkOptions("sum", [1] as never, known as never)).toThrow("an array");
    expect(() => checkOptions("sum", null as never, known as never)).toThrow("null");
  });
});

describe("checkChoice and checkNumber", () => {
  it("return good values", () => {
    expect(checkChoice("f", "mode", "a", ["a", "b"])).toBe("a");
    expect(checkNumber("f", "p", 0.5, { min: 0, max: 1 })).toBe(0.5);
    expect(checkNumber("f", "p", -3)).toBe(-3);
  });
  it("say what would be right", () => {
    expect(() => checkChoice("mseLoss", "reduction", "means", ["none", "mean", "sum"])).toThrow('mseLoss: reduction is "means". Did you mean "mean"? Use one of "none", "mean", "sum".');
    expect(() => checkNumber("dropout", "p", 1.5, { min: 0, max: 1 })).toThrow("dropout: p is 1.5. Use a number from 0 to 1.");
    expect(() => checkNumber("f", "n", 1.5, { min: 0, whole: true })).toThrow("Use a whole number of 0 or more.");
    expect(() => checkNumber("f", "n", 0, { above: 0 })).toThrow("a number above 0");
    expect(() => checkNumber("f", "n", NaN)).toThrow("n is NaN. Use a number.");
  });
});
