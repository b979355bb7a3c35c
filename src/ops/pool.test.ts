import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { F, fromData, grad, realizeSync, tensor, useBackend, zeros, type Tensor, type TypedArray } from "graftml";
import { hasKernels, kernelBackend } from "../../test/backends.js";
import { backendNames, f64, gradientError, values } from "../../test/gradients.js";
import { adaptiveAvgPool1d, adaptiveAvgPool2d, avgPool1d, avgPool2d, maxPool1d, maxPool2d, type MaxPoolOptions } from "./pool.js";

describe.each(backendNames)("pooling on %s", (backend) => {
  beforeAll(() => useBackend(backend));
  afterAll(() => useBackend(undefined));

  it("computes small cases worked by hand", () => {
    const line = tensor([[1, 5, 2, 4, 3]]); // [C, L]
    expect(maxPool1d(line, { kernelSize: 2 }).dataSync()).toEqual(Float32Array.of(5, 4));
    expect(maxPool1d(line, { kernelSize: 2, ceilMode: true }).dataSync()).toEqual(Float32Array.of(5, 4, 3));
    expect(maxPool1d(line, { kernelSize: 3, stride: 1, padding: 1 }).dataSync()).toEqual(Float32Array.of(5, 5, 5, 4, 4));
    expect(maxPool1d(line, { kernelSize: 2, stride: 1, dilation: 3 }).dataSync()).toEqual(Float32Array.of(4, 5));
    expect(avgPool1d(line, { kernelSize: 2 }).dataSync()).toEqual(Float32Array.of(3, 3));
    expect(avgPool1d(line, { kernelSize: 2, padding: 1 }).dataSync()).toEqual(Float32Array.of(0.5, 3.5, 3.5));
    expect(avgPool1d(line, { kernelSize: 2, padding: 1, countIncludePad: false }).dataSync()).toEqual(Float32Array.of(1, 3.5, 3.5));
    expect(avgPool1d(line, { kernelSize: 2, ceilMode: true }).dataSync()).toEqual(Float32Array.of(3, 3, 3)); // an overhang does not count
    expect(adaptiveAvgPool1d(line, 2).dataSync()).toEqual(Float32Array.of(8 / 3, 3)); // [0, 3) and [2, 5)
    expect(adaptiveAvgPool2d(tensor([[[1, 2], [3, 4]]]), 1).dataSync()).toEqual(Float32Array.of(2.5));
    expect(adaptiveAvgPool2d(zeros([2, 3, 6, 5]), [null, 2]).shape).toEqual([2, 3, 6, 2]);
  });

  it("gives the gradient of a maximum to the first of equals, also where windows overlap", () => {
    const gradient = (x: Tensor, options: MaxPoolOptions): TypedArray => grad((t) => F.sum(maxPool2d(t, options)))(x).dataSync();
    expect(Array.from(gradient(tensor([[[2, 2, 1], [2, 2, 1], [0, 0, 0]]]), { kernelSize: 2, stride: 1 }))).toEqual([1, 1, 0, 1, 1, 0, 0, 0, 0]);
    const flat = gradient(zeros([1, 1, 20, 22]), { kernelSize: 2 });
    expect(flat.every((v, i) => v === (i % 2 === 0 && Math.floor(i / 22) % 2 === 0 ? 1 : 0))).toBe(true);
  });

  it("lets NaN and -inf through", () => {
    for (const width of [4, 40]) {
      const x = new Float32Array(2 * width).fill(-Infinity);
      x[width + 3] = NaN;
      x[0] = 1;
      const y = maxPool2d(tensor(x, { shape: [1, 2, width] }), { kernelSize: 2 }).dataSync();
      expect(Array.from(y.slice(0, 2))).toEqual([1, NaN]);
      expect(y.slice(2).every((v) => v === -Infinity)).toBe(true);
      expect(Array.from(maxPool2d(tensor(x, { shape: [1, 2, width] }), { kernelSize: [2, 4], stride: 4 }).dataSync())[0]).toBeNaN();
    }
  });

  it.each([3, 37, 100])("rows of %i pixels in pairs, and planes as a whole, with their gradients", (width) => {
    const x = values([2, 3, width]);
    const pairs = (i: number): [number, number] => [x[2 * (i % (width >> 1)) + width * Math.floor(i / (width >> 1))], x[2 * (i % (width >> 1)) + 1 + width * Math.floor(i / (width >> 1))]];
    const line = fromData(x, [2, 3, width], "f64");
    expect(Array.from(maxPool1d(line, { kernelSize: 2 }).dataSync())).toEqual(Array.from({ length: 6 * (width >> 1) }, (_, i) => Math.max(...pairs(i))));
    const slope = grad((t) => F.sum(maxPool1d(t, { kernelSize: 2 })))(line).dataSync();
    slope.forEach((v, i) => expect(v).toBe(i % width < 2 * (width >> 1) && x[i] >= x[i - (i % width) + ((i % width) ^ 1)] ? 1 : 0));
    const plane = fromData(values([2, 3, 7, width]), [2, 3, 7, width], "f64");
    const data = plane.dataSync();
    const mean = (i: number): number => Array.from(data.slice(i * 7 * width, (i + 1) * 7 * width)).reduce((a, b) => a + b, 0) / (7 * width);
    adaptiveAvgPool2d(plane, 1).dataSync().forEach((v, i) => expect(Math.abs(v - mean(i))).toBeLessThan(1e-14));
    const spread = grad((t) => F.sum(F.mul(adaptiveAvgPool2d(t, 1), fromData(values([2, 3, 1, 1], 2), [2, 3, 1, 1], "f64"))))(plane).dataSync();
    spread.forEach((v, i) => expect(Math.abs(v - values([2, 3, 1, 1], 2)[Math.floor(i / (7 * width))] / (7 * width))).toBeLessThan(1e-15));
  });

  it("has the first and second derivative", () => {
    const max = (options: MaxPoolOptions, shape = [1, 2, 5, 6]) => expect(gradientError((x) => maxPool2d(F.mul(x, x), options), [shape])).toBeUndefined();
    max({ kernelSize: 2 });
    max({ kernelSize: 3, stride: 2, padding: 1 });
    max({ kernelSize: 2, dilation: 2, stride: 1 });
    expect(gradientError((x) => avgPool2d(F.mul(x, x), { kernelSize: [3, 2], stride: [2, 1], padding: [1, 0], ceilMode: true }), [[1, 1, 4, 4]])).toBeUndefined();
    expect(gradientError((x) => avgPool2d(F.mul(x, x), { kernelSize: 3, stride: 2, padding: 1, countIncludePad: false }), [[1, 1, 4, 5]])).toBeUndefined();
    expect(gradientError((x) => adaptiveAvgPool2d(F.mul(x, x), [2, 3]), [[1, 1, 3, 5]])).toBeUndefined();
    expect(gradientError((x) => adaptiveAvgPool1d(F.mul(x, x), 2), [[2, 4]])).toBeUndefined();
  });

  it("accepts empty batches and half precision", () => {
    expect(maxPool2d(zeros([0, 3, 4, 4]), { kernelSize: 2 }).dataSync().length).toBe(0);
    expect(avgPool2d(zeros([0, 3, 4, 4]), { kernelSize: 2 }).shape).toEqual([0, 3, 2, 2]);
    const half = maxPool1d(F.cast(tensor([[1, 2, 3, 4]]), "f16"), { kernelSize: 2 });
    expect(half.dtype).toBe("f16");
    expect(F.cast(half, "f32").dataSync()).toEqual(Float32Array.of(2, 4));
  });

  it("says what does not fit", () => {
    const x = zeros([1, 3, 4, 4]);
    expect(() => maxPool2d(x, {} as MaxPoolOptions)).toThrow("maxPool2d: kernelSize is missing");
    expect(() => maxPool2d(x, { kernelSize: 0 })).toThrow("kernelSize is 0. Use a whole number of 1 or more");
    expect(() => maxPool2d(x, { kernelSize: 2, padding: 2 })).toThrow("padding [2, 2] is more than half of the window [2, 2]");
    expect(() => maxPool2d(x, { kernelSize: 5 })).toThrow("the window [5, 5] (dilation [1, 1]) is larger than the padded image: x is [1, 3, 4, 4]");
    expect(() => avgPool2d(zeros([4, 4]), { kernelSize: 2 })).toThrow("avgPool2d: x is [4, 4]. It must be [N, C, H, W] or [C, H, W]");
    expect(() => avgPool2d(x, { kernelSize: 2, dilation: 2 } as MaxPoolOptions)).toThrow('unknown option "dilation"');
    expect(() => avgPool1d(zeros([1, 4], { dtype: "i32" }), { kernelSize: 2 })).toThrow("x is i32 [1, 4], but floats are needed");
    expect(() => adaptiveAvgPool2d(x, [1, 2, 3])).toThrow("outputSize is [1, 2, 3]");
    expect(() => adaptiveAvgPool1d(zeros([1, 0]), 2)).toThrow("The image must not be empty");
  });
});

describe.skipIf(!hasKernels)("native pooling", () => {
  afterAll(() => useBackend(undefined));

  it("agrees with the reference for many windows, with gradients", () => {
    const results = (backend: "reference" | typeof kernelBackend, k: number, s: number, pad: number, width: number): TypedArray[] => {
      useBackend(backend);
      const x = fromData(Float32Array.from(values([2, 2, 7, width], k)), [2, 2, 7, width], "f32");
      const both = (t: Tensor): Tensor => F.add(maxPool2d(t, { kernelSize: k, stride: s, padding: pad }), avgPool2d(F.square(t), { kernelSize: k, stride: s, padding: pad }));
      const y = both(x);
      // The gradient through relu follows the pooling gradient: it is fused onto it.
      const dx = grad((t) => F.sum(F.mul(both(F.relu(t)), F.cast(f64(y.shape, 9), "f32"))))(x);
      realizeSync(y, dx);
      return [y.dataSync(), dx.dataSync()];
    };
    for (const [k, s, pad] of [[2, 2, 0], [3, 2, 1], [3, 1, 1], [1, 1, 0], [4, 3, 2], [2, 3, 1]]) {
      for (const width of [4, 9, 16, 17, 33, 50]) {
        const [fast, slow] = [results(kernelBackend, k, s, pad, width), results("reference", k, s, pad, width)];
        fast.forEach((array, i) => array.forEach((v, j) => expect(Math.abs(v - slow[i][j]), `window ${k} stride ${s} padding ${pad} width ${width}`).toBeLessThan(1e-5)));
      }
    }
  });
});
