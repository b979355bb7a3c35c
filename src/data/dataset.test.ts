import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tensor } from "../graph/index.js";
import { add } from "../ops/index.js";
import { ArrayDataset, checkLabels, concat, DataLoader, filter, map, Random, randomSplit, readLabels, stratifiedSplit, Subset, takePerClass, TensorDataset } from "./index.js";

const numbers = (n: number) => new ArrayDataset(Array.from({ length: n }, (_, i) => i));
const indices = (parts: readonly Subset<unknown>[]) => parts.map((part) => Array.from(part.indices));

describe("data sets", () => {
  it("map, filter, concat and choose", async () => {
    const both = concat(numbers(3), map(numbers(2), (x) => 10 + x));
    expect([0, 1, 2, 3, 4].map((i) => both.get(i))).toEqual([0, 1, 2, 10, 11]);
    expect(() => both.get(5)).toThrow(/index 5 is out of range for 5 samples. Use 0 to 4/);
    const even = await filter(both, (x) => x % 2 === 0);
    expect([...Array(even.length).keys()].map((i) => even.get(i))).toEqual([0, 2, 10]);
    expect(new Subset(numbers(5), [4, 4]).get(1)).toBe(4);
    expect(() => new Subset(numbers(5), [5])).toThrow(/index 5/);
    expect(() => numbers(0).get(0)).toThrow(/out of range for 0 samples/);
    const slow = map({ length: 1, get: () => Promise.resolve(2) }, (x) => x * 3);
    expect(await slow.get(0)).toBe(6);
    const random = map(numbers(3), (_, r) => r.uniform());
    expect(random.get(1)).toBe(random.get(1));
    expect(random.get(1)).not.toBe(random.get(2));
  });

  it("are made of tensors and arrays, row by row", async () => {
    const data = new TensorDataset(tensor([[1, 2], [3, 4], [5, 6]]), { data: Int32Array.of(7, 8, 9), shape: [3] }, { data: Uint16Array.of(0x3f80, 0, 0), shape: [3, 1], dtype: "bf16" });
    expect(data.get(1)).toEqual([
      { data: Float32Array.of(3, 4), shape: [2], dtype: "f32" },
      { data: Int32Array.of(8), shape: [], dtype: "i32" },
      { data: Uint16Array.of(0), shape: [1], dtype: "bf16" },
    ]);
    for await (const batch of new DataLoader(data, { batchSize: 3 })) expect(batch.map((t) => [t.dtype, t.shape])).toEqual([["f32", [3, 2]], ["i32", [3]], ["bf16", [3, 1]]]);
    expect(() => new TensorDataset(tensor([1, 2]), tensor([1]))).toThrow(/tensors 0 and 1 have different numbers of rows: \[2\] and \[1\]/);
    expect(() => new TensorDataset(tensor(1))).toThrow(/is a scalar/);
    expect(new TensorDataset(add(tensor([1, 2]), 1)).get(1)[0].data).toEqual(Float32Array.of(3));
    expect(() => new TensorDataset({ data: new Float32Array(3), shape: [2] })).toThrow(/3 values of array 0 do not fill \[2\]/);
    expect(() => new TensorDataset({ data: new Float32Array(3), shape: [3], dtype: "i32" })).toThrow(/Float32Array, which does not hold i32/);
  });

  it("have checked labels", async () => {
    const data = new ArrayDataset([[0, 2], [0, 1], [0, 5], [0, -1]]);
    const labels = await readLabels(data);
    expect([...labels]).toEqual([2, 1, 5, -1]);
    expect(() => checkLabels("my.csv", labels, 3)).toThrow(/my\.csv: row 2 has the label 5 \(and 1 more\), with 3 classes labels are 0 to 2/);
    expect(() => checkLabels("my.csv", [0, 0.5], 3)).toThrow(/row 1 has the label 0.5/);
    await expect(readLabels(data, { field: 2 })).rejects.toThrow(/field 2 of row 0 is undefined/);
  });
});

describe("splits", () => {
  it("cut into parts that do not overlap, the same for the same seed", () => {
    fc.assert(
      fc.property(fc.nat({ max: 50 }), fc.nat({ max: 50 }), fc.nat(), (a, b, seed) => {
        const parts = indices(randomSplit(numbers(a + b), [a, b], { seed }));
        expect(parts.map((part) => part.length)).toEqual([a, b]);
        expect(parts.flat().sort((x, y) => x - y)).toEqual(Array.from({ length: a + b }, (_, i) => i));
        expect(indices(randomSplit(numbers(a + b), [a, b], { seed }))).toEqual(parts);
      }),
    );
    expect(indices(randomSplit(numbers(10), [0.5, 0.5], { seed: 1 }))).not.toEqual(indices(randomSplit(numbers(10), [0.5, 0.5], { seed: 2 })));
    expect(randomSplit(numbers(11), [0.3, 0.3, 0.4]).map((part) => part.length)).toEqual([4, 3, 4]); // as PyTorch: 3, 3, 4 and one more for the first
    expect(() => randomSplit(numbers(10), [5, 6])).toThrow(/sum up to 11/);
    expect(() => randomSplit(numbers(10), [0.5, 0.4])).toThrow(/sum up to 0.9/);
  });

  it("keep the share of each class", () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 4 }), { minLength: 1, maxLength: 200 }), fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(), (labels, f, seed) => {
        const [first, second] = indices(stratifiedSplit(numbers(labels.length), [f, 1 - f], { labels, seed }));
        expect([...first, ...second].sort((x, y) => x - y)).toEqual(labels.map((_, i) => i));
        expect(first.length).toBe(randomSplit(numbers(labels.length), [f, 1 - f])[0].length);
        for (let k = 0; k < 5; k++) {
          const total = labels.filter((label) => label === k).length;
          const share = first.filter((i) => labels[i] === k).length;
          expect(Math.abs(share - (first.length / labels.length) * total)).toBeLessThanOrEqual(1 + 1e-9);
        }
      }),
    );
    const labels = Array.from({ length: 40 }, (_, i) => i % 4);
    const few = takePerClass(numbers(40), 2, { labels, seed: 1 });
    expect(Array.from(few.indices, (i) => labels[i])).toEqual([0, 0, 1, 1, 2, 2, 3, 3]);
    expect(() => takePerClass(numbers(40), 11, { labels })).toThrow(/class 0 has 10 samples, 11 are wanted/);
    expect(() => stratifiedSplit(numbers(3), [1], { labels: [1] })).toThrow(/1 labels for 3 samples/);
  });
});

describe("Random", () => {
  it("permutes evenly", () => {
    const counts = new Map<string, number>();
    for (let seed = 0; seed < 6000; seed++) {
      const key = new Random(seed).permutation(3).join("");
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(120); // 4 standard deviations
  });
});
