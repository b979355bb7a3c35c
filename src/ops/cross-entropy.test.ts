import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { F, fromData, GraftError, realize, tensor, useBackend, zeros, type Tensor } from "graftml";
import { backendNames, f64, gradientError, values } from "../../test/gradients.js";
import { crossEntropy, nllLoss, type CrossEntropyOptions } from "./cross-entropy.js";
import { logSoftmax } from "./softmax.js";

const { cast, permute, reshape, sum } = F;

const labels = (data: readonly number[], shape: readonly number[] = [data.length]): Tensor => fromData(Int32Array.from(data), shape, "i32");

/** Losses of rows of logits by the definition. */
function expected(x: Float64Array, classes: number, target: readonly number[], { smoothing = 0, weight, ignore = -100 }: { smoothing?: number; weight?: Float64Array; ignore?: number }) {
  const rows = target.map((t, r) => {
    if (t === ignore) return 0;
    const row = x.slice(r * classes, (r + 1) * classes);
    const lse = Math.log(row.reduce((a, v) => a + Math.exp(v), 0));
    const spread = row.reduce((a, v, c) => a + (weight?.[c] ?? 1) * (lse - v), 0);
    return (1 - smoothing) * (weight?.[t] ?? 1) * (lse - row[t]) + (smoothing / classes) * spread;
  });
  const total = target.reduce((a, t) => a + (t === ignore ? 0 : (weight?.[t] ?? 1)), 0);
  return { rows, sum: rows.reduce((a, b) => a + b, 0), mean: rows.reduce((a, b) => a + b, 0) / total };
}

async function failure(x: Tensor): Promise<GraftError> {
  const error = await realize(x).then(() => undefined, (e: unknown) => e);
  expect(error).toBeInstanceOf(GraftError);
  return error as GraftError;
}

describe.each(backendNames)("crossEntropy on %s", (backend) => {
  beforeAll(() => useBackend(backend));
  afterAll(() => useBackend(undefined));

  const target = [3, -100, 0, 4, 2, 1, -100];
  const weight = values([5], 7).map((v) => Math.abs(v) + 0.1);
  const options: CrossEntropyOptions[] = [{}, { labelSmoothing: 0.2 }, { weight: fromData(weight, [5], "f64") }, { weight: fromData(weight, [5], "f64"), labelSmoothing: 0.1 }];

  it.each(options)("follows the definition, option set %#", (option) => {
    const x = values([7, 5]).map((v) => v * 3);
    const want = expected(x, 5, target, { smoothing: option.labelSmoothing, weight: option.weight ? weight : undefined });
    const logits = fromData(x, [7, 5], "f64");
    expect(crossEntropy(logits, labels(target), option).item()).toBeCloseTo(want.mean, 12);
    expect(crossEntropy(logits, labels(target), { ...option, reduction: "sum" }).item()).toBeCloseTo(want.sum, 12);
    crossEntropy(logits, labels(target), { ...option, reduction: "none" }).dataSync().forEach((v, r) => expect(v).toBeCloseTo(want.rows[r], 12));
  });

  it.each(options)("has the first and second derivative, option set %#", (option) => {
    for (const reduction of ["mean", "sum", "none"] as const) expect(gradientError((x) => crossEntropy(x, labels([2, -100, 0]), { ...option, reduction }), [[3, 5]])).toBeUndefined();
  });

  it("takes [C], [B, C, d...] and targets of other integer types", () => {
    const x = f64([2, 3, 4]);
    const target = labels([0, 1, 2, 0, 2, 2, 1, 0], [2, 4]);
    const rows = reshape(permute(x, [0, 2, 1]), [8, 3]);
    const flat = crossEntropy(rows, reshape(target, [8]), { reduction: "none" });
    const wide = crossEntropy(x, target, { reduction: "none" });
    expect(wide.shape).toEqual([2, 4]);
    expect(wide.dataSync()).toEqual(flat.dataSync());
    expect(gradientError((x) => crossEntropy(x, target), [[2, 3, 4]])).toBeUndefined();
    const one = crossEntropy(f64([3]), labels([1], []), { reduction: "none" });
    expect(one.shape).toEqual([]);
    expect(one.item()).toBe(crossEntropy(f64([1, 3]), cast(labels([1]), "u8")).item());
  });

  it("takes probabilities", () => {
    const q = fromData(Float64Array.of(0.2, 0.8, 0, 1, 0, 0), [2, 3], "f64");
    const x = values([2, 3]);
    const logs = logSoftmax(fromData(x, [2, 3], "f64"), 1).dataSync();
    const want = -(0.2 * logs[0] + 0.8 * logs[1] + logs[3]);
    expect(crossEntropy(fromData(x, [2, 3], "f64"), q, { reduction: "sum" }).item()).toBeCloseTo(want, 12);
    expect(crossEntropy(fromData(x, [2, 3], "f64"), q).item()).toBeCloseTo(want / 2, 12);
    expect(gradientError((x, q) => crossEntropy(x, q, { labelSmoothing: 0.1, weight: f64([3], 5) }), [[2, 3], [2, 3]])).toBeUndefined();
    expect(crossEntropy(f64([2, 3, 4]), f64([2, 3, 4], 1), { weight: f64([3], 5), reduction: "none" }).shape).toEqual([2, 4]);
  });

  it("agrees with nllLoss of logSoftmax", () => {
    const x = f64([4, 3]);
    const target = labels([0, 2, -7, 1]);
    for (const reduction of ["mean", "sum"] as const) {
      const option = { weight: fromData(Float64Array.of(1, 2, 0.5), [3], "f64"), ignoreIndex: -7, reduction };
      expect(nllLoss(logSoftmax(x, 1), target, option).item()).toBeCloseTo(crossEntropy(x, target, option).item(), 12);
    }
    expect(gradientError((x) => nllLoss(x, target, { ignoreIndex: -7 }), [[4, 3]])).toBeUndefined();
  });

  it("survives large and infinite logits", () => {
    expect(crossEntropy(tensor([[1e4, 1e4 - 1, -1e4]]), labels([1])).item()).toBeCloseTo(1 + Math.log1p(Math.exp(-1)), 6);
    const x = tensor([[0, -Infinity, 0]], { requiresGrad: true });
    const loss = crossEntropy(x, labels([0]));
    loss.backward();
    expect(loss.item()).toBeCloseTo(Math.LN2, 6);
    expect(x.grad?.dataSync()).toEqual(Float32Array.of(-0.5, 0, 0.5));
    expect(crossEntropy(tensor([[0, -Infinity]]), labels([1])).item()).toBe(Infinity);
  });

  it("keeps digits when a large vocabulary is summed in f32", () => {
    const x = Float32Array.from(values([3, 50_000]), (v) => v * 4);
    const want = expected(Float64Array.from(x), 50_000, [1, 2, 49_999], {});
    const loss = crossEntropy(fromData(x, [3, 50_000], "f32"), labels([1, 2, 49_999])).item();
    expect(Math.abs(loss / want.mean - 1)).toBeLessThan(3e-7);
  });

  it("gives NaN without any row that counts, but no gradient", () => {
    const x = tensor([[1, 2], [3, 4]], { requiresGrad: true });
    const loss = crossEntropy(x, labels([-100, -100]));
    loss.backward();
    expect(loss.item()).toBeNaN();
    expect(x.grad?.dataSync()).toEqual(new Float32Array(4));
    expect(crossEntropy(x, labels([-100, -100]), { reduction: "sum" }).item()).toBe(0);
    expect(crossEntropy(zeros([0, 3]), labels([])).item()).toBeNaN();
    expect(sum(crossEntropy(zeros([0, 3]), labels([]), { reduction: "none" })).item()).toBe(0);
    expect(crossEntropy(tensor([[7], [8]]), labels([0, 0])).item()).toBe(0);
  });

  it("names a label that is out of range, its place and the range", async () => {
    const error = await failure(crossEntropy(zeros([5, 10]), labels([1, 2, 9, 12, 11])));
    expect(error.code).toBe("index");
    expect(error.message).toContain("crossEntropy: target 12 at [3] is out of range for 10 classes");
    expect((await failure(nllLoss(zeros([2, 3, 2]), labels([0, 1, 2, -1], [2, 2])))).message).toContain("nllLoss: target -1 at [1, 1] is out of range for 3 classes");
  });

  it("refuses what does not fit", () => {
    expect(() => crossEntropy(zeros([2, 3]), labels([0, 1, 2]))).toThrow("crossEntropy: target is [3], input [2, 3]. Class labels must be [2]");
    expect(() => crossEntropy(zeros([2, 3]), zeros([2]))).toThrow("class labels are integers");
    expect(() => crossEntropy(zeros([2, 3]), labels([0, 1]), { weight: zeros([2]) })).toThrow("one value per class: [3]");
    expect(() => crossEntropy(zeros([2, 3]), labels([0, 1]), { labelSmoothing: 2 })).toThrow("labelSmoothing is 2");
    expect(() => crossEntropy(zeros([2, 3]), zeros([2, 3]), { ignoreIndex: 0 })).toThrow("the target holds probabilities");
    expect(() => crossEntropy(zeros([]), labels([0], []))).toThrow("input is a scalar");
  });
});
