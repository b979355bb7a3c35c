import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { F, fromData, grad, useBackend, type Tensor } from "graftml";
import { backendNames, values } from "../../test/gradients.js";

// Rows of up to 64 elements are computed as many at a time as a vector has lanes: more rows than lanes, a ragged last group, and rows just too long.
const rows = 37;
const widths = [1, 2, 5, 21, 64, 65];
const dtypes = [["f64", 1e-13], ["f32", 2e-6]] as const;

const rowsOf = (x: ArrayLike<number>, n: number): number[][] => Array.from({ length: x.length / n }, (_, r) => Array.from({ length: n }, (_, c) => x[r * n + c]));
const softmaxOf = (row: readonly number[]): number[] => {
  const top = Math.max(...row);
  const powers = row.map((v) => Math.exp(v - top));
  const total = powers.reduce((a, b) => a + b, 0);
  return powers.map((v) => v / total);
};
/** In f32 first, so that both computations start from the same numbers. */
const matrix = (n: number, seed: number, scale = 3): Float32Array => Float32Array.from(values([rows, n], seed), (v) => v * scale);
const as = (x: Float32Array, dtype: "f32" | "f64", shape: readonly number[]): Tensor => F.cast(fromData(x, shape, "f32"), dtype);
const near = (got: ArrayLike<number>, want: readonly number[], tolerance: number): void => {
  expect(got.length).toBe(want.length);
  want.forEach((v, i) => expect(Math.abs(got[i] - v), `element ${i}: ${got[i]}, expected ${v}`).toBeLessThan(tolerance * (1 + Math.abs(v))));
};

describe.each(backendNames)("short rows on %s", (backend) => {
  beforeAll(() => useBackend(backend));
  afterAll(() => useBackend(undefined));

  it.each(widths)("softmax and its logarithm over %i elements, with their gradients", (n) => {
    const [x, dy] = [matrix(n, 1), matrix(n, 2, 1)];
    const slopes = rowsOf(dy, n);
    const p = rowsOf(x, n).map(softmaxOf);
    const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, v, i) => sum + v * b[i], 0);
    for (const [dtype, tolerance] of dtypes) {
      const of = (f: (x: Tensor) => Tensor): Tensor[] => [f(as(x, dtype, [rows, n])), grad((z: Tensor) => F.sum(F.mul(f(z), as(dy, dtype, [rows, n]))))(as(x, dtype, [rows, n]))];
      const [y, dx] = of((z) => F.softmax(z, 1));
      near(y.dataSync(), p.flat(), tolerance);
      near(dx.dataSync(), p.flatMap((row, r) => row.map((v, c) => v * (slopes[r][c] - dot(slopes[r], row)))), tolerance);
      const [logs, dlogs] = of((z) => F.logSoftmax(z, 1));
      near(logs.dataSync(), p.flatMap((row) => row.map(Math.log)), tolerance);
      near(dlogs.dataSync(), p.flatMap((row, r) => row.map((v, c) => slopes[r][c] - v * slopes[r].reduce((a, b) => a + b, 0))), 4 * tolerance);
    }
  });

  it.each(widths)("cross entropy of %i classes, with its gradient: weights, rows that do not count, sure and wrong ones", (n) => {
    const x = matrix(n, 3);
    const target = Array.from({ length: rows }, (_, r) => (r % 7 === 3 ? -100 : (r * 5) % n));
    if (n > 1) x[0] += 25; // the label of row 0: its loss is about 1e-11
    if (n > 1) x[n + ((target[1] + 1) % n)] += 25;
    const weight = Float32Array.from(values([n], 4), (v) => Math.abs(v) + 0.1);
    const slopes = Float32Array.from(values([rows], 5));
    for (const weighted of [false, true]) {
      const w = (t: number): number => (weighted ? weight[t] : 1);
      const p = rowsOf(x, n).map(softmaxOf);
      const others = (row: readonly number[], t: number): number => row.reduce((sum, v, c) => (c === t ? sum : sum + v), 0);
      const losses = target.map((t, r) => (t < 0 ? 0 : -w(t) * (p[r][t] < 0.5 ? Math.log(p[r][t]) : Math.log1p(-others(p[r], t)))));
      const dx = target.map((t, r) => p[r].map((v, c) => (t < 0 ? 0 : slopes[r] * w(t) * (c === t ? -others(p[r], t) : v))));
      for (const [dtype, tolerance] of dtypes) {
        const options = { reduction: "none" as const, ...(weighted ? { weight: as(weight, dtype, [n]) } : {}) };
        const f = (z: Tensor): Tensor => F.crossEntropy(z, fromData(Int32Array.from(target), [rows], "i32"), options);
        near(f(as(x, dtype, [rows, n])).dataSync(), losses, tolerance);
        near(grad((z: Tensor) => F.sum(F.mul(f(z), as(slopes, dtype, [rows]))))(as(x, dtype, [rows, n])).dataSync(), dx.flat(), tolerance);
        const mean = F.crossEntropy(as(x, dtype, [rows, n]), fromData(Int32Array.from(target), [rows], "i32"), { ...options, reduction: "mean" });
        near([mean.item()], [losses.reduce((a, b) => a + b, 0) / target.reduce((sum, t) => sum + (t < 0 ? 0 : w(t)), 0)], tolerance);
      }
    }
  });

  it("a row with NaN or infinities leaves its neighbours alone", () => {
    const n = 5;
    const x = matrix(n, 6);
    const whole = F.softmax(as(x, "f32", [rows, n]), 1).dataSync();
    x[7 * n] = NaN;
    x[9 * n + 2] = Infinity;
    for (let c = 0; c < n; c++) x[11 * n + c] = -Infinity;
    x[13 * n + 1] = -Infinity;
    const y = F.softmax(as(x, "f32", [rows, n]), 1).dataSync();
    const changed = [7, 9, 11, 13];
    for (let i = 0; i < rows * n; i++) if (!changed.includes(Math.floor(i / n))) expect(y[i]).toBe(whole[i]);
    for (const r of [7, 9, 11]) expect(Number.isNaN(y[r * n])).toBe(true);
    expect(y[13 * n + 1]).toBe(0);
    const loss = F.crossEntropy(as(x, "f32", [rows, n]), fromData(new Int32Array(rows).fill(2), [rows], "i32"), { reduction: "none" }).dataSync();
    for (let r = 0; r < rows; r++) expect(Number.isFinite(loss[r])).toBe(!changed.slice(0, 3).includes(r));
  });
});
