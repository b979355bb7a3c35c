import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { dense, native, RawPlan } from "./plan.js";
import { Chance, randomProgram, randomShape, randomView } from "./random-program.js";

/** A valid plan with a map, a reduction, a matrix product with an epilogue and random numbers, on the arena and on slots. */
function validPlan(chance: Chance): RawPlan {
  const plan = new RawPlan();
  plan.arenaBytes = 4096;
  const shape = randomShape(chance);
  const inputs = [randomView(chance, shape, "f32", true), randomView(chance, shape, "i32", true)];
  const program = randomProgram(chance, ["f32", "i32"], 5);
  const last = program.classes.length;
  const raw = { inputs: 2, registers: last + 1, instrs: [...program.instrs, ["const.f32", last, -1, -1, -1, 0.5] as const], stores: [program.classes.includes("f32") ? program.classes.indexOf("f32") : last] };
  plan.step("map", inputs, [randomView(chance, shape, "f32", false)], [], raw);
  plan.step("reduce", inputs, [randomView(chance, shape.map(() => 1), "f32", false)], [chance.whole(0, 3), (1 << shape.length) - 1], raw);
  const [a, b, c] = [new Float32Array(12), new Float32Array(20), new Float32Array(15)];
  const bias = { memory: a, dtype: "f32", shape: [3, 5], stride: [0, 1], offset: 0 } as const;
  plan.step("matmul", [dense(a, "f32", [3, 4]), dense(b, "f32", [4, 5]), bias], [dense(c, "f32", [3, 5])], [], { inputs: 2, registers: 3, instrs: [["add.f32", 2, 0, 1]], stores: [2] });
  const arena = { memory: "arena", dtype: "f32", shape: [1024], stride: [1], offset: 0 } as const;
  plan.step("random", [dense(new Int32Array(4), "i32", [4])], [arena], [chance.whole(0, 1)]);
  return plan;
}

/** Loads and runs; refusing with a message is right, anything but an Error is not, and a crash ends the test run. */
function attempt(plan: RawPlan, code: Float64Array, names: readonly string[]): "ran" | "refused" {
  try {
    native!.runSync(native!.loadPlan(code, names), plan.slots, false);
    return "ran";
  } catch (error) {
    expect((error as Error).message).not.toBe("");
    return "refused";
  }
}

const odd = [0, 1, -1, 2, -2, 3, 7, 8, 9, 255, 256, 65536, -65536, 2 ** 31, -(2 ** 31), 2 ** 40, 2 ** 53, -(2 ** 53), 0.5, NaN, Infinity, -Infinity, 1e300];

describe.skipIf(!native)("malformed plans", () => {
  it("runs the unchanged plans", () => {
    fc.assert(fc.property(fc.integer(), (seed) => {
      const plan = validPlan(new Chance(seed));
      expect(attempt(plan, plan.code(), plan.names)).toBe("ran");
    }), { numRuns: 30, seed: 3 });
  });

  it("any few numbers may be wrong", () => {
    const outcomes = new Map<string, number>();
    fc.assert(fc.property(fc.integer(), fc.integer({ min: 1, max: 4 }), (seed, changes) => {
      const chance = new Chance(seed);
      const plan = validPlan(chance);
      const code = plan.code();
      for (let i = 0; i < changes; i++) {
        const at = chance.whole(0, code.length - 1);
        code[at] = chance.unit() < 0.5 ? chance.pick(odd) : code[at] + chance.whole(-3, 3);
      }
      const outcome = attempt(plan, code, plan.names);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }), { numRuns: 3000, seed: 4 });
    expect(outcomes.get("refused")).toBeGreaterThan(500); // the changes do matter
  });

  it("may end too soon, be too long, or name what does not exist", () => {
    fc.assert(fc.property(fc.integer(), (seed) => {
      const chance = new Chance(seed);
      const plan = validPlan(chance);
      const code = plan.code();
      expect(attempt(plan, code.slice(0, chance.whole(0, code.length - 1)), plan.names)).toBe("refused");
      expect(attempt(plan, Float64Array.from([...code, 0]), plan.names)).toBe("refused");
      attempt(plan, code, plan.names.slice(1));
      attempt(plan, code, plan.names.map((name) => chance.pick([name, "map", "reduce", "softmax", "conv", "sort", "add.f32", "where.f64", "", "x".repeat(500)])));
    }), { numRuns: 200, seed: 5 });
  });

  it("slots may be missing, too small or misaligned", () => {
    const plan = validPlan(new Chance(7));
    const handle = native!.loadPlan(plan.code(), plan.names);
    expect(() => native!.runSync(handle, plan.slots.slice(1), false)).toThrow(/slots/);
    expect(() => native!.runSync(handle, plan.slots.map(() => new Float32Array(0)), false)).toThrow(/bytes/);
    const shifted = plan.slots.map((slot) => new Uint8Array(slot.byteLength + 1).subarray(1));
    if (process.env.GRAFT_BACKEND !== "wasm") expect(() => native!.runSync(handle, shifted, false)).toThrow(/aligned/); // WebAssembly copies it to where it fits
    expect(() => native!.runSync(handle, [5] as unknown as ArrayBufferView[], false)).toThrow(/typed array/);
    expect(() => native!.runSync({}, plan.slots, false)).toThrow(/loadPlan/);
  });
});
