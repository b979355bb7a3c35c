import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { F, fromData, tensor, useBackend, zeros, type TypedArray } from "graftml";
import { backendNames, f64, gradientError, values } from "../../test/gradients.js";
import { logSoftmax, softmax, softmin } from "./softmax.js";

const { cast, transpose } = F;

const sumOf = (y: TypedArray, at: number, n: number, stride = 1): number => Array.from({ length: n }, (_, k) => y[at + k * stride]).reduce((a, b) => a + b, 0);

describe.each(backendNames)("softmax on %s", (backend) => {
  beforeAll(() => useBackend(backend));
  afterAll(() => useBackend(undefined));

  it("adds up to 1 along the dim, for short and long rows", () => {
    for (const n of [1, 3, 8, 37, 5000]) {
      const x = fromData(Float32Array.from(values([3, n]), (v) => v * 5), [3, n], "f32");
      const y = softmax(x, 1).dataSync();
      const logs = logSoftmax(x, 1).dataSync();
      for (let r = 0; r < 3; r++) {
        expect(sumOf(y, r * n, n)).toBeCloseTo(1, 5);
        expect(logs.every((v, i) => Math.abs(v - Math.log(y[i])) < 1e-4)).toBe(true);
      }
    }
  });

  it("goes along any dim, also of a view and of a scalar", () => {
    const x = f64([2, 3, 4]);
    for (const dim of [0, 1, 2, -2]) {
      const d = (dim + 3) % 3;
      const [n, stride] = [x.shape[d], [12, 4, 1][d]];
      const y = softmax(x, dim).dataSync();
      for (let i = 0; i < 24; i++) if (Math.floor(i / stride) % n === 0) expect(sumOf(y, i, n, stride)).toBeCloseTo(1, 12);
    }
    const view = softmax(transpose(tensor([[0, 5], [Math.log(3), 5]])), 1).dataSync();
    [0.25, 0.75, 0.5, 0.5].forEach((want, i) => expect(view[i]).toBeCloseTo(want, 6));
    expect(softmax(tensor(3), 0).item()).toBe(1);
    expect(softmin(tensor([0, Math.log(3)]), 0).dataSync()[0]).toBeCloseTo(0.75, 6);
  });

  it("survives large and infinite values, and gives NaN where PyTorch does", () => {
    expect(softmax(tensor([1e4, -1e4, 1e4]), 0).dataSync()).toEqual(Float32Array.of(0.5, 0, 0.5));
    expect(Array.from(logSoftmax(tensor([1e4, 0]), 0).dataSync())).toEqual([0, -1e4]);
    expect(softmax(tensor([0, -Infinity, 0]), 0).dataSync()).toEqual(Float32Array.of(0.5, 0, 0.5));
    expect(logSoftmax(tensor([0, -Infinity]), 0).dataSync()).toEqual(Float32Array.of(0, -Infinity));
    for (const values of [[-Infinity, -Infinity], [Infinity, 0], [NaN, 0]]) expect(softmax(tensor(values), 0).dataSync()[0]).toBeNaN();
  });

  it("accepts empty tensors and half precision", () => {
    expect(softmax(zeros([0, 3]), 1).shape).toEqual([0, 3]);
    expect(softmax(zeros([2, 0]), 1).dataSync().length).toBe(0);
    const half = softmax(cast(tensor([0, 0]), "bf16"), 0);
    expect(half.dtype).toBe("bf16");
    expect(cast(half, "f32").dataSync()).toEqual(Float32Array.of(0.5, 0.5));
  });

  it("has the first and second derivative", () => {
    expect(gradientError((x) => softmax(x, 1), [[2, 5]])).toBeUndefined();
    expect(gradientError((x) => softmax(x, 0), [[3, 2]])).toBeUndefined();
    expect(gradientError((x) => logSoftmax(x, -1), [[2, 4]])).toBeUndefined();
  });

  it("refuses a wrong dim and integers", () => {
    expect(() => softmax(zeros([2, 3]), 2)).toThrow("softmax: dim 2 is out of range for 2 dimensions");
    expect(() => logSoftmax(zeros([2], { dtype: "i32" }), 0)).toThrow("logSoftmax: x is i32 [2], but floats are needed");
  });
});
