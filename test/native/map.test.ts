import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import type { DType, Shape } from "graftml";
import { contiguous, dense, native, RawPlan, type RawView } from "./plan.js";
import { Chance, indices, randomProgram, randomShape, randomView, stored, valueAt } from "./random-program.js";

const storable: Record<string, readonly DType[]> = { f32: ["f32", "f32", "bf16"], f64: ["f64"], i32: ["i32", "u8", "bool"] };

/** A few rows that are longer than a tile, or take a good part of one. */
const longRows = (chance: Chance): Shape => [...(chance.unit() < 0.3 ? [2] : []), chance.whole(1, 4), chance.pick([192, 511, 512, 700, 1024, 1500, 2100])];

/** One random step; outputs sometimes lie exactly on an input. Returns the first wrong element. */
function check(seed: number, shapeOf: (chance: Chance) => Shape): string | undefined {
  const chance = new Chance(seed);
  const shape = shapeOf(chance);
  const inputs = Array.from({ length: chance.whole(0, 4) }, () => randomView(chance, shape, chance.pick<DType>(["f32", "f32", "f64", "i32", "bf16", "u8", "bool"]), true));
  const program = randomProgram(chance, inputs.map((v) => v.dtype), chance.whole(inputs.length === 0 ? 1 : 0, 12));
  const stores = Array.from({ length: chance.whole(1, 3) }, () => chance.whole(0, program.classes.length - 1));
  const outputs: RawView[] = [];
  for (const register of stores) {
    const dtype = chance.pick(storable[program.classes[register]]);
    const place = inputs.find((v) => v.memory !== undefined && v.dtype === dtype && v.stride.every((s, d) => s !== 0 || shape[d] === 1) && !outputs.includes(v));
    outputs.push(place && chance.unit() < 0.4 ? place : randomView(chance, shape, dtype, false));
  }
  const expected = [...indices(shape)].length === 0 ? [] : Array.from(indices(shape), (index) => program.run(inputs.map((v) => valueAt(v, index))));
  if (native) new RawPlan().step("map", inputs, outputs, [], { inputs: inputs.length, registers: program.classes.length, instrs: program.instrs, stores }).run(native);
  for (const [s, out] of outputs.entries()) {
    let i = 0;
    for (const index of indices(shape)) {
      const [want, got] = [stored(out.dtype, expected[i++][stores[s]]), valueAt(out, index)];
      if (want !== got && !(Number.isNaN(want) && Number.isNaN(got))) return `store ${s} at [${index}] of [${shape}]: ${got}, expected ${want}`;
    }
  }
  return undefined;
}

describe.skipIf(!native)("kernel map", () => {
  it("agrees with the program's meaning for any views, in place too", () => {
    fc.assert(fc.property(fc.integer(), (seed) => void expect(check(seed, randomShape)).toBeUndefined()), { numRuns: 250, seed: 1 });
  });

  it("does so for long rows, along which some views do not change", () => {
    fc.assert(fc.property(fc.integer(), (seed) => void expect(check(seed, longRows)).toBeUndefined()), { numRuns: 150, seed: 2 });
  });

  it("walks large transposed, flipped and broadcast views", () => {
    const [rows, cols] = [300, 700];
    const x = Float32Array.from({ length: rows * cols }, (_, i) => i % 9973);
    const bias = Float32Array.from({ length: cols }, (_, i) => i * 10000);
    const y = new Float32Array(rows * cols);
    const shape = [rows, cols];
    const inputs: RawView[] = [
      { memory: x, dtype: "f32", shape, stride: [1, rows], offset: 0 },
      { memory: bias, dtype: "f32", shape, stride: [0, -1], offset: (cols - 1) * 4 },
      { dtype: "i32", shape, stride: [1, 0], offset: 5 },
    ];
    const instrs = [["cast.i32.f32", 3, 2], ["add.f32", 4, 0, 1], ["add.f32", 4, 4, 3]] as const;
    new RawPlan().step("map", inputs, [dense(y, "f32", shape)], [], { inputs: 3, registers: 5, instrs, stores: [4] }).run(native!);
    for (const [r, c] of [[0, 0], [1, 0], [0, 1], [299, 699], [150, 33], [31, 32], [32, 31]]) expect(y[r * cols + c]).toBe(Math.fround(x[c * rows + r] + bias[cols - 1 - c]) + r + 5);
  });

  describe("threads", () => {
    const before = native?.threads() ?? 1;
    afterAll(() => native?.setThreads(before));
    it("1, 2, 3 and 8 give the same bits", () => {
      const n = 100_003;
      const x = Float32Array.from({ length: n }, (_, i) => Math.sin(i));
      const results = [1, 2, 3, 8].map((threads) => {
        native!.setThreads(threads);
        const y = new Float32Array(n);
        new RawPlan().step("map", [dense(x, "f32", [n])], [dense(y, "f32", [n])], [], { inputs: 1, registers: 3, instrs: [["exp.f32", 1, 0], ["tanh.f32", 2, 1]], stores: [2] }).run(native!);
        return Buffer.from(y.buffer).toString("base64");
      });
      expect(new Set(results).size).toBe(1);
    });
  });

  it("says what is wrong with its views", () => {
    const [x, y] = [new Float32Array(6), new Float32Array(6)];
    const copy = { inputs: 1, registers: 1, instrs: [], stores: [0] };
    const plan = (shape: number[]) => new RawPlan().step("map", [{ ...dense(x, "f32", shape), stride: contiguous(shape) }], [dense(y, "f32", [6])], [], copy);
    expect(() => plan([2, 3]).run(native!)).toThrow(/map: all views must have the shape/);
    expect(() => new RawPlan().step("map", [dense(x, "f32", [6])], [dense(y, "f32", [6])], []).run(native!)).toThrow(/no program/);
    expect(() => new RawPlan().step("map", [dense(x, "f32", [6])], [dense(y, "i32", [6])], [], copy).run(native!)).toThrow(/class i32/);
  });
});
