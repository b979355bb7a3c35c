import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { F, arange, ones, tensor, useBackend, zeros, type Tensor } from "graftml";
import { backendNames, f64, gradientError } from "../../test/gradients.js";
import { cat } from "./join.js";
import { pad } from "./padding.js";
import {
  diagonal, flatten, maskedFill, meshgrid, movedim, repeat, repeatInterleave, roll, squeeze, tile, tril, triu, unflatten, unsqueeze,
} from "./shape.js";
import { chunk, narrow, select, split, stack, unbind } from "./split.js";

const { cast, mul, permute, remainder, reshape, transpose } = F;

const grid = (rows: number, cols: number): Tensor => reshape(arange(rows * cols), [rows, cols]);
const all = (tensors: readonly Tensor[]): Promise<unknown[]> => Promise.all(tensors.map((t) => t.toArray()));

describe.each(backendNames)("shape functions on %s", (backend) => {
  beforeAll(() => useBackend(backend));
  afterAll(() => useBackend(undefined));

  it("cut and join", async () => {
    const x = grid(2, 3);
    expect(await all(split(x, 2, 1))).toEqual([[[0, 1], [3, 4]], [[2], [5]]]);
    expect(await all(split(x, [0, 2], 0))).toEqual([[], [[0, 1, 2], [3, 4, 5]]]);
    expect(await all(chunk(x, 2, -1))).toEqual([[[0, 1], [3, 4]], [[2], [5]]]);
    expect(chunk(zeros([0, 2]), 3).map((t) => t.shape)).toEqual([[0, 2], [0, 2], [0, 2]]);
    expect(await narrow(x, 1, -2, 2).toArray()).toEqual([[1, 2], [4, 5]]);
    expect(await select(x, 1, -1).toArray()).toEqual([2, 5]);
    expect(await all(unbind(x))).toEqual([[0, 1, 2], [3, 4, 5]]);
    expect(await stack([x, x], -1).toArray()).toEqual([[[0, 0], [1, 1], [2, 2]], [[3, 3], [4, 4], [5, 5]]]);
    expect(await cat([transpose(x), tensor([[7.5, 8]]), zeros([0, 2])], 0).toArray()).toEqual([[0, 3], [1, 4], [2, 5], [7.5, 8]]);
    expect(await cat([x, reshape(arange(2), [2, 1])], 1).toArray()).toEqual([[0, 1, 2, 0], [3, 4, 5, 1]]);
  });

  it("move and repeat", async () => {
    const x = grid(2, 3);
    expect(await roll(x, 1).toArray()).toEqual([[5, 0, 1], [2, 3, 4]]);
    expect(await roll(x, [1, -1], [0, 1]).toArray()).toEqual([[4, 5, 3], [1, 2, 0]]);
    expect(await roll(x, 3, 1).toArray()).toEqual([[0, 1, 2], [3, 4, 5]]);
    expect(await repeat(tensor([1, 2]), [2, 2]).toArray()).toEqual([[1, 2, 1, 2], [1, 2, 1, 2]]);
    expect(await tile(x, [2]).toArray()).toEqual([[0, 1, 2, 0, 1, 2], [3, 4, 5, 3, 4, 5]]);
    expect(repeat(x, [0, 1]).shape).toEqual([0, 3]);
    expect(await repeatInterleave(x, 2, 0).toArray()).toEqual([[0, 1, 2], [0, 1, 2], [3, 4, 5], [3, 4, 5]]);
    expect(await repeatInterleave(tensor([1, 2]), 2).toArray()).toEqual([1, 1, 2, 2]);
    expect(movedim(zeros([2, 3, 4]), 0, -1).shape).toEqual([3, 4, 2]);
    expect(squeeze(zeros([1, 2, 1])).shape).toEqual([2]);
    expect(squeeze(zeros([1, 2, 1]), [1, 2]).shape).toEqual([1, 2]);
    expect([unsqueeze(tensor(1), 0).shape, unsqueeze(x, -1).shape, flatten(tensor(1)).shape, flatten(zeros([2, 3, 4]), -2).shape]).toEqual([[1], [2, 3, 1], [1], [2, 12]]);
    expect(unflatten(zeros([2, 12]), 1, [3, -1]).shape).toEqual([2, 3, 4]);
    expect(await all(meshgrid([tensor([1, 2]), tensor([3, 4, 5])], { indexing: "xy" }))).toEqual([[[1, 2], [1, 2], [1, 2]], [[3, 3], [4, 4], [5, 5]]]);
  });

  it("know triangles, diagonals and masks", async () => {
    const x = grid(3, 4);
    expect(await tril(x).toArray()).toEqual([[0, 0, 0, 0], [4, 5, 0, 0], [8, 9, 10, 0]]);
    expect(await triu(x, 2).toArray()).toEqual([[0, 0, 2, 3], [0, 0, 0, 7], [0, 0, 0, 0]]);
    expect(tril(cast(ones([2, 2]), "bool")).dtype).toBe("bool");
    expect(await all([diagonal(x), diagonal(x, 2), diagonal(x, -1), diagonal(x, 9)])).toEqual([[0, 5, 10], [2, 7], [4, 9], []]);
    expect(await diagonal(reshape(arange(8), [2, 2, 2]), 0, 2, 0).toArray()).toEqual([[0, 5], [2, 7]]);
    expect(await maskedFill(tensor([1, 2]), tensor([0, 1], { dtype: "i32" }), -Infinity).toArray()).toEqual([1, -Infinity]);
  });

  it("pad in every mode", async () => {
    const x = grid(2, 3);
    expect(await pad(x, [1, 0, 0, 1], { value: 9 }).toArray()).toEqual([[9, 0, 1, 2], [9, 3, 4, 5], [9, 9, 9, 9]]);
    expect(await pad(x, [-1, 1]).toArray()).toEqual([[1, 2, 0], [4, 5, 0]]);
    expect(await pad(x, [2, 1, 1, 0], { mode: "reflect" }).toArray()).toEqual([[5, 4, 3, 4, 5, 4], [2, 1, 0, 1, 2, 1], [5, 4, 3, 4, 5, 4]]);
    expect(await pad(x, [1, 2], { mode: "replicate" }).toArray()).toEqual([[0, 0, 1, 2, 2, 2], [3, 3, 4, 5, 5, 5]]);
    expect(await pad(x, [1, 3], { mode: "circular" }).toArray()).toEqual([[2, 0, 1, 2, 0, 1, 2], [5, 3, 4, 5, 3, 4, 5]]);
    expect(await pad(zeros([0, 2]), [1, 1, 1, 1], { value: 3 }).toArray()).toEqual([[3, 3, 3, 3], [3, 3, 3, 3]]);
    for (const dtype of ["f64", "u8", "bool", "bf16", "f16"] as const) {
      expect(await cast(pad(transpose(cast(tensor([[1, 0], [1, 1]]), dtype)), [0, 1], { value: 1 }), "f32").toArray()).toEqual([[1, 1, 1], [0, 1, 1]]);
    }
  });

  it("have first and second derivatives", () => {
    const squared = (y: Tensor): Tensor => mul(y, y);
    const cases: ((x: Tensor) => Tensor)[] = [
      (x) => roll(x, [1, 2], [0, 1]), (x) => repeat(x, [2, 1, 3]), (x) => repeatInterleave(x, 2, 1), (x) => tril(x, 1), (x) => triu(x, 1), (x) => diagonal(x, 1),
      (x) => stack([x, x], 1), (x) => split(x, [1, 3], 1)[1], (x) => select(x, 1, -1), (x) => cat([x, transpose(x)], 0), (x) => maskedFill(x, tensor([0, 1, 0, 1]), 2),
      (x) => pad(x, [1, -1, 2, 0]), (x) => pad(x, [2, 1], { mode: "reflect" }), (x) => pad(x, [2, 1, 0, 1], { mode: "replicate" }), (x) => pad(x, [4, 1], { mode: "circular" }),
      (x) => meshgrid([select(x, 0, 0), select(x, 1, 0)])[0],
    ];
    cases.forEach((f, i) => expect(gradientError((x) => squared(f(x)), [[4, 4]]), `case ${i}`).toBeUndefined());
    expect(gradientError((x) => squared(pad(x, [0, 2])), [[2, 0]])).toBeUndefined();
  });

  it.each(["f32", "f64", "i32", "u8", "bf16"] as const)("pad before a short last dim that lies elsewhere in memory, %s", (dtype) => {
    for (const inner of [2, 3, 16, 17]) {
      const x = cast(remainder(reshape(arange(inner * 20), [inner, 4, 5]), 97), dtype);
      const y = cast(pad(permute(x, [2, 1, 0]), [0, 0, 1, 2, 3, 0], { value: 99 }), "i32").dataSync();
      const want = (a: number, b: number, c: number): number => (a < 3 || b < 1 || b > 4 ? 99 : (c * 20 + (b - 1) * 5 + a - 3) % 97);
      expect(Array.from(y)).toEqual(Array.from({ length: 56 * inner }, (_, i) => want(Math.floor(i / (7 * inner)), Math.floor(i / inner) % 7, i % inner)));
    }
  });

  it("work on large tensors whose rows are cut into pieces", () => {
    const n = 70_001;
    const x = f64([2, n]);
    const joined = cat([transpose(x), transpose(x)], 0).dataSync();
    const padded = pad(x, [3, 2, 0, 1], { value: 4 }).dataSync();
    const data = x.dataSync();
    for (const i of [0, 1, 32_767, 32_768, n - 1]) {
      expect([joined[2 * i], joined[2 * (n + i) + 1]]).toEqual([data[i], data[n + i]]);
      expect([padded[3 + i], padded[n + 5 + 3 + i]]).toEqual([data[i], data[n + i]]);
    }
    expect([padded[2], padded[n + 3], padded[2 * (n + 5)], padded[padded.length - 1]]).toEqual([4, 4, 4, 4]);
  });
});

describe("shape functions", () => {
  it("name what is wrong", () => {
    const x = zeros([2, 3]);
    expect(() => split(x, [1, 1], 1)).toThrow(/add up to 2, dim 1 of \[2, 3\] is 3/);
    expect(() => split(x, 0)).toThrow(/size of a piece is 0/);
    expect(() => chunk(x, 0)).toThrow(/chunks is 0/);
    expect(() => narrow(x, 1, 2, 2)).toThrow(/2 elements from 2 on/);
    expect(() => select(x, 0, 2)).toThrow(/index 2 is out of range for dim 0/);
    expect(() => stack([x, zeros([3])])).toThrow(/tensor 1 is \[3\]/);
    expect(() => stack([])).toThrow(/empty/);
    expect(() => repeat(x, [2])).toThrow(/fewer entries/);
    expect(() => roll(x, [1, 2])).toThrow(/2 shifts/);
    expect(() => roll(x, [1, 2], [0])).toThrow(/equally many/);
    expect(() => tril(zeros([3]))).toThrow(/at least two dims/);
    expect(() => diagonal(x, 0, 1, -1)).toThrow(/different/);
    expect(() => flatten(x, 1, 0)).toThrow(/Swap/);
    expect(() => unflatten(x, 1, [2, -1])).toThrow(/multiply to 3/);
    expect(() => pad(x, [1])).toThrow(/at most 2 dims/);
    expect(() => pad(x, [3, 0], { mode: "reflect" })).toThrow(/at most 2/);
    expect(() => pad(x, [0, 4], { mode: "circular" })).toThrow(/at most 3/);
    expect(() => pad(x, [-2, -2])).toThrow(/cut off more/);
    expect(() => pad(x, [1, 1], { mode: "reflct" as "reflect" })).toThrow(/Did you mean "reflect"/);
    expect(() => pad(zeros([2, 0]), [1, 0], { mode: "replicate" })).toThrow(/at most 0/);
    expect(() => meshgrid([x])).toThrow(/one dim/);
  });
});
