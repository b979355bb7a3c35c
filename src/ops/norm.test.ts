import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { F, fromData, tensor, useBackend, zeros, type Tensor } from "graftml";
import { backendNames, f64, gradientError, values } from "../../test/gradients.js";
import { groupNorm, layerNorm, rmsNorm } from "./norm.js";

const { cast, mul, sum, transpose } = F;

/** Rows of n values, each with mean `centred ? mean : 0` taken away and divided by the root of its mean square + eps. */
function expected(x: Float64Array, n: number, centred: boolean, eps: number): Float64Array {
  const result = new Float64Array(x.length);
  for (let at = 0; at < x.length; at += n) {
    const row = x.subarray(at, at + n);
    const mean = centred ? row.reduce((a, b) => a + b, 0) / n : 0;
    const root = Math.sqrt(row.reduce((a, b) => a + (b - mean) ** 2, 0) / n + eps);
    row.forEach((v, i) => void (result[at + i] = (v - mean) / root));
  }
  return result;
}

function expectClose(actual: Tensor, want: Float64Array, digits: number): void {
  const found = actual.dataSync();
  const worst = want.reduce((most, v, i) => Math.max(most, Math.abs(found[i] - v)), 0);
  expect(worst).toBeLessThan(10 ** -digits);
}

describe.each(backendNames)("norms of rows on %s", (backend) => {
  beforeAll(() => useBackend(backend));
  afterAll(() => useBackend(undefined));

  it.each([1, 3, 8, 37, 3000])("normalise rows of %i", (n) => {
    const x = values([3, n]).map((v) => v * 2 + 1);
    expectClose(layerNorm(fromData(x, [3, n], "f64"), null, null, { normalizedShape: [n] }), expected(x, n, true, 1e-5), 10);
    expectClose(rmsNorm(fromData(x, [3, n], "f64"), null, { normalizedShape: [n], eps: 1e-6 }), expected(x, n, false, 1e-6), 10);
    expectClose(layerNorm(fromData(Float32Array.from(x), [3, n], "f32"), null, null, { normalizedShape: [n] }), expected(Float64Array.from(Float32Array.from(x)), n, true, 1e-5), 4);
  });

  it("scale and shift, over several dims too", () => {
    const x = values([2, 3, 4]);
    const [w, b] = [values([3, 4], 1), values([3, 4], 2)];
    const y = layerNorm(fromData(x, [2, 3, 4], "f64"), fromData(w, [3, 4], "f64"), fromData(b, [3, 4], "f64"));
    expectClose(y, expected(x, 12, true, 1e-5).map((v, i) => v * w[i % 12] + b[i % 12]), 10);
  });

  it("use the machine epsilon in RMS norm unless told otherwise", () => {
    expect(rmsNorm(zeros([1, 2], { dtype: "f64" }), null, { normalizedShape: [2] }).dataSync()).toEqual(new Float64Array(2));
    const x = Float64Array.of(2 ** -27, 0);
    expectClose(rmsNorm(fromData(x, [1, 2], "f64"), null, { normalizedShape: [2] }), expected(x, 2, false, 2 ** -52), 10);
  });

  it("have the first and second derivative", () => {
    expect(gradientError((x, w, b) => layerNorm(x, w, b), [[3, 4], [4], [4]])).toBeUndefined();
    expect(gradientError((x, b) => layerNorm(x, null, b), [[2, 3], [3]])).toBeUndefined();
    expect(gradientError((x) => layerNorm(x, null, null, { normalizedShape: [3] }), [[2, 3]])).toBeUndefined();
    expect(gradientError((x, w) => rmsNorm(x, w, { eps: 1e-6 }), [[3, 4], [4]])).toBeUndefined();
    expect(gradientError((x, w, b) => groupNorm(x, 2, w, b), [[2, 4, 3], [4], [4]])).toBeUndefined();
  });

  it.each([[700, 5], [70, 96], [3, 17_000]])("add up parameter gradients over %i rows of %i in f32", (rows, n) => {
    const [x, dy] = [values([rows, n]), values([rows, n], 3)];
    const [w, b] = [values([n], 1), values([n], 2)].map((p) => tensor(Float32Array.from(p), { requiresGrad: true }));
    sum(mul(layerNorm(fromData(Float32Array.from(x), [rows, n], "f32"), w, b), fromData(Float32Array.from(dy), [rows, n], "f32"))).backward();
    const xhat = expected(x, n, true, 1e-5);
    const [dw, db] = [new Float64Array(n), new Float64Array(n)];
    dy.forEach((g, i) => {
      dw[i % n] += g * xhat[i];
      db[i % n] += g;
    });
    expectClose(w.grad!, dw, 3);
    expectClose(b.grad!, db, 3);
  });

  it("leave out the gradient of a frozen weight", () => {
    const [x, b] = [f64([2, 3]), f64([3], 2)];
    x.requiresGrad = b.requiresGrad = true;
    sum(layerNorm(x, f64([3], 1), b)).backward();
    expect(b.grad?.dataSync()).toEqual(Float64Array.of(2, 2, 2));
    expect(x.grad?.shape).toEqual([2, 3]);
  });

  it("accept views, empty batches and half precision", () => {
    const x = f64([4, 3]);
    const w = f64([4], 1);
    expectClose(layerNorm(transpose(x), w), Float64Array.from(layerNorm(fromData(transpose(x).dataSync(), [3, 4], "f64"), w).dataSync()), 12);
    expect(layerNorm(zeros([0, 3]), zeros([3])).dataSync().length).toBe(0);
    const half = layerNorm(cast(tensor([[1, 3]]), "f16"), cast(tensor([1, 2]), "f16"), null, { eps: 0 });
    expect(half.dtype).toBe("f16");
    expect(cast(half, "f32").dataSync()).toEqual(Float32Array.of(-1, 2));
  });

  it("group channels", () => {
    const x = values([2, 4, 3]);
    const [w, b] = [values([4], 1), values([4], 2)];
    const channel = (i: number): number => Math.floor(i / 3) % 4;
    const y = groupNorm(fromData(x, [2, 4, 3], "f64"), 2, fromData(w, [4], "f64"), fromData(b, [4], "f64"));
    expectClose(y, expected(x, 6, true, 1e-5).map((v, i) => v * w[channel(i)] + b[channel(i)]), 10);
    expect(groupNorm(zeros([2, 4]), 4).shape).toEqual([2, 4]);
  });

  it.each([[3, 6, 2, 70], [2, 4, 4, 1], [1, 32, 8, 300], [5, 6, 1, 16]])("group %i x %i channels in %i groups, %i values each, with gradients in f32", (B, C, groups, S) => {
    const n = (C / groups) * S;
    const [x, dy, w, b] = [values([B, C, S]), values([B, C, S], 3), values([C], 1), values([C], 2)];
    const [input, weight, bias] = [fromData(Float32Array.from(x), [B, C, S], "f32"), ...[w, b].map((p) => tensor(Float32Array.from(p)))];
    for (const t of [input, weight, bias]) t.requiresGrad = true;
    const y = groupNorm(input, groups, weight, bias);
    sum(mul(y, fromData(Float32Array.from(dy), [B, C, S], "f32"))).backward();
    const xhat = expected(x, n, true, 1e-5);
    const channel = (i: number): number => Math.floor(i / S) % C;
    expectClose(y, xhat.map((v, i) => v * w[channel(i)] + b[channel(i)]), 4);
    const [dw, db, dx] = [new Float64Array(C), new Float64Array(C), new Float64Array(x.length)];
    dy.forEach((g, i) => {
      dw[channel(i)] += g * xhat[i];
      db[channel(i)] += g;
    });
    for (let at = 0; at < x.length; at += n) {
      const group = Array.from({ length: n }, (_, k) => at + k);
      const g = (i: number): number => dy[i] * w[channel(i)];
      const mean = group.reduce((total, i) => total + x[i], 0) / n;
      const r = 1 / Math.sqrt(group.reduce((total, i) => total + (x[i] - mean) ** 2, 0) / n + 1e-5);
      const [meanG, meanGx] = [group.reduce((total, i) => total + g(i), 0) / n, group.reduce((total, i) => total + g(i) * xhat[i], 0) / n];
      for (const i of group) dx[i] = r * (g(i) - meanG - xhat[i] * meanGx);
    }
    expectClose(weight.grad!, dw, 3);
    expectClose(bias.grad!, db, 3);
    expectClose(input.grad!, dx, 3);
  });

  it("refuse what does not fit", () => {
    expect(() => layerNorm(zeros([2, 3]), zeros([2]))).toThrow("layerNorm: x is [2, 3], the normalised shape [2]. It must be the last dims of x.");
    expect(() => layerNorm(zeros([2, 3]), zeros([3]), zeros([1]))).toThrow("layerNorm: bias is [1]");
    expect(() => layerNorm(zeros([2, 3]))).toThrow("Pass { normalizedShape: [3] }");
    expect(() => rmsNorm(zeros([2, 3], { dtype: "i32" }), zeros([3]))).toThrow("rmsNorm: x is i32");
    expect(() => groupNorm(zeros([1, 4, 2]), 3)).toThrow("groupNorm: 3 groups do not divide the 4 channels");
    expect(() => layerNorm(zeros([2, 3]), zeros([3]), null, { Eps: 1 } as object)).toThrow('Did you mean "eps"?');
  });
});
