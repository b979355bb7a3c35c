import { afterAll, describe, expect, it } from "vitest";
import { philox } from "graftml/ops";
import type { DType, TypedArray } from "graftml";
import { dense, native, RawPlan } from "./plan.js";

const key = Int32Array.of(123, -5, 77, 3);
const kinds = { uniform: 0, normal: 1, bits: 2 };

function draw<A extends TypedArray>(memory: A, dtype: DType, kind: keyof typeof kinds): A {
  new RawPlan().step("random", [dense(key, "i32", [4])], [dense(memory, dtype, [memory.length])], [kinds[kind]]).run(native!);
  return memory;
}

/** The first n words of this key's stream. */
const words = (n: number): number[] => Array.from({ length: Math.ceil(n / 4) }, (_, block) => philox([block, 0, 77, 3], [123, -5 >>> 0])).flat().slice(0, n);

function normals(n: number): number[] {
  const even = words(n + (n % 2) + 4);
  return Array.from({ length: n }, (_, i) => {
    const [a, b] = [even[i & ~1], even[i | 1]];
    const angle = (2 * Math.PI * b) / 2 ** 32;
    return Math.sqrt(-2 * Math.log((a + 1) / 2 ** 32)) * (i % 2 === 0 ? Math.cos(angle) : Math.sin(angle));
  });
}

describe("philox", () => {
  it("gives the published words (Random123's known answers)", () => {
    const hex = (list: number[]): string => list.map((word) => word.toString(16).padStart(8, "0")).join(" ");
    expect(hex(philox([0, 0, 0, 0], [0, 0]))).toBe("6627e8d5 e169c58d bc57ac4c 9b00dbd8");
    expect(hex(philox([0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff], [0xffffffff, 0xffffffff]))).toBe("408f276d 41c83b0e a20bc7c6 6d5451fd");
    expect(hex(philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]))).toBe("d16cfe09 94fdcceb 5001e420 24126ea1");
  });
});

describe.skipIf(!native)("kernel random", () => {
  it.each([1, 2, 3, 4, 5, 63, 64, 257, 20_001])("%i bits and uniform numbers are the reference's", (n) => {
    const expected = words(n);
    expect([...draw(new Int32Array(n), "i32", "bits")]).toEqual(expected.map((word) => word | 0));
    expect([...draw(new Float32Array(n), "f32", "uniform")]).toEqual(expected.map((word) => (word >>> 8) / 2 ** 24));
    expect([...draw(new Float64Array(n), "f64", "uniform")]).toEqual(expected.map((word) => (word >>> 8) / 2 ** 24));
  });

  it("normal numbers agree with the reference to rounding, tails included", () => {
    const n = 20_001;
    const expected = normals(n);
    const worst = (got: ArrayLike<number>): number => expected.reduce((most, x, i) => Math.max(most, Math.abs(got[i] - x) / Math.abs(x)), 0);
    expect(worst(draw(new Float32Array(n), "f32", "normal"))).toBeLessThan(5 * 2 ** -24);
    expect(worst(draw(new Float64Array(n), "f64", "normal"))).toBeLessThan(16 * 2 ** -53);
  });

  it("normal numbers have the normal distribution's moments", () => {
    const n = 400_000;
    const x = draw(new Float32Array(n), "f32", "normal");
    const moment = (power: number): number => x.reduce((sum, v) => sum + v ** power, 0) / n;
    expect(Math.abs(moment(1))).toBeLessThan(5 / Math.sqrt(n));
    expect(Math.abs(moment(2) - 1)).toBeLessThan(5 * Math.sqrt(2 / n));
    expect(Math.abs(moment(4) - 3)).toBeLessThan(5 * Math.sqrt(96 / n));
  });

  describe("threads", () => {
    const before = native?.threads() ?? 1;
    afterAll(() => native?.setThreads(before));
    it("1, 2, 3 and 8 give the same bits", () => {
      const results = [1, 2, 3, 8].map((threads) => {
        native!.setThreads(threads);
        return Buffer.from(draw(new Float32Array(100_001), "f32", "normal").buffer).toString("base64");
      });
      expect(new Set(results).size).toBe(1);
    });
  });
});
