import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { interpolate, minus, plus, sameSize, showSize, sizeAt, times, type Axis, type Size } from "./size.js";

const axes: readonly Axis[] = [
  { name: "batch", low: 241, probe: 251, high: 257 },
  { name: "length", low: 7, probe: 11, high: 13 },
];
const corners = [0, 1, 2, 3].map((m) => axes.map(({ low, high }, i) => (m & (1 << i) ? high : low)));
const B: Size = { terms: [0, 1, 0, 0] };
const T: Size = { terms: [0, 0, 1, 0] };

describe("sizes", () => {
  it("the formula is found again from four values", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -5000, max: 5000 }), { minLength: 4, maxLength: 4 }), fc.nat(300), fc.nat(300), (terms, b, t) => {
        const found = interpolate(corners.map((at) => sizeAt({ terms }, at)), axes)!;
        expect(sizeAt(found, [b, t])).toBe(sizeAt({ terms }, [b, t]));
      }),
    );
  });

  it("what grows by no whole number per step is none", () => {
    expect(interpolate(corners.map(([b]) => Math.floor(b / 2) + (b % 3)), axes)).toBeUndefined();
    expect(interpolate([3, 3, 3, 3], axes)).toBe(3);
    expect(interpolate([5], [])).toBe(5);
  });

  it("can be reckoned with and shown", () => {
    expect(showSize(B, axes)).toBe("batch");
    expect(showSize(plus(times({ terms: [0, 0, 0, 1] }, 4), 1), axes)).toBe("4*batch*length + 1");
    expect(minus(plus(T, 1), T)).toBe(1);
    expect([sameSize(plus(B, T), plus(T, B)), sameSize(B, T), sameSize(B, 5)]).toEqual([true, false, false]);
  });
});
