import { describe, expect, it } from "vitest";
import { arange, GraftError, tensor, type Tensor } from "graftml";
import { resolveRange, type Range } from "./at.js";

const grid = (): Tensor => arange(24).reshape(2, 3, 4);

describe("resolveRange follows Python's slices", () => {
  const positions = (range: Range, n: number): number[] => {
    const { start, size, step } = resolveRange(range, n);
    return Array.from({ length: size }, (_, i) => start + i * step);
  };
  it.each<[Range, number[]]>([
    [[], [0, 1, 2, 3, 4]],
    [[1, 3], [1, 2]],
    [[-2, null], [3, 4]],
    [[null, -1], [0, 1, 2, 3]],
    [[0, 99, 2], [0, 2, 4]],
    [[3, 1], []],
    [[null, null, -1], [4, 3, 2, 1, 0]],
    [[3, 0, -2], [3, 1]],
    [[-99, 2], [0, 1]],
    [[99, null, -3], [4, 1]],
  ])("%j of 5", (range, expected) => expect(positions(range, 5)).toEqual(expected));

  it("refuses what is not a range", () => {
    expect(() => resolveRange([0, 4, 0], 5)).toThrow("[0,4,0] is not a range");
    expect(() => resolveRange([0.5, 4], 5)).toThrow("whole numbers");
  });
});

describe("at", () => {
  it("takes numbers, ranges, null and ...", async () => {
    expect(await grid().at(1, 2, 3).toArray()).toBe(23);
    expect(await grid().at(1, -1).toArray()).toEqual([20, 21, 22, 23]);
    expect(await grid().at(null, 0, [1, 3]).toArray()).toEqual([[1, 2], [13, 14]]);
    expect(await grid().at("...", -1).toArray()).toEqual([[3, 7, 11], [15, 19, 23]]);
    expect(await grid().at(0, "...", [null, null, -3]).toArray()).toEqual([[3, 0], [7, 4], [11, 8]]);
    expect(grid().at([1, 1]).shape).toEqual([0, 3, 4]);
    expect(grid().at().shape).toEqual([2, 3, 4]);
  });

  it("takes tensors of positions, several of which pick element by element", async () => {
    const rows = tensor(Int32Array.of(1, -1), {});
    expect(await grid().at(0, rows, 1).toArray()).toEqual([5, 9]);
    expect((await grid().at(null, tensor(Int32Array.of(0, 1, 2, 0), { shape: [2, 2] })).data()).length).toBe(2 * 2 * 2 * 4);
    const labels = tensor(Int32Array.of(3, 0, 2), {});
    expect(await grid().at(0, arange(3), labels).toArray()).toEqual([3, 4, 10]);
    expect(await grid().at(tensor(Int32Array.of(0, 1), { shape: [2, 1] }), arange(3), [0, 1]).toArray()).toEqual([[[0], [4], [8]], [[12], [16], [20]]]);
  });

  it("has a gradient", () => {
    const x = tensor([[1, 2, 3], [4, 5, 6]], { requiresGrad: true });
    x.at(arange(2), tensor(Int32Array.of(2, 2), {})).sum().backward();
    expect([...x.grad!.dataSync()]).toEqual([0, 0, 1, 0, 0, 1]);
  });

  it("says what is wrong", () => {
    expect(() => grid().at(2)).toThrow("position 2 is outside dim 0 of x [2, 3, 4]. Use -2 to 1");
    expect(() => grid().at(0, 0, 0, 0)).toThrow("4 indices, x [2, 3, 4] has 3 dims");
    expect(() => grid().at("...", "...")).toThrow('more than one "..."');
    expect(() => grid().at(tensor([0.5]))).toThrow('Use index.to("i32")');
    expect(() => grid().at(tensor([true, false]))).toThrow("maskedFill");
    expect(() => grid().at(arange(2), 0, arange(2))).toThrow("not next to each other");
    expect(() => grid().at("all" as never)).toThrow(GraftError);
    expect(() => grid().at(0, arange(5)).dataSync()).toThrow("3"); // position 3 in a dim of 3, found when computed
  });
});
