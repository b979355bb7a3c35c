import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import type { DType } from "graftml";
import { dense, native, RawPlan } from "./plan.js";
import { Chance, indices, randomProgram, randomShape, randomView, valueAt } from "./random-program.js";

const copy = { inputs: 1, registers: 1, instrs: [], stores: [0] };

/** Folds in f64 (sums compensated after Kahan) or in i32; `magnitude` is the sum of absolute values, which bounds rounding. */
class Fold {
  value: number;
  magnitude = 0;
  private lost = 0;
  constructor(private readonly kind: number, private readonly whole: boolean) {
    this.value = [0, 1, whole ? -2147483648 : -Infinity, whole ? 2147483647 : Infinity][kind];
  }
  take(x: number): void {
    this.magnitude += Math.abs(x);
    if (this.kind === 2) this.value = Math.max(this.value, x);
    else if (this.kind === 3) this.value = Math.min(this.value, x);
    else if (this.kind === 1) this.value = this.whole ? Math.imul(this.value, x) : this.value * x;
    else if (this.whole) this.value = (this.value + x) | 0;
    else {
      const y = x - this.lost;
      const next = this.value + y;
      this.lost = next - this.value - y;
      this.value = next;
    }
  }
}

function check(seed: number): string | undefined {
  const chance = new Chance(seed);
  const shape = randomShape(chance);
  const inputs = Array.from({ length: chance.whole(1, 3) }, () => randomView(chance, shape, chance.pick<DType>(["f32", "f32", "f64", "i32", "bf16", "u8"]), true));
  const program = randomProgram(chance, inputs.map((v) => v.dtype), chance.whole(0, 6));
  const [register, mask, kind] = [chance.whole(0, program.classes.length - 1), chance.whole(0, (1 << shape.length) - 1), chance.whole(0, 3)];
  const type = program.classes[register];
  const kept = shape.map((size, d) => ((mask >> d) & 1 ? 1 : size));
  const out = randomView(chance, kept, type, false);
  const key = (index: readonly number[]): string => index.map((i, d) => ((mask >> d) & 1 ? 0 : i)).join();
  const folds = new Map(Array.from(indices(kept), (index) => [key(index), new Fold(kind, type === "i32")] as const));
  let count = 0;
  for (const index of indices(shape)) {
    folds.get(key(index))?.take(program.run(inputs.map((v) => valueAt(v, index)))[register]);
    count++;
  }
  new RawPlan().step("reduce", inputs, [out], [kind, mask], { inputs: inputs.length, registers: program.classes.length, instrs: program.instrs, stores: [register] }).run(native!);
  const epsilon = type === "f32" ? 2 ** -24 : 2 ** -53;
  for (const index of indices(kept)) {
    const { value, magnitude } = folds.get(key(index))!;
    const got = valueAt(out, index);
    const tolerance = type === "i32" || kind > 1 ? 0 : kind === 0 ? 8 * epsilon * magnitude + 1e-38 : Math.abs(value) * epsilon * Math.max(8, count) + 1e-38;
    if (!(got === value || Math.abs(got - value) <= tolerance || Math.fround(value) === got)) return `kind ${kind} mask ${mask} at [${index}] of [${shape}]: ${got}, expected ${value}`;
  }
  return undefined;
}

function reduce(x: Float32Array, shape: number[], mask: number, kind = 0): Float32Array {
  const kept = shape.map((size, d) => ((mask >> d) & 1 ? 1 : size));
  const out = new Float32Array(kept.reduce((n, size) => n * size, 1));
  new RawPlan().step("reduce", [dense(x, "f32", shape)], [dense(out, "f32", kept)], [kind, mask], copy).run(native!);
  return out;
}

describe.skipIf(!native)("kernel reduce", () => {
  it("agrees with folding one by one in f64 for any views, dimensions and kinds", () => {
    fc.assert(fc.property(fc.integer(), (seed) => void expect(check(seed)).toBeUndefined()), { numRuns: 250, seed: 2 });
  });

  it.each([[[1 << 20], 1], [[4096, 256], 1], [[64, 32, 128], 5], [[2, 1 << 19], 2]])("a sum over %o (mask %i) of a million terms stays near rounding", (shape, mask) => {
    const x = Float32Array.from({ length: 1 << 20 }, (_, i) => 1 + (i % 7) / 8); // no cancellation: the error is relative to the result
    const exact = new Map<string, number>();
    let i = 0;
    for (const index of indices(shape)) {
      const key = index.map((at, d) => ((mask >> d) & 1 ? 0 : at)).join();
      exact.set(key, (exact.get(key) ?? 0) + x[i++]); // exact in f64
    }
    const got = reduce(x, shape, mask);
    [...exact.values()].forEach((sum, k) => expect(Math.abs(got[k] - sum) / sum).toBeLessThan(4 * 2 ** -24));
  });

  it("NaN wins in max and min, and an empty reduction gives the identity", () => {
    const x = Float32Array.from({ length: 1000 }, (_, i) => (i === 777 ? NaN : i));
    expect(reduce(x, [1000], 1, 2)[0]).toBeNaN();
    expect(reduce(x, [10, 100], 1, 3)[77]).toBeNaN();
    expect(reduce(x, [10, 100], 1, 3)[76]).toBe(76);
    expect([0, 1, 2, 3].map((kind) => reduce(new Float32Array(1), [0], 1, kind)[0])).toEqual([0, 1, -Infinity, Infinity]);
    expect([...reduce(new Float32Array(1), [0, 3], 1)]).toEqual([0, 0, 0]);
    expect([...reduce(new Float32Array(1), [3, 0], 2, 1)]).toEqual([1, 1, 1]);
  });

  describe("threads", () => {
    const before = native?.threads() ?? 1;
    afterAll(() => native?.setThreads(before));
    it.each([[[300_007], 1], [[5000, 61], 1], [[61, 5000], 2], [[16, 32, 33, 17], 13], [[3, 100_000], 2]])("1, 2, 3 and 8 give the same bits over %o (mask %i)", (shape, mask) => {
      const x = Float32Array.from({ length: shape.reduce((n, size) => n * size, 1) }, (_, i) => Math.sin(i * 1.7));
      const results = [1, 2, 3, 8].map((threads) => {
        native!.setThreads(threads);
        return Buffer.from(reduce(x, shape, mask).buffer).toString("base64");
      });
      expect(new Set(results).size).toBe(1);
    });
  });

  it("says what is wrong", () => {
    const x = new Float32Array(6);
    const run = (attrs: number[], kept: number[], shape = [2, 3]) => new RawPlan().step("reduce", [dense(x, "f32", shape)], [dense(new Float32Array(6), "f32", kept)], attrs, copy).run(native!);
    expect(() => run([4, 1], [1, 3])).toThrow(/kind or the mask/);
    expect(() => run([0, 4], [2, 3])).toThrow(/mask/);
    expect(() => run([0, 1], [2, 3])).toThrow(/reduced dimensions at 1/);
  });
});
