import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { F, fromData, tensor, useBackend, zeros, type Tensor } from "graftml";
import { backendNames, f64, gradientError, values } from "../../test/gradients.js";
import { cholesky, det, inverse, logdet, slogdet, solve } from "./linalg.js";

const { add, cast, matmul, mul, reshape, transpose } = F;

const identity = (n: number): Tensor => fromData(Float64Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0)), [n, n], "f64");
/** Matrices that are far from singular. */
const regular = (batch: readonly number[], n: number, seed = 0): Tensor => add(f64([...batch, n, n], seed), mul(identity(n), 3));
const positive = (x: Tensor): Tensor => add(matmul(x, transpose(x)), identity(x.shape[x.ndim - 1]));

function expectClose(actual: Tensor, want: Tensor, tolerance = 1e-9): void {
  const [a, b] = [actual.dataSync(), want.dataSync()];
  expect(actual.shape).toEqual(want.shape);
  expect(a.findIndex((v, i) => !(Math.abs(v - b[i]) <= tolerance * (1 + Math.abs(b[i]))))).toBe(-1);
}

describe.each(backendNames)("linear algebra on %s", (backend) => {
  beforeAll(() => useBackend(backend));
  afterAll(() => useBackend(undefined));

  it.each([[1, 1], [3, 4], [2, 40], [1, 140]])("inverts, solves and factors %i matrices of size %i", (batch, n) => {
    const a = regular([batch], n);
    const ones = add(zeros([batch, n, n], { dtype: "f64" }), identity(n));
    expectClose(matmul(a, inverse(a)), ones, 1e-8);
    const b = f64([batch, n, 3], 5);
    expectClose(matmul(a, solve(a, b)), b, 1e-8);
    const s = positive(a);
    const l = cholesky(s);
    expectClose(matmul(l, transpose(l)), s, 1e-8);
    const [sign, log] = slogdet(s);
    expect(Array.from(sign.dataSync())).toEqual(new Array(batch).fill(1));
    expectClose(log, logdet(s));
    if (n < 50) expectClose(det(matmul(a, s)), mul(det(a), det(s)), 1e-8);
  });

  it("knows small results", async () => {
    const a = tensor([[0, 2], [3, 4]]);
    expect(det(a).item()).toBe(-6);
    expect((await inverse(a).toArray()).toString()).toBe([[-2 / 3, 1 / 3], [0.5, 0]].map((row) => row.map(Math.fround)).toString());
    expect(await solve(a, tensor([2, 7])).toArray()).toEqual([1, 1]);
    expect(await solve(a, tensor([[2], [7]])).toArray()).toEqual([[1], [1]]);
    expect(det(tensor([[1, 2], [2, 4]])).item()).toBeCloseTo(0, 12);
    expect((await Promise.all(slogdet(tensor([[1, 2], [2, 4]])).map((t) => t.data()))).map((t) => t[0])).toEqual([0, -Infinity]);
    expect(logdet(a).item()).toBeNaN();
    expect(cholesky(cast(tensor([[4]]), "bf16")).dtype).toBe("bf16");
    expect(await cholesky(tensor([[4, 99], [2, 10]])).toArray()).toEqual([[2, 0], [1, 3]]); // only the lower triangle is read
    expect([inverse(zeros([0, 3, 3])).shape, det(zeros([2, 0, 0])).shape]).toEqual([[0, 3, 3], [2]]);
    expect(Array.from(det(zeros([2, 0, 0])).dataSync())).toEqual([1, 1]);
  });

  it("broadcasts batches in solve", () => {
    const [a, b] = [regular([2, 1], 3), f64([4, 3, 2], 9)];
    const x = solve(a, b);
    expect(x.shape).toEqual([2, 4, 3, 2]);
    expectClose(matmul(a, x), add(zeros([2, 4, 3, 2], { dtype: "f64" }), b));
  });

  it("has first and second derivatives", () => {
    const shift = (x: Tensor): Tensor => add(x, mul(identity(3), 3));
    expect(gradientError((x) => inverse(shift(x)), [[3, 3]])).toBeUndefined();
    expect(gradientError((x, b) => solve(shift(x), b), [[2, 3, 3], [3, 2]])).toBeUndefined();
    expect(gradientError((x, b) => solve(shift(x), b), [[3, 3], [3]])).toBeUndefined();
    expect(gradientError((x) => det(shift(x)), [[2, 3, 3]])).toBeUndefined();
    expect(gradientError((x) => slogdet(shift(x))[1], [[2, 3, 3]])).toBeUndefined();
    expect(gradientError((x) => cholesky(positive(x)), [[3, 3]])).toBeUndefined();
  });

  it("has the derivative of the determinant of singular matrices", () => {
    for (const [n, rank] of [[2, 1], [4, 3], [5, 3], [1, 0]]) {
      const [u, v] = [values([n, rank]), values([rank, n], 1)].map((x) => x.map((value) => Math.round(value * 4)));
      const a = matmul(fromData(u, [n, rank], "f64"), fromData(v, [rank, n], "f64")).dataSync() as Float64Array;
      const x = tensor(a, { shape: [n, n], requiresGrad: true });
      reshape(det(x), []).backward();
      const cofactor = (i: number, j: number): number => {
        const minor = Array.from(a).filter((_, at) => Math.floor(at / n) !== i && at % n !== j);
        return (-1) ** (i + j) * det(tensor(Float64Array.from(minor), { shape: [n - 1, n - 1] })).item();
      };
      x.grad!.dataSync().forEach((g, at) => expect(g).toBeCloseTo(cofactor(Math.floor(at / n), at % n), 8));
    }
  });

  it("says which matrix is at fault", () => {
    const batch = tensor([[[1, 0], [0, 1]], [[1, 2], [2, 4]]]);
    for (const [body, message] of [
      [() => inverse(batch), /inverse: matrix 1 of the batch is singular: its column 1/],
      [() => solve(batch, tensor([1, 1])), /solve: matrix 1 of the batch is singular/],
      [() => cholesky(tensor([[1, 0], [0, -1]])), /cholesky: matrix 0 of the batch is not positive definite at pivot 1/],
      [() => cholesky(tensor([[NaN]])), /not positive definite/],
    ] as const) {
      expect(() => body().dataSync()).toThrow(message);
      expect(() => body().dataSync()).toThrow(expect.objectContaining({ code: "numeric" }));
    }
    expect(() => inverse(zeros([2, 3]))).toThrow(/square matrices/);
    expect(() => det(zeros([3]))).toThrow(/square matrices/);
    expect(() => solve(zeros([3, 3]), zeros([2, 1]))).toThrow(/b is \[2, 1\]/);
  });
});
