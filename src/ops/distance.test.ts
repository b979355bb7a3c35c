import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { F, fromData, tensor, useBackend, zeros, type Tensor } from "graftml";
import { backendNames, gradientError, values } from "../../test/gradients.js";

const { cast, cdist, mul, sum } = F;

/** |a_i - b_j| for a [P, D] and b [R, D]. */
function expected(a: Float64Array, b: Float64Array, D: number): number[] {
  const result: number[] = [];
  for (let i = 0; i < a.length; i += D) {
    for (let j = 0; j < b.length; j += D) result.push(Math.hypot(...a.subarray(i, i + D).map((v, d) => v - b[j + d])));
  }
  return result;
}

const worst = (actual: Tensor, want: ArrayLike<number>): number => {
  const found = Array.from(actual.dataSync());
  expect(found.length).toBe(want.length);
  return found.reduce((most, v, i) => Math.max(most, Math.abs(v - want[i])), 0);
};

describe.each(backendNames)("distances between all rows on %s", (backend) => {
  beforeAll(() => useBackend(backend));
  afterAll(() => useBackend(undefined));

  it.each([[1, 1, 1], [4, 32, 16], [5, 33, 7], [70, 20, 17], [3, 70, 300], [130, 3, 2]])("are those of every pair: %i and %i rows of %i", (P, R, D) => {
    const [a, b, dy] = [values([P, D]), values([R, D], 1), values([P, R], 2)];
    const want = expected(a, b, D);
    expect(worst(cdist(fromData(a, [P, D], "f64"), fromData(b, [R, D], "f64")), want)).toBeLessThan(1e-12);
    expect(worst(cdist(fromData(Float32Array.from(a), [P, D], "f32"), fromData(Float32Array.from(b), [R, D], "f32")), want)).toBeLessThan(1e-4);
    const [da, db] = [new Float64Array(P * D), new Float64Array(R * D)];
    want.forEach((y, at) => {
      const [i, j] = [Math.floor(at / R), at % R];
      for (let d = 0; d < D; d++) {
        const slope = (dy[at] / y) * (a[i * D + d] - b[j * D + d]);
        da[i * D + d] += slope;
        db[j * D + d] -= slope;
      }
    });
    for (const [dtype, error] of [["f64", 1e-11], ["f32", 1e-3]] as const) {
      const [x, y, slopes] = [fromData(a, [P, D], "f64"), fromData(b, [R, D], "f64"), fromData(dy, [P, R], "f64")].map((t) => fromData(cast(t, dtype).dataSync(), t.shape, dtype));
      for (const t of [x, y]) t.requiresGrad = true;
      sum(mul(cdist(x, y), slopes)).backward();
      const [gx, gy] = [x.grad!, y.grad!];
      expect(worst(gx, da)).toBeLessThan(error);
      expect(worst(gy, db)).toBeLessThan(error);
    }
  });

  it("keep the digits of rows that lie close together far from 0", () => {
    const near = cdist(tensor([[4096, 4096]]), tensor([[4096 + 2 ** -9, 4096]]));
    expect(near.dataSync()).toEqual(Float32Array.of(2 ** -9));
  });

  it("broadcast batch dims, take empty ones, and have a second derivative", () => {
    const [a, b] = [values([2, 1, 3, 4]), values([3, 2, 4], 1)];
    const all = cdist(fromData(a, [2, 1, 3, 4], "f64"), fromData(b, [3, 2, 4], "f64"));
    expect(all.shape).toEqual([2, 3, 3, 2]);
    expect(worst(all, [0, 1].flatMap((n) => [0, 1, 2].flatMap((m) => expected(a.subarray(n * 12, n * 12 + 12), b.subarray(m * 8, m * 8 + 8), 4))))).toBeLessThan(1e-12);
    expect(cdist(zeros([0, 3]), zeros([2, 3])).shape).toEqual([0, 2]);
    expect(cdist(zeros([2, 0]), zeros([3, 0])).dataSync()).toEqual(new Float32Array(6));
    expect(gradientError((x, y) => cdist(x, y), [[3, 2], [4, 2]])).toBeUndefined();
    expect(gradientError((x, y) => cdist(x, y, { p: 3 }), [[2, 2], [3, 2]])).toBeUndefined();
  });

  it("push nowhere where rows are equal", () => {
    const a = tensor([[1, 2], [3, 4]], { requiresGrad: true });
    sum(cdist(a, tensor([[1, 2]]))).backward();
    const diagonal = 2 / Math.hypot(2, 2);
    expect(worst(a.grad!, [0, 0, diagonal, diagonal])).toBeLessThan(1e-6);
  });
});
