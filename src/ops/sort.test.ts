import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { F, manualSeed, randn, tensor, useBackend, zeros, type Tensor } from "graftml";
import { backendNames, gradientError, values } from "../../test/gradients.js";
import { argsort, sort, topk } from "./sort.js";
import { argmax, argmin } from "./argreduce.js";
import { cumprod, cumsum } from "./scan.js";

const { cast, mul, sum, transpose } = F;

const both = async (pair: [Tensor, Tensor]): Promise<unknown[]> => [await pair[0].toArray(), await pair[1].toArray()];

describe.each(backendNames)("order and running sums on %s", (backend) => {
  beforeAll(() => useBackend(backend));
  afterAll(() => useBackend(undefined));

  it("sort stably in both directions, NaN as the largest", async () => {
    const x = tensor([3, NaN, -0, 1, 0, 3, -Infinity]);
    expect(await both(sort(x))).toEqual([[-Infinity, -0, 0, 1, 3, 3, NaN], [6, 2, 4, 3, 0, 5, 1]]);
    expect(await both(sort(x, { descending: true }))).toEqual([[NaN, 3, 3, 1, -0, 0, -Infinity], [1, 0, 5, 3, 2, 4, 6]]);
    expect(await both(sort(tensor([[3, 1], [2, 5]]), { dim: 0 }))).toEqual([[[2, 1], [3, 5]], [[1, 0], [0, 1]]]);
    expect(await argsort(tensor([2, -7, 2], { dtype: "i32" }), { dim: -1 }).toArray()).toEqual([1, 0, 2]);
    expect(await both(sort(tensor(4)))).toEqual([4, 0]);
    expect(sort(zeros([2, 0]))[0].dataSync().length).toBe(0);
    expect(sort(cast(tensor([2, 1]), "bf16"))[0].dtype).toBe("bf16");
  });

  it("find the k best", async () => {
    const x = tensor([[1, 4, 4, 2], [0, -1, 5, 5]]);
    expect(await both(topk(x, 2))).toEqual([[[4, 4], [5, 5]], [[1, 2], [2, 3]]]);
    expect(await both(topk(x, 1, { dim: 0, largest: false, sorted: true }))).toEqual([[[0, -1, 4, 2]], [[1, 1, 0, 0]]]);
    expect(topk(x, 0)[0].dataSync().length).toBe(0);
    expect(topk(tensor(3), 1)[0].item()).toBe(3);
  });

  it.each([1, 40, 49, 700, 5000])("sort and select among %i like Array.sort", (n) => {
    manualSeed(n);
    const x = randn([3, n], { dtype: n > 1000 ? "f32" : "f64" });
    const data = x.dataSync();
    const k = Math.max(1, Math.floor(n / 10));
    const [sorted, order, best, places] = [...sort(transpose(transpose(x))), ...topk(x, k)].map((t) => t.dataSync());
    for (let row = 0; row < 3; row++) {
      const line = Array.from(data.subarray(row * n, (row + 1) * n));
      const want = line.map((_, i) => i).sort((a, b) => line[a] - line[b]);
      expect(Array.from(order.subarray(row * n, (row + 1) * n))).toEqual(want);
      expect(Array.from(sorted.subarray(row * n, (row + 1) * n))).toEqual(want.map((i) => line[i]));
      expect(Array.from(places.subarray(row * k, (row + 1) * k))).toEqual(want.reverse().slice(0, k));
      expect(best[row * k]).toBe(Math.max(...line));
    }
  });

  it("find the first extreme", async () => {
    const x = tensor([[1, 7, 7], [-2, -2, 3]]);
    expect(await argmax(x, { dim: 1 }).toArray()).toEqual([1, 2]);
    expect(await argmin(x, { dim: -1, keepdim: true }).toArray()).toEqual([[0], [0]]);
    expect(await argmax(x, { dim: 0 }).toArray()).toEqual([0, 0, 0]);
    expect([argmax(x).item(), argmin(x).item(), argmax(tensor(3)).item()]).toEqual([1, 3, 0]);
    expect(argmax(x, { keepdim: true }).shape).toEqual([1, 1]);
    expect(argmax(x).dtype).toBe("i32");
    expect(argmax(tensor([1, NaN, Infinity, NaN])).item()).toBe(1);
    expect(argmin(tensor([1, NaN, -Infinity])).item()).toBe(1);
    const long = tensor(Float32Array.from({ length: 1000 }, (_, i) => (i * 37) % 250));
    expect([argmax(long).item(), argmin(long).item()]).toEqual([Array.from({ length: 1000 }, (_, i) => (i * 37) % 250).indexOf(249), 0]);
    const steps = tensor(Int32Array.from({ length: 1000 }, (_, i) => -Math.abs(i - 613)));
    expect(argmax(steps).item()).toBe(613);
  });

  it("add and multiply up", async () => {
    const x = tensor([[1, 2, 3], [4, 5, 6]]);
    expect(await cumsum(x, 1).toArray()).toEqual([[1, 3, 6], [4, 9, 15]]);
    expect(await cumsum(x, 0).toArray()).toEqual([[1, 2, 3], [5, 7, 9]]);
    expect(await cumprod(x, -1).toArray()).toEqual([[1, 2, 6], [4, 20, 120]]);
    expect(await cumsum(tensor([true, false, true]), 0).toArray()).toEqual([1, 1, 2]);
    expect(cumsum(tensor(3), 0).item()).toBe(3);
    expect(cumsum(zeros([2, 0]), 1).dataSync().length).toBe(0);
    const total = cumsum(tensor(new Float32Array(100_000).fill(0.1)), 0).dataSync()[99_999];
    expect(Math.abs(total - 10_000.000149)).toBeLessThan(1e-3); // f32 sums that are kept in f32 would be off by more than 1
  });

  it("have first and second derivatives", () => {
    expect(gradientError((x) => { const [v] = sort(x, { dim: 0 }); return mul(v, v); }, [[4, 2]])).toBeUndefined();
    expect(gradientError((x) => { const [v] = topk(x, 2, { largest: false }); return mul(v, v); }, [[2, 5]])).toBeUndefined();
    expect(gradientError((x) => { const y = cumsum(x, 1); return mul(y, y); }, [[2, 3, 2]])).toBeUndefined();
    expect(gradientError((x) => cumprod(x, 0), [[4, 2]])).toBeUndefined();
  });

  it("have the derivative of a running product where factors are 0", () => {
    const zeroAt = (...places: number[]): Float64Array => values([5]).map((v, i) => (places.includes(i) ? 0 : v + 2));
    for (const data of [zeroAt(0), zeroAt(2), zeroAt(1, 3), zeroAt(0, 1, 2, 3, 4)]) {
      const x = tensor(data, { requiresGrad: true });
      const c = values([5], 7);
      sum(mul(cumprod(x, 0), tensor(c))).backward();
      const want = data.map((_, i) => c.reduce((total, w, j) => total + (j < i ? 0 : w * data.slice(0, j + 1).reduce((p, v, k) => (k === i ? p : p * v), 1)), 0));
      x.grad!.dataSync().forEach((g, i) => expect(g).toBeCloseTo(want[i], 10));
    }
  });

  it("name what is wrong", () => {
    expect(() => topk(tensor([1, 2]), 3)).toThrow(/k is 3/);
    expect(() => sort(tensor([1]), { dim: 1 })).toThrow(/dim 1 is out of range/);
    expect(() => argmax(zeros([2, 0]), { dim: 1 })).toThrow(/empty/);
    expect(() => cumsum(tensor([1]), -2)).toThrow(/dim -2/);
  });
});
