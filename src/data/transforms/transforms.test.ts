import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Random } from "../random.js";
import type { HostArray, Image } from "../sample.js";
import * as T from "./index.js";

const image = fc.record({ channels: fc.integer({ min: 1, max: 3 }), height: fc.integer({ min: 1, max: 9 }), width: fc.integer({ min: 1, max: 9 }), seed: fc.nat() }).map(({ seed, ...size }): Image => {
  const random = new Random(seed);
  return { ...size, data: Float32Array.from({ length: size.channels * size.height * size.width }, () => random.uniform()) };
});
const picture = (rows: readonly (readonly number[])[]): Image => ({ data: Float32Array.from(rows.flat()), channels: 1, height: rows.length, width: rows[0].length });
const rows = ({ data, height, width }: Image): number[][] => Array.from({ length: height }, (_, y) => Array.from(data.subarray(y * width, (y + 1) * width), (v) => Math.round(v * 1e5) / 1e5 + 0));

const everyTransform: Record<string, T.Transform> = {
  shift: T.randomShift(2),
  crop: T.randomCrop(1, { padding: 1 }),
  flipH: T.randomHorizontalFlip(),
  flipV: T.randomVerticalFlip(),
  rotation: T.randomRotation(30),
  affine: T.randomAffine({ degrees: 10, translate: [0.1, 0.1], scale: [0.9, 1.1], shear: 5 }),
  noise: T.gaussianNoise({ std: 0.1, clip: [0, 1] }),
  cutout: T.cutout({ size: 3, p: 0.5 }),
  jitter: T.colorJitter({ brightness: 0.4, contrast: 0.4 }),
  normalize: T.normalize(0.5, 0.25),
  resize: T.resize([4, 6]),
  centre: T.centerCrop([3, 5]),
};

describe("image transforms", () => {
  it("depend on the random stream alone and leave their input as it was", () => {
    for (const transform of [...Object.values(everyTransform), T.compose(...Object.values(everyTransform))]) {
      fc.assert(
        fc.property(image, fc.nat(), (x, seed) => {
          const before = x.data.slice();
          const y = transform(x, new Random(seed));
          expect(transform(x, new Random(seed))).toEqual(y);
          expect(x.data).toEqual(before);
          expect(y.data.length).toBe(y.channels * y.height * y.width);
          expect(y.data.every(Number.isFinite)).toBe(true);
        }),
        { numRuns: 15 },
      );
    }
  });

  it("change nothing when there is nothing to do", () => {
    const still: T.Transform[] = [
      T.randomShift(0),
      T.randomRotation(0),
      T.randomAffine({}),
      T.randomHorizontalFlip(0),
      T.gaussianNoise({ std: 0 }),
      T.cutout({ size: 1, p: 0 }),
      T.colorJitter({}),
      T.normalize(0, 1),
      (x) => T.shift(x, 0, 0),
      (x) => T.rotate(x, 0),
      (x) => T.flipVertical(T.flipVertical(x)),
      (x) => T.flipHorizontal(T.flipHorizontal(x)),
      (x, random) => T.centerCrop([x.height, x.width])(x, random),
      (x, random) => T.randomCrop([x.height, x.width])(x, random),
      (x, random) => T.resize([x.height, x.width])(x, random),
    ];
    fc.assert(
      fc.property(image, (x) => {
        for (const [i, transform] of still.entries()) expect([i, transform(x, new Random(1)).data]).toEqual([i, x.data]);
      }),
      { numRuns: 50 },
    );
  });

  it("move pixels where they should go", () => {
    const x = picture([[1, 2, 3], [4, 5, 6], [7, 8, 9]]);
    expect(rows(T.shift(x, 1, 0))).toEqual([[0, 1, 2], [0, 4, 5], [0, 7, 8]]);
    expect(rows(T.shift(x, 0, -2))).toEqual([[7, 8, 9], [0, 0, 0], [0, 0, 0]]);
    expect(rows(T.shift(x, 5, 5))).toEqual([[0, 0, 0], [0, 0, 0], [0, 0, 0]]);
    expect(rows(T.rotate(x, 90))).toEqual([[3, 6, 9], [2, 5, 8], [1, 4, 7]]); // counter-clockwise
    expect(rows(T.rotate(x, 180))).toEqual([[9, 8, 7], [6, 5, 4], [3, 2, 1]]);
    expect(rows(T.affine(x, { translate: [-1, 1] }))).toEqual([[0, 0, 0], [2, 3, 0], [5, 6, 0]]);
    expect(rows(T.affine(x, { translate: [0.5, 0] }))[0]).toEqual([0.5, 1.5, 2.5]);
    expect(rows(T.affine(x, { scale: 2 }))).toEqual([[3, 3.5, 4], [4.5, 5, 5.5], [6, 6.5, 7]]);
    expect(rows(T.affine(x, { shear: 45 }))).toEqual([[2, 3, 0], [4, 5, 6], [0, 7, 8]]);
    expect(rows(T.flipHorizontal(x))[0]).toEqual([3, 2, 1]);
    expect(rows(T.flipVertical(x))[0]).toEqual([7, 8, 9]);
    expect(rows(T.centerCrop(1)(x, new Random(0)))).toEqual([[5]]);
    expect(rows(T.centerCrop([5, 1])(x, new Random(0)))).toEqual([[0], [2], [5], [8], [0]]);
  });

  it("resize as PyTorch does", () => {
    const x = picture([[1, 2], [3, 4]]);
    const to = (size: T.Size, mode: "nearest" | "bilinear") => rows(T.resize(size, { mode })(x, new Random(0)));
    expect(to(4, "nearest")).toEqual([[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]);
    expect(to(4, "bilinear")).toEqual([[1, 1.25, 1.75, 2], [1.5, 1.75, 2.25, 2.5], [2.5, 2.75, 3.25, 3.5], [3, 3.25, 3.75, 4]]);
    expect(to([1, 1], "bilinear")).toEqual([[2.5]]);
  });

  it("change values as they should", () => {
    const x: Image = { data: Float32Array.of(0.2, 0.4, 0.5, 0.5, 1, 1), channels: 3, height: 1, width: 2 };
    expect(Array.from(T.normalize([0.2, 0.5, 1], [0.2, 1, 2])(x, new Random(0)).data)).toEqual([0, 1, 0, 0, 0, 0].map((v) => expect.closeTo(v, 6) as number));
    expect(() => T.normalize([1, 2], 1)(x, new Random(0))).toThrow(/2 values for a picture of \[3, 1, 2\]/);
    expect(() => T.normalize(0, 0)).toThrow(/std is \[0\]/);
    expect(Array.from(T.adjustBrightness(x, 2).data)).toEqual([0.4, 0.8, 1, 1, 1, 1].map((v) => expect.closeTo(v, 6) as number));
    const grey = picture([[0.2, 0.6]]);
    expect(rows(T.adjustContrast(grey, 0.5))).toEqual([[0.3, 0.5]]);
    const cut = T.cutout({ size: 2, fill: -1 })({ data: new Float32Array(36), channels: 1, height: 6, width: 6 }, new Random(5));
    const blanked = cut.data.filter((v) => v === -1).length;
    expect([1, 2, 4]).toContain(blanked);
    const noise = T.gaussianNoise({ std: 0.5, mean: 1 })({ data: new Float32Array(10_000), channels: 1, height: 100, width: 100 }, new Random(1)).data;
    const mean = noise.reduce((a, b) => a + b, 0) / noise.length;
    const std = Math.sqrt(noise.reduce((a, b) => a + (b - mean) ** 2, 0) / noise.length);
    expect([mean, std]).toEqual([expect.closeTo(1, 1), expect.closeTo(0.5, 1)]);
    expect(() => T.randomCrop(9)(x, new Random(0))).toThrow(/smaller than 9x9/);
    expect(() => T.randomHorizontalFlip(2)).toThrow(/p is 2/);
  });

  it("work on a whole batch", () => {
    const data = Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8);
    expect(T.transformBatch(data, [2, 1, 2, 2], T.randomHorizontalFlip(1), new Random(0))).toEqual({ data: Float32Array.of(2, 1, 4, 3, 6, 5, 8, 7), shape: [2, 1, 2, 2] });
    expect(T.transformBatch(data, [2, 1, 2, 2], T.centerCrop(1), new Random(0)).shape).toEqual([2, 1, 1, 1]);
    expect(() => T.transformBatch(data, [8], T.centerCrop(1), new Random(0))).toThrow(/not a batch of pictures/);
  });

  it("mix inputs and targets alike", () => {
    const batch: HostArray[] = [
      { dtype: "f32", shape: [3, 1, 2, 2], data: Float32Array.from({ length: 12 }, (_, i) => (i >> 2) + 1) },
      { dtype: "i32", shape: [3], data: Int32Array.of(0, 1, 2) },
    ];
    for (const mix of [T.mixup({ alpha: 1, classes: 3 }), T.cutmix({ classes: 3 })]) {
      fc.assert(
        fc.property(fc.nat(), (seed) => {
          const [inputs, targets] = mix(batch, new Random(seed)) as HostArray[];
          expect(targets.shape).toEqual([3, 3]);
          for (let i = 0; i < 3; i++) {
            const probabilities = Array.from(targets.data.subarray(3 * i, 3 * i + 3));
            expect(probabilities.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 5);
            const mean = Array.from(inputs.data.subarray(4 * i, 4 * i + 4)).reduce((a, b) => a + b, 0) / 4;
            expect(mean).toBeCloseTo(probabilities[0] + 2 * probabilities[1] + 3 * probabilities[2], 5); // picture k holds k + 1
          }
          expect(mix(batch, new Random(seed))).toEqual([inputs, targets]);
        }),
        { numRuns: 30 },
      );
      expect(() => mix([batch[0], { ...batch[1], data: Int32Array.of(0, 3, 1) }], new Random(0))).toThrow(/label 3 \(row 1 of the batch\) is out of range for 3 classes/);
    }
    expect(() => T.mixup({})(batch, new Random(0))).toThrow(/Pass classes/);
    expect(() => T.mixup({ classes: 3 })({ x: batch[0] }, new Random(0))).toThrow(/not \[inputs, targets\]/);
  });
});

describe("Random", () => {
  it("has the moments of its distributions", () => {
    const random = new Random(1);
    const moments = (draw: () => number): [number, number] => {
      const values = Float64Array.from({ length: 20_000 }, draw);
      const mean = values.reduce((a, b) => a + b, 0) / values.length;
      return [mean, values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length];
    };
    const near = (mean: number, variance: number) => [expect.closeTo(mean, 1), expect.closeTo(variance, 1)];
    expect(moments(() => random.uniform(-1, 1))).toEqual(near(0, 1 / 3));
    expect(moments(() => random.normal())).toEqual(near(0, 1));
    expect(moments(() => random.gamma(0.5))).toEqual(near(0.5, 0.5));
    expect(moments(() => random.gamma(3) / 3)).toEqual(near(1, 1 / 3));
    expect(moments(() => random.beta(2, 2))).toEqual(near(0.5, 0.05));
    expect(Number.isFinite(new Random(3).beta(1e-5, 1e-5))).toBe(true);
    expect(() => new Random(-1)).toThrow(/seed -1/);
  });
});
