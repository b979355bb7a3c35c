import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { F, fromData, grad, useBackend, type Tensor } from "graftml";
import { backendNames, gradientError, values } from "../../test/gradients.js";

// Softmax and cross entropy along the channels of [B, C, d...] read them as they lie. They have to give what the same rows give, put side by side.
const shapes = [[2, 1, 5], [3, 21, 37], [1, 64, 16], [2, 65, 3], [2, 5, 4, 9], [1, 300, 50], [7, 2, 1], [2, 3, 400]];
const dtypes = [["f64", 1e-13], ["f32", 2e-6]] as const;

const as = (x: Float64Array, dtype: "f32" | "f64", shape: readonly number[]): Tensor => F.cast(fromData(Float32Array.from(x, (v) => v * 3), shape, "f32"), dtype);
/** [B, C, d...] to rows of C. */
const rowsOf = (x: Tensor): Tensor => F.reshape(F.permute(x, [0, ...x.shape.slice(2).map((_, d) => d + 2), 1]), [-1, x.shape[1]]);
const near = (got: Tensor, want: Tensor, tolerance: number): void => {
  const [a, b] = [got.dataSync(), want.dataSync()];
  expect(a.length).toBe(b.length);
  b.forEach((v, i) => expect(Math.abs(a[i] - v), `element ${i}: ${a[i]}, expected ${v}`).toBeLessThan(tolerance * (1 + Math.abs(v))));
};

describe.each(backendNames)("columns on %s", (backend) => {
  beforeAll(() => useBackend(backend));
  afterAll(() => useBackend(undefined));

  it.each(shapes)("softmax and its logarithm along the channels of [%i, %i, %i], with their gradients", (...shape) => {
    for (const [dtype, tolerance] of dtypes) {
      const [x, dy] = [as(values(shape, 1), dtype, shape), as(values(shape, 2), dtype, shape)];
      for (const f of [F.softmax, F.logSoftmax]) {
        near(rowsOf(f(x, 1)), f(rowsOf(x), 1), tolerance);
        const slope = (along: (z: Tensor) => Tensor, by: Tensor): Tensor => grad((z: Tensor) => F.sum(F.mul(along(z), by)))(x);
        near(slope((z) => f(z, 1), dy), slope((z) => f(rowsOf(z), 1), rowsOf(dy)), 8 * tolerance);
      }
    }
  });

  it.each(shapes)("cross entropy of the channels of [%i, %i, %i], with its gradient", (...shape) => {
    const [batch, classes, ...inner] = shape;
    const places = [batch, ...inner];
    const count = places.reduce((n, size) => n * size, 1);
    const target = fromData(Int32Array.from({ length: count }, (_, r) => (r % 7 === 3 ? -100 : (r * 5) % classes)), places, "i32");
    const weight = Float32Array.from(values([classes], 4), (v) => Math.abs(v) + 0.1);
    for (const [dtype, tolerance] of dtypes) {
      const [x, slopes] = [as(values(shape, 3), dtype, shape), as(values(places, 5), dtype, places)];
      for (const options of [{}, { weight: F.cast(fromData(weight, [classes], "f32"), dtype) }, { labelSmoothing: 0.1 }]) {
        const none = { ...options, reduction: "none" as const };
        const [flat, flatSlopes] = [F.reshape(target, [count]), F.reshape(slopes, [count])];
        near(F.reshape(F.crossEntropy(x, target, none), [count]), F.crossEntropy(rowsOf(x), flat, none), tolerance);
        near(F.crossEntropy(x, target, options), F.crossEntropy(rowsOf(x), flat, options), tolerance);
        near(grad((z: Tensor) => F.sum(F.mul(F.crossEntropy(z, target, none), slopes)))(x), grad((z: Tensor) => F.sum(F.mul(F.crossEntropy(rowsOf(z), flat, none), flatSlopes)))(x), tolerance);
        near(grad((z: Tensor) => F.crossEntropy(z, target, options))(x), grad((z: Tensor) => F.crossEntropy(rowsOf(z), flat, options))(x), tolerance);
      }
      const p = F.logSoftmax(x, 1);
      near(F.nllLoss(p, target), F.crossEntropy(x, target), 4 * tolerance);
    }
  });

  it("has the first and second derivative", () => {
    const target = fromData(Int32Array.of(2, 0, -100, 1, 1, 2), [2, 3], "i32");
    for (const options of [{}, { labelSmoothing: 0.2 }, { reduction: "sum" as const }]) expect(gradientError((x) => F.crossEntropy(x, target, options), [[2, 3, 3]])).toBeUndefined();
    expect(gradientError((x) => F.softmax(x, 1), [[2, 3, 4]])).toBeUndefined();
    expect(gradientError((x) => F.logSoftmax(x, 0), [[3, 2, 2]])).toBeUndefined();
  });

  it("a column with NaN or infinities leaves its neighbours alone", () => {
    const [shape, inner] = [[1, 5, 40], 40];
    const x = Float32Array.from(values(shape, 6));
    const whole = F.softmax(fromData(x.slice(), shape, "f32"), 1).dataSync();
    [x[7], x[2 * inner + 9]] = [NaN, Infinity];
    for (let c = 0; c < 5; c++) x[c * inner + 11] = -Infinity;
    const y = F.softmax(fromData(x, shape, "f32"), 1).dataSync();
    for (let i = 0; i < y.length; i++) {
      if ([7, 9, 11].includes(i % inner)) expect(y[i % inner]).toBeNaN();
      else expect(y[i]).toBe(whole[i]);
    }
  });

  it("says which label of an image names no class", () => {
    const target = fromData(Int32Array.of(0, 1, 3, 0), [1, 2, 2], "i32");
    expect(() => F.crossEntropy(fromData(new Float32Array(12), [1, 3, 2, 2], "f32"), target).item()).toThrow("target 3 at [0, 1, 0] is out of range for 3 classes");
  });

  it("accepts what is empty", () => {
    expect(F.softmax(fromData(new Float32Array(0), [2, 3, 0], "f32"), 1).dataSync().length).toBe(0);
    expect(F.softmax(fromData(new Float32Array(0), [2, 0, 3], "f32"), 1).dataSync().length).toBe(0);
    expect(F.crossEntropy(fromData(new Float32Array(0), [2, 3, 0], "f32"), fromData(new Int32Array(0), [2, 0], "i32")).item()).toBeNaN();
  });
});
