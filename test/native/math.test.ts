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

  /** kernels/simd/gelu32.h: what x is multiplied by and the slope are exact to this, before they are rounded once more. */
  const bound = (name: string): number => (!name.endsWith("Grad") ? 4e-8 : ["avx512", "avx2", "neon"].includes(native!.isa()) ? 9e-8 : 1.2e-7);
  it.each(["gelu", "geluTanh", "geluGrad", "geluTanhGrad"])("%s is as exact in f32 as stated, also where its pieces meet", (name) => {
    const edges = Array.from({ length: 8 }, (_, i) => (i * 8) / 9).flatMap((edge) => [-1e-7, 0, 1e-7].map((d) => edge * (1 + d)));
    const points = Float32Array.from([...edges, 6.5, 7, 1e-30, 3e38, 0, ...Array.from({ length: 50_000 }, (_, i) => 9 * Math.sin(i * 1.7) ** 3)].flatMap((x) => [x, -x]));
    const run = (dtype: "f32" | "f64", x: Float32Array | Float64Array): Float32Array | Float64Array => {
      const n = x.length;
      const [y, ones] = dtype === "f32" ? [new Float32Array(n), new Float32Array(n).fill(1)] : [new Float64Array(n), new Float64Array(n).fill(1)];
      const inputs = name.endsWith("Grad") ? [dense(x, dtype, [n]), dense(ones, dtype, [n])] : [dense(x, dtype, [n])];
      const instr: [string, number, number, number?] = inputs.length > 1 ? [`${name}.${dtype}`, 2, 0, 1] : [`${name}.${dtype}`, 1, 0];
      new RawPlan().step("map", inputs, [dense(y, dtype, [n])], [], { inputs: inputs.length, registers: inputs.length + 1, instrs: [instr], stores: [inputs.length] }).run(native!);
      return y;
    };
    const [got, want] = [run("f32", points), run("f64", Float64Array.from(points))];
    let worst = { excess: 0, x: 0, got: 0, want: 0 };
    points.forEach((x, i) => {
      const factor = name.endsWith("Grad") ? 1 : Math.abs(x);
      const excess = Math.abs(got[i] - want[i]) - Math.abs(want[i]) * 2 ** -23;
      if (excess > bound(name) * factor) worst = excess > worst.excess ? { excess, x, got: got[i], want: want[i] } : worst;
    });
    expect(worst).toEqual({ excess: 0, x: 0, got: 0, want: 0 });
    expect([...run("f32", Float32Array.of(Infinity, -Infinity, NaN))]).toEqual([name.endsWith("Grad") ? 1 : Infinity, 0, NaN]);
    if (!name.endsWith("Grad")) expect(run("f32", Float32Array.of(-0))[0]).toBe(-0);
  });
});
