import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { F, fromData, type GraftError, manualSeed, randint, randn, tensor, useBackend, zeros, type Nested, type Tensor } from "graftml";
import { backendNames, f64, gradientError, values } from "../../test/gradients.js";
import { embedding, gather, indexAdd, indexSelect, oneHot, takeAlongDim } from "./gather.js";
import { scatter, scatterAdd } from "./scatter.js";

const { cast, mul, sum, transpose } = F;

const ints = (data: Nested): Tensor => tensor(data, { dtype: "i32" });
const thrown = (body: () => Tensor): GraftError => {
  try {
    body().dataSync();
  } catch (error) {
    return error as GraftError;
  }
  throw new Error("nothing was thrown");
};

describe.each(backendNames)("gather and scatter on %s", (backend) => {
  beforeAll(() => useBackend(backend));
  afterAll(() => useBackend(undefined));

  it("pick and put back along a dim", async () => {
    const x = tensor([[1, 2, 3], [4, 5, 6]]);
    expect(await gather(x, -1, ints([[2, 0], [1, 1]])).toArray()).toEqual([[3, 1], [5, 5]]);
    expect(await gather(x, 0, ints([[1, 0, 1], [0, 0, 0], [1, 1, 1]])).toArray()).toEqual([[4, 2, 6], [1, 2, 3], [4, 5, 6]]);
    expect(await takeAlongDim(x, ints([[0]]), 1).toArray()).toEqual([[1]]); // an index may be smaller in other dims
    expect(await scatterAdd(x, 1, ints([[0, 0]]), tensor([[10, 20]])).toArray()).toEqual([[31, 2, 3], [4, 5, 6]]);
    expect(await scatter(x, 1, ints([[0, 0], [2, 1]]), tensor([[7, 8, 0], [9, 1, 0]])).toArray()).toEqual([[8, 2, 3], [4, 1, 9]]);
    expect(await scatter(x, 0, ints([[1, 0, 1]]), 0).toArray()).toEqual([[1, 0, 3], [0, 5, 0]]);
    expect(gather(tensor(5), 0, ints(0)).item()).toBe(5);
    expect(scatterAdd(tensor(5), 0, ints(0), tensor(2)).item()).toBe(7);
  });

  it("take whole slices", async () => {
    const x = tensor([[1, 2], [3, 4], [5, 6]]);
    expect(await indexSelect(x, 0, ints([2, 0, 2])).toArray()).toEqual([[5, 6], [1, 2], [5, 6]]);
    expect(await indexSelect(x, 1, ints([1])).toArray()).toEqual([[2], [4], [6]]);
    expect(await embedding(ints([[0, 2]]), x).toArray()).toEqual([[[1, 2], [5, 6]]]);
    expect(await indexAdd(x, 1, ints([1, 1]), tensor([[1, 1], [1, 1], [1, 1]])).toArray()).toEqual([[1, 4], [3, 6], [5, 8]]);
    expect(await oneHot(ints([[2, 0]]), 3).toArray()).toEqual([[[0, 0, 1], [1, 0, 0]]]);
  });

  it("work on every dtype, on views and on nothing", async () => {
    for (const dtype of ["f64", "i32", "u8", "bool", "bf16", "f16"] as const) {
      const x = cast(tensor([[1, 0, 1]]), dtype);
      expect(await cast(gather(x, 1, ints([[2, 1]])), "f32").toArray()).toEqual([[1, 0]]);
      expect(gather(x, 1, ints([[2, 1]])).dtype).toBe(dtype);
      expect(scatterAdd(x, 1, ints([[1]]), x).dtype).toBe(dtype);
    }
    expect(await gather(transpose(tensor([[1, 2, 3], [4, 5, 6]])), 1, ints([[1], [0], [1]])).toArray()).toEqual([[4], [2], [6]]);
    expect(gather(zeros([2, 0]), 1, zeros([2, 0], { dtype: "i32" })).dataSync().length).toBe(0);
    expect(embedding(zeros([0, 3], { dtype: "i32" }), zeros([5, 2])).shape).toEqual([0, 3, 2]);
    expect(embedding(zeros([0, 3], { dtype: "i32" }), zeros([5, 2])).dataSync().length).toBe(0);
    expect(await indexAdd(zeros([2, 1]), 0, zeros([0], { dtype: "i32" }), zeros([0, 1])).toArray()).toEqual([[0], [0]]);
  });

  it("have first and second derivatives", () => {
    const index = ints([[0, 2, 2], [1, 0, 1]]);
    expect(gradientError((x) => gather(x, 1, index), [[2, 3]])).toBeUndefined();
    expect(gradientError((x) => { const y = gather(x, 1, index); return mul(y, y); }, [[2, 3]])).toBeUndefined();
    expect(gradientError((x, s) => mul(scatterAdd(x, 1, index, s), x), [[2, 4], [2, 3]])).toBeUndefined();
    expect(gradientError((x, s) => mul(scatter(x, 1, ints([[0, 2], [1, 3]]), s), x), [[2, 4], [2, 2]])).toBeUndefined();
    expect(gradientError((x) => { const y = indexSelect(x, 1, ints([2, 2, 0])); return mul(y, y); }, [[2, 3, 2]])).toBeUndefined();
    expect(gradientError((w) => { const y = embedding(index, w); return mul(y, y); }, [[4, 2]])).toBeUndefined();
    expect(gradientError((x, s) => { const y = indexAdd(x, 0, ints([1, 1, 0]), s); return mul(y, y); }, [[2, 2], [3, 2]])).toBeUndefined();
  });

  it("give the padding row no gradient", () => {
    for (const paddingIdx of [1, -2]) {
      const w = f64([3, 2]);
      w.requiresGrad = true;
      sum(embedding(ints([0, 1, 1, 2, 2]), w, { paddingIdx })).backward();
      expect(w.grad!.dataSync()).toEqual(Float64Array.of(1, 1, 0, 0, 2, 2));
    }
  });

  it("say which index is out of range", () => {
    const x = zeros([4, 10]);
    const bad = thrown(() => gather(x, 1, ints([[0, 1], [2, 3], [4, 5], [12, 6]])));
    expect(bad).toMatchObject({ code: "index" });
    expect(bad.message).toContain("gather: index 12 at [3, 0] is out of range for a dimension of 10");
    for (const [name, body] of [
      ["embedding: index 10 at [0, 1]", () => embedding(ints([[3, 10]]), zeros([10, 2]))],
      ["embedding: index -1 at [0]", () => embedding(ints([-1]), zeros([10, 2]))],
      ["indexSelect: index 4 at [0]", () => indexSelect(x, 0, ints([4]))],
      ["scatterAdd: index 10 at [0, 0]", () => scatterAdd(x, 1, ints([[10]]), zeros([1, 1]))],
      ["scatter: index -3 at [0, 0]", () => scatter(x, 1, ints([[-3]]), 1)],
      ["oneHot: index 5 at [1]", () => oneHot(ints([0, 5]), 5)],
      ["indexAdd: index 4 at [0]", () => indexAdd(x, 0, ints([4]), zeros([1, 10]))],
      ["embedding: index 0 at [0] is out of range for a dimension of 0", () => embedding(ints([0]), zeros([0, 2]))],
    ] as const) {
      const error = thrown(body);
      expect(error).toMatchObject({ code: "index" });
      expect(error.message).toContain(name);
    }
  });

  it("say the first of several that are out of range, among many", () => {
    const index = new Int32Array(300_000).map((_, i) => i % 50);
    index[299_999] = index[200_000] = index[70_001] = 51;
    const error = thrown(() => gather(zeros([3, 50]), 1, fromData(index, [3, 100_000], "i32")));
    expect(error.message).toContain("index 51 at [0, 70001]");
  });

  it("agree with a plain loop on larger sizes", () => {
    manualSeed(3);
    const [rows, width, count] = [97, 130, 1000];
    const index = randint(rows, [count]);
    const x = randn([count, width]);
    const [ids, data] = [index.dataSync(), x.dataSync()];
    const want = new Float64Array(rows * width);
    for (let k = 0; k < count; k++) for (let i = 0; i < width; i++) want[ids[k] * width + i] += data[k * width + i];
    const w = zeros([rows, width], { requiresGrad: true });
    sum(mul(embedding(index, w), x)).backward();
    expect(w.grad!.dataSync().findIndex((v, i) => !(Math.abs(v - want[i]) < 1e-5))).toBe(-1);
    // Single elements of many lines, some taken often, and the gradient that puts them back.
    const [height, taken] = [40, 300];
    const columns = randint(width, [taken]);
    const places = columns.dataSync();
    const table = randn([height, width], { requiresGrad: true });
    const slopes = randn([height, taken]);
    const picked = indexSelect(table, 1, columns);
    const entries = table.dataSync();
    expect(picked.dataSync().every((v, i) => v === entries[Math.floor(i / taken) * width + places[i % taken]])).toBe(true);
    sum(mul(picked, slopes)).backward();
    const back = new Float64Array(height * width);
    slopes.dataSync().forEach((v, i) => (back[Math.floor(i / taken) * width + places[i % taken]] += v));
    expect(table.grad!.dataSync().findIndex((v, i) => !(Math.abs(v - back[i]) < 1e-5))).toBe(-1);
    const flat = scatterAdd(zeros([rows], { dtype: "f64" }), 0, index, fromData(values([count]), [count], "f64")).dataSync();
    const sums = new Float64Array(rows);
    values([count]).forEach((v, k) => (sums[ids[k]] += v));
    expect(flat).toEqual(sums);
  });
});

describe("gather and scatter", () => {
  it("check shapes, dtypes and options when recorded", () => {
    expect(() => gather(zeros([2, 3]), 0, ints([0]))).toThrow(/index is \[1\], x is \[2, 3\]/);
    expect(() => gather(zeros([2, 3]), 1, ints([[0], [0], [0]]))).toThrow(/only dim 1/);
    expect(() => gather(zeros([2]), 0, zeros([2]))).toThrow(/whole numbers/);
    expect(() => gather(zeros([2]), 1, ints([0]))).toThrow(/dim 1 is out of range/);
    expect(() => scatterAdd(zeros([2, 3]), 1, ints([[0, 1]]), zeros([1, 1]))).toThrow(/src is \[1, 1\]/);
    expect(() => indexSelect(zeros([2]), 0, ints([[0]]))).toThrow(/one dim/);
    expect(() => embedding(ints([0]), zeros([2]))).toThrow(/\[rows, width\]/);
    expect(() => embedding(ints([0]), zeros([2, 2]), { paddingIdx: 2 })).toThrow(/paddingIdx is 2/);
    expect(() => oneHot(ints([0]), -1)).toThrow(/numClasses is -1/);
    expect(() => indexAdd(zeros([2, 2]), 0, ints([0]), zeros([2, 2]))).toThrow(/source \[2, 2\]/);
  });
});
