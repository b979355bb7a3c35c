import { describe, expect, it } from "vitest";
import { runProgram } from "./child.js";
import { dense, native, RawPlan } from "./plan.js";

/** The bounds that kernels/simd/math32.h states, in units in the last place. */
const bounds: Record<string, number> = {
  exp: 1.2, log: 1.2, log1p: 1.2, tan: 1.2, pow: 1.2, acos: 1.2, erf: 1.2,
  expm1: 1.6, asin: 1.6, sin: 1.6, cos: 1.6, atan: 1.6, atan2: 1.6, sinh: 1.6, cosh: 1.6, tanh: 1.6, softplus: 1.6, logSigmoid: 1.6,
  sigmoid: 2.1, sqrt: 0.5, reciprocal: 0.5, div: 0.5, rsqrt: 1.5, floor: 0, ceil: 0, trunc: 0,
};

describe.skipIf(!native)("functions of one element", () => {
  it.each<Record<string, string>>([{}, { GRAFT_ISA: "avx2" }, { GRAFT_ISA: "scalar" }])("are as exact as stated, and right at infinities, NaN, zeros and subnormals (%o)", async (flags) => {
    const { out, err, status } = await runProgram("math", flags);
    expect(`${status} ${err}`).toBe("0 ");
    const { results } = JSON.parse(out) as { results: Record<string, { ulp: number | "wrong"; at: string }> };
    expect(Object.keys(results).sort()).toEqual(Object.keys(bounds).sort());
    const bad = Object.entries(results).filter(([name, { ulp }]) => ulp === "wrong" || ulp > bounds[name]);
    expect(Object.fromEntries(bad)).toEqual({});
  });

  it("exp and log are within 2 units in the last place in f64", () => {
    const n = 40_000;
    const x = Float64Array.from({ length: n }, (_, i) => 700 * Math.sin(i * 1.7));
    const positive = Float64Array.from(x, Math.exp);
    const [e, l] = [new Float64Array(n), new Float64Array(n)];
    const instrs = [["exp.f64", 2, 0], ["log.f64", 3, 1]] as const;
    new RawPlan().step("map", [dense(x, "f64", [n]), dense(positive, "f64", [n])], [dense(e, "f64", [n]), dense(l, "f64", [n])], [], { inputs: 2, registers: 4, instrs, stores: [2, 3] }).run(native!);
    const worst = (got: Float64Array, want: (i: number) => number): number => got.reduce((most, y, i) => Math.max(most, Math.abs(y - want(i)) / Math.abs(want(i))), 0);
    expect(worst(e, (i) => Math.exp(x[i]))).toBeLessThan(2 * 2 ** -52);
    expect(worst(l.subarray(1), (i) => Math.log(positive[i + 1]))).toBeLessThan(2 * 2 ** -52); // x[0] is 0
  });
});
