import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { F, checkpoint, fromData, ones, realize, tensor, useBackend, zeros, type Shape, type Tensor } from "graftml";
import { backendNames, f64, gradientError, values } from "../../test/gradients.js";
import { batchNorm, instanceNorm } from "./batch-norm.js";

const { mul, sum } = F;

/** Mean and biased variance of every channel of [B, C, S]. */
function statistics(x: Float64Array, [batch, channels, inner]: readonly number[]) {
  return Array.from({ length: channels }, (_, c) => {
    const own = x.filter((_, i) => Math.floor(i / inner) % channels === c);
    const mean = own.reduce((a, b) => a + b, 0) / (batch * inner);
    return { mean, variance: own.reduce((a, v) => a + (v - mean) ** 2, 0) / (batch * inner) };
  });
}

describe.each(backendNames)("batchNorm on %s", (backend) => {
  beforeAll(() => useBackend(backend));
  afterAll(() => useBackend(undefined));

  // short and long runs, one and several partial sums, ragged column blocks
  it.each([[2, 1, 1], [300, 70, 1], [5, 3, 4], [4, 3, 16], [40, 2, 600], [2, 3, 17_000]])("normalises [%i, %i, %i]", (...shape) => {
    const x = values(shape).map((v) => v * 3 + 2);
    const [w, b] = [values([shape[1]], 1), values([shape[1]], 2)];
    const stats = statistics(x, shape);
    const want = x.map((v, i) => {
      const c = Math.floor(i / shape[2]) % shape[1];
      return ((v - stats[c].mean) / Math.sqrt(stats[c].variance + 1e-5)) * w[c] + b[c];
    });
    const exact = batchNorm(fromData(x, shape, "f64"), null, null, fromData(w, [shape[1]], "f64"), fromData(b, [shape[1]], "f64"), { training: true }).dataSync();
    const [w32, b32] = [w, b].map((p) => fromData(Float32Array.from(p), [shape[1]], "f32"));
    const single = batchNorm(fromData(Float32Array.from(x), shape, "f32"), null, null, w32, b32, { training: true }).dataSync();
    let [worst, worst32] = [0, 0];
    want.forEach((v, i) => {
      worst = Math.max(worst, Math.abs(exact[i] - v));
      worst32 = Math.max(worst32, Math.abs(single[i] - v));
    });
    expect(worst).toBeLessThan(1e-10);
    expect(worst32).toBeLessThan(2e-5);
  });

  it.each([[[4, 2]], [[2, 3, 2]], [[2, 2, 4, 4]]])("has the first and second derivative for %j", (shape: Shape) => {
    const channels = [shape[1]];
    expect(gradientError((x, w, b) => batchNorm(x, null, null, w, b, { training: true }), [shape, channels, channels])).toBeUndefined();
    if (shape.length < 4) expect(gradientError((x, b) => batchNorm(x, null, null, null, b, { training: true }), [shape, channels])).toBeUndefined();
    const [mean, variance] = [f64(channels, 5), ones(channels, { dtype: "f64" })];
    if (shape.length < 4) expect(gradientError((x, w, b) => batchNorm(x, mean, variance, w, b), [shape, channels, channels])).toBeUndefined();
  });

  it("moves the running statistics in place, with the unbiased variance", async () => {
    const [mean, variance] = [tensor([0, 1]), tensor([1, 2])];
    const x = tensor([[1, 10], [2, 20], [3, 60]]);
    const y = batchNorm(x, mean, variance, null, null, { training: true, momentum: 0.25 });
    await realize(y);
    expect(Array.from(mean.dataSync())).toEqual([0.5, 0.75 + 7.5]);
    expect(Array.from(variance.dataSync())).toEqual([1, 1.5 + 175]);
    expect(mean.requiresGrad).toBe(false);
    await batchNorm(x, mean, variance).data();
    expect(Array.from(mean.dataSync())).toEqual([0.5, 8.25]);
    batchNorm(x, mean, null, null, null, { training: true, momentum: tensor(1) });
    expect(Array.from(mean.dataSync())).toEqual([2, 30]);
  });

  it("counts a batch once, also under checkpoint", async () => {
    const [mean, w] = [zeros([1], { requiresGrad: false }), tensor([1], { requiresGrad: true })];
    const running = fromData(Float32Array.of(0), [1], "f32");
    const x = tensor([[2], [4]]);
    const loss = sum(mul(checkpoint((h: Tensor) => batchNorm(h, running, null, w, null, { training: true, momentum: 0.5 }), mul(x, w)), tensor([[1], [3]])));
    loss.backward();
    await realize(loss, w.grad as Tensor);
    expect(running.dataSync()[0]).toBe(1.5);
    expect(mean.item()).toBe(0);
  });

  it("refuses what does not fit", () => {
    expect(() => batchNorm(zeros([1, 3]), null, null, null, null, { training: true })).toThrow("training needs more than one value per channel");
    expect(() => batchNorm(zeros([2, 3]), null, null)).toThrow("there are no running statistics");
    expect(() => batchNorm(zeros([2, 3]), zeros([2]), zeros([3]))).toThrow("batchNorm: runningMean is [2], x is [2, 3]. It needs one value per channel (dim 1): [3].");
    expect(() => batchNorm(zeros([3]), null, null)).toThrow("It must be [B, C, ...]");
    expect(() => batchNorm(zeros([2, 3]), null, null, null, null, { training: true, momentum: 2 })).toThrow("momentum is 2");
  });

  it("normalises instances by themselves", async () => {
    const shape = [2, 3, 4];
    const x = values(shape);
    const stats = statistics(x, [1, 6, 4]);
    const [running, w] = [zeros([3], { dtype: "f64" }), f64([3], 1)];
    const average = fromData(new Float64Array(3), [3], "f64");
    const y = instanceNorm(fromData(x, shape, "f64"), { weight: w, runningMean: average, momentum: 1 });
    const scale = w.dataSync();
    y.dataSync().forEach((v, i) => {
      const { mean, variance } = stats[Math.floor(i / 4)];
      expect(v).toBeCloseTo(((x[i] - mean) / Math.sqrt(variance + 1e-5)) * scale[Math.floor(i / 4) % 3], 10);
    });
    average.dataSync().forEach((v, c) => expect(v).toBeCloseTo((stats[c].mean + stats[c + 3].mean) / 2, 12));
    expect(instanceNorm(fromData(x, shape, "f64"), { runningMean: running, runningVar: ones([3], { dtype: "f64" }), useInputStats: false, eps: 0 }).dataSync()).toEqual(x);
    expect(gradientError((x, w, b) => instanceNorm(x, { weight: w, bias: b }), [[2, 2, 3], [2], [2]])).toBeUndefined();
    expect(() => instanceNorm(zeros([2, 3, 1]))).toThrow("has one value only");
  });
});
