import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { F, fromData, hasNative, realizeSync, useBackend, type DType, type Shape, type Tensor } from "graftml";
import { loadAddon } from "graftml/backend";
import { expand, flip, matmul, permute, slice, transpose } from "graftml/ops";
import { values } from "../gradients.js";

const size = (shape: Shape): number => shape.reduce((n, d) => n * d, 1);

/** Looks random, and is an f32 (or coarser) number so that casts on the way in are exact. */
function source(shape: Shape, seed: number, dtype: DType = "f32"): Tensor {
  const x = fromData(Float32Array.from(values(shape, seed), (v) => Math.round(v * 64) / 64), shape, "f32");
  return dtype === "f32" ? x : F.cast(x, dtype);
}

/** The product in f64, and the sum of |a b| that bounds rounding. */
function naive(a: Tensor, b: Tensor): { shape: Shape; product: Float64Array; magnitude: Float64Array } {
  const [[m, k], n] = [a.shape.slice(-2), b.shape[b.ndim - 1]];
  const batch = a.ndim > b.ndim ? a.shape.slice(0, -2) : b.shape.slice(0, -2);
  const shape = [...batch, m, n];
  const [x, y] = [Float64Array.from(expand(a, [...batch, m, k]).dataSync()), Float64Array.from(expand(b, [...batch, k, n]).dataSync())];
  const [product, magnitude] = [new Float64Array(size(shape)), new Float64Array(size(shape))];
  for (let z = 0; z < size(batch); z++) {
    for (let i = 0; i < m; i++) {
      for (let p = 0; p < k; p++) {
        const left = x[(z * m + i) * k + p];
        for (let j = 0; j < n; j++) {
          const term = left * y[(z * k + p) * n + j];
          product[(z * m + i) * n + j] += term;
          magnitude[(z * m + i) * n + j] += Math.abs(term);
        }
      }
    }
  }
  return { shape, product, magnitude };
}

/** The first element that is further off than `unit` times the bound, or undefined. */
function wrong(got: ArrayLike<number>, { product, magnitude }: ReturnType<typeof naive>, unit: number): string | undefined {
  if (got.length !== product.length) return `${got.length} elements, expected ${product.length}`;
  const at = product.findIndex((v, i) => !(Math.abs(got[i] - v) <= unit * magnitude[i]));
  return at < 0 ? undefined : `element ${at} is ${got[at]}, expected ${product[at]}`;
}

/** Rounding errors of a sum grow at most with its length, which is cut into blocks of 256. */
const unit: Readonly<Partial<Record<DType, number>>> = { f32: 2e-6, f64: 1e-14, bf16: 2 ** -8, f16: 2 ** -10 };

const check = (a: Tensor, b: Tensor): string | undefined => wrong(matmul(a, b).dataSync(), naive(a, b), unit[a.dtype] as number);

describe.runIf(hasNative())("the native matrix product", () => {
  beforeAll(() => useBackend("cpu"));
  afterAll(() => useBackend(undefined));

  it("multiplies every combination of odd sizes, in f32 and f64, transposed or not", () => {
    const sizes = [1, 2, 3, 5, 6, 7, 8, 13, 16, 17, 33];
    for (const dtype of ["f32", "f64"] as const) {
      for (let i = 0; i < 120; i++) {
        const [m, k, n] = [sizes[i % 11], sizes[(i * 7 + 3) % 11], sizes[(i * 5 + Math.floor(i / 11)) % 11]];
        const a = i & 1 ? transpose(source([k, m], i, dtype)) : source([m, k], i, dtype);
        const b = i & 2 ? transpose(source([n, k], i + 1, dtype)) : source([k, n], i + 1, dtype);
        expect(check(a, b), `${dtype} ${m} ${k} ${n} form ${i & 3}`).toBeUndefined();
      }
    }
  });

  // One of each way through the kernel: packed and shared, split over the inner index, streamed as matrix times vector, tall, wide.
  it.each([
    [200, 130, 150], [97, 257, 513], [300, 64, 40], [64, 1500, 24], [7, 9000, 9], [1, 400, 500], [500, 400, 1], [1, 20000, 1], [1, 3, 5000], [3, 300, 400], [64, 10, 128],
  ])("multiplies [%i, %i] by [.., %i] in every layout", (m, k, n) => {
    for (let form = 0; form < 4; form++) {
      const a = form & 1 ? transpose(source([k, m], 1)) : source([m, k], 1);
      const b = form & 2 ? transpose(source([n, k], 2)) : source([k, n], 2);
      expect(check(a, b), `form ${form}`).toBeUndefined();
    }
  });

  it("reads flipped, sliced, permuted and repeated operands where they lie", () => {
    const a = source([20, 30], 1);
    const b = source([30, 40], 2);
    expect(check(flip(a, [1]), flip(b, [0, 1]))).toBeUndefined();
    expect(check(slice(source([20, 90], 3), 1, 2, 30, 2), slice(source([60, 80], 4), 1, 1, 20, 3).reshape([60, 20]).reshape([30, 40]))).toBeUndefined();
    expect(check(slice(a, 0, 3, 9, 2), slice(b, 1, 5, 11, 3))).toBeUndefined();
    expect(check(expand(source([1, 30], 5), [20, 30]), b)).toBeUndefined();
    expect(check(a, expand(source([30, 1], 6), [30, 40]))).toBeUndefined();
    const heads = permute(source([3, 10, 4, 8], 7), [0, 2, 1, 3]); // [B, H, T, D]
    expect(check(heads, transpose(permute(source([3, 12, 4, 8], 8), [0, 2, 1, 3])))).toBeUndefined();
  });

  it("broadcasts batches", () => {
    expect(check(source([6, 5, 20, 30], 1), source([30, 17], 2))).toBeUndefined();
    expect(check(source([20, 30], 3), source([6, 30, 17], 4))).toBeUndefined();
    expect(check(transpose(source([40, 30, 9], 5)), source([30, 11], 6))).toBeUndefined();
    expect(check(source([50, 1, 30], 7), source([50, 30, 40], 8))).toBeUndefined();
    const out = matmul(source([4, 1, 3, 5], 9), source([6, 5, 2], 10));
    const [x, y] = [expand(source([4, 1, 3, 5], 9), [4, 6, 3, 5]), source([6, 5, 2], 10)];
    expect(out.shape).toEqual([4, 6, 3, 2]);
    expect(wrong(out.dataSync(), naive(x, y), 2e-6)).toBeUndefined();
  });

  it("gives zeros for an empty sum and nothing for an empty result", () => {
    expect([...matmul(source([3, 0], 1), source([0, 4], 2)).dataSync()]).toEqual(new Array(12).fill(0));
    expect(matmul(source([0, 5], 1), source([5, 4], 2)).dataSync()).toHaveLength(0);
    expect(matmul(source([0, 3, 5], 1), source([5, 4], 2)).dataSync()).toHaveLength(0);
    expect([...F.add(matmul(source([2, 0], 1), source([0, 2], 2)), 1).dataSync()]).toEqual([1, 1, 1, 1]);
  });

  it("widens bf16 and f16, and rounds once at the end", () => {
    for (const dtype of ["bf16", "f16"] as const) {
      for (const [m, k, n] of [[30, 50, 40], [1, 300, 200], [200, 300, 1], [130, 260, 140]]) {
        for (let form = 0; form < 4; form++) {
          const a = form & 1 ? transpose(source([k, m], 1, dtype)) : source([m, k], 1, dtype);
          const b = form & 2 ? transpose(source([n, k], 2, dtype)) : source([k, n], 2, dtype);
          expect(wrong(F.cast(matmul(a, b), "f32").dataSync(), naive(F.cast(a, "f32"), F.cast(b, "f32")), unit[dtype] as number), `${dtype} ${m} ${k} ${n} ${form}`).toBeUndefined();
        }
      }
    }
  });

  it("multiplies a few rows by a transposed matrix, of every dtype, ragged, in blocks, in batches", () => {
    for (const dtype of ["f32", "f64", "bf16", "f16"] as const) {
      for (const [m, k, n] of [[2, 37, 130], [3, 200, 131], [7, 64, 140], [16, 1500, 133], [20, 515, 258], [32, 1024, 70], [31, 41, 517]]) {
        const b = transpose(source([n, k], 2, dtype));
        for (const a of [source([m, k], 1, dtype), transpose(source([k, m], 3, dtype)), expand(source([1, k], 4, dtype), [m, k]), slice(source([m, 2 * k], 5, dtype), 1, 3, k, 1)]) {
          expect(wrong(F.cast(matmul(a, b), "f64").dataSync(), naive(F.cast(a, "f64"), F.cast(b, "f64")), unit[dtype] as number), `${dtype} ${m} ${k} ${n}`).toBeUndefined();
        }
      }
    }
    expect(check(source([3, 4, 5, 70], 1), transpose(source([3, 4, 90, 70], 2)))).toBeUndefined();
    expect(check(transpose(source([12, 70, 5], 1)), transpose(source([12, 90, 70], 2)))).toBeUndefined();
    const [a, b] = [source([5, 70], 1), transpose(source([90, 70], 2))];
    const into = F.cat([matmul(a, b), matmul(a, b)], 1).dataSync(); // rows of the result that do not lie side by side
    expect([...into.slice(90, 180)]).toEqual([...into.slice(0, 90)]);
  });

  it("keeps infinities and NaN to their own rows and columns", () => {
    const a = fromData(Float32Array.from({ length: 12 * 20 }, (_, i) => (i === 25 ? Infinity : i === 65 ? NaN : 1)), [12, 20], "f32");
    const got = matmul(a, fromData(new Float32Array(20 * 11).fill(2), [20, 11], "f32")).dataSync();
    expect([...got]).toEqual(Array.from(got, (_, i) => (Math.floor(i / 11) === 1 ? Infinity : Math.floor(i / 11) === 3 ? NaN : 40)));
  });

  it("runs what follows as an epilogue: bias, activation, residual, several results", () => {
    // The last two go through so much memory that the program follows in bands, of rows and of columns.
    for (const [m, k, n] of [[4, 2, 8], [64, 128, 10], [110, 280, 270], [1, 300, 400], [400, 300, 1], [12, 6000, 9], [3001, 8, 301], [55, 5, 40001], [20, 515, 258], [6, 1100, 77]]) {
      const run = (): Float64Array[] => {
        const [x, w, bias, residual] = [source([m, k], 1), source([n, k], 2), source([n], 3), source([m, n], 4)];
        const hidden = F.relu(F.add(matmul(x, transpose(w)), bias));
        const out = F.add(F.mul(hidden, 0.5), residual);
        realizeSync(hidden, out);
        return [hidden, out].map((t) => Float64Array.from(t.dataSync()));
      };
      useBackend("reference");
      const expected = run();
      useBackend("cpu");
      run().forEach((got, i) => {
        const worst = got.reduce((most, v, j) => Math.max(most, Math.abs(v - expected[i][j])), 0);
        expect(worst, `${m} ${k} ${n} result ${i}`).toBeLessThan(1e-6 * k + 1e-5);
      });
    }
  });

  it("gives the same bits for any number of threads", () => {
    const loaded = loadAddon();
    if (!("addon" in loaded)) throw new Error(loaded.reason);
    const before = loaded.addon.threads();
    const run = (): Uint8Array[] =>
      [[200, 160, 130], [64, 1500, 20], [1, 400, 500], [500, 400, 1], [1, 50000, 2], [300, 64, 64], [3001, 8, 301], [20, 515, 258], [128, 768, 512], [70, 300, 2000]].map(([m, k, n]) => {
        const [x, w, bias] = [source([m, k], 1), source([n, k], 2), source([n], 3)];
        const outer = matmul(transpose(source([k, m], 4)), source([k, n], 5)); // the inner sum over rows of both, as in a weight's gradient
        const results = [F.relu(F.add(matmul(x, transpose(w)), bias)), matmul(x, transpose(w)), F.mul(outer, bias)].map((t) => t.dataSync());
        return Buffer.concat(results.map(({ buffer, byteOffset, byteLength }) => Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength)));
      });
    const results = [1, 2, 5].map((threads) => {
      loaded.addon.setThreads(threads);
      return run();
    });
    loaded.addon.setThreads(before);
    for (const other of results.slice(1)) other.forEach((bytes, i) => expect(Buffer.compare(bytes, results[0][i]), `case ${i}`).toBe(0));
  });
});
