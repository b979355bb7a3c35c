import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { aligned, placeBlocks } from "./memory.js";

const block = fc.record({ bytes: fc.integer({ min: 0, max: 5000 }), from: fc.nat(30), length: fc.nat(10) }).map(({ bytes, from, length }) => ({ bytes, from, to: from + length }));

describe("placeBlocks", () => {
  it("never lets two live blocks overlap, aligns them, and stays inside the arena", () => {
    fc.assert(
      fc.property(fc.array(block, { maxLength: 60 }), fc.boolean(), (blocks, reuse) => {
        const { offsets, size } = placeBlocks(blocks, reuse);
        blocks.forEach((a, i) => {
          expect(offsets[i] % 64).toBe(0);
          expect(offsets[i] + a.bytes).toBeLessThanOrEqual(size);
          blocks.forEach((b, j) => {
            const together = !reuse || (a.from <= b.to && b.from <= a.to);
            if (i < j && together && a.bytes > 0 && b.bytes > 0) expect(offsets[i] + a.bytes <= offsets[j] || offsets[j] + b.bytes <= offsets[i]).toBe(true);
          });
        });
      }),
      { numRuns: 200, seed: 1 },
    );
  });

  it("uses no more than the largest sum of blocks that live together for a chain", () => {
    const chain = Array.from({ length: 20 }, (_, i) => ({ bytes: 1000, from: i, to: i + 1 }));
    expect(placeBlocks(chain, true).size).toBe(2 * aligned(1000));
    expect(placeBlocks(chain, false).size).toBe(20 * aligned(1000));
  });
});
