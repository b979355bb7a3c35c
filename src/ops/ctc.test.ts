import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { F, fromData, grad, tensor, useBackend, zeros, type Tensor } from "graftml";
import { backendNames, f64, values } from "../../test/gradients.js";
import { ctcLoss, type CtcLossOptions } from "./ctc.js";

const { logsumexp, mul, reshape, sub, sum } = F;

const logSoftmax = (x: Tensor): Tensor => sub(x, logsumexp(x, { dim: -1, keepdim: true }));
const ints = (data: number[] | number[][]): Tensor => tensor(data, { dtype: "i32" });

/** -ln of the summed probability of all paths that spell `labels`, by listing every path. */
function listed(x: Float64Array, steps: number, batch: number, b: number, classes: number, labels: readonly number[], blank: number): number {
  let total = 0;
  for (let path = 0; path < classes ** steps; path++) {
    let probability = 1;
    const spelled: number[] = [];
    for (let t = 0, rest = path, before = -1; t < steps; t++, rest = Math.floor(rest / classes)) {
      const label = rest % classes;
      probability *= Math.exp(x[(t * batch + b) * classes + label]);
      if (label !== blank && label !== before) spelled.push(label);
      before = label;
    }
    if (spelled.join() === labels.join()) total += probability;
  }
  return -Math.log(total);
}

describe.each(backendNames)("ctcLoss on %s", (backend) => {
  beforeAll(() => useBackend(backend));
  afterAll(() => useBackend(undefined));

  it.each([0, 2])("sums over all paths, blank %i", (blank) => {
    const logProbs = logSoftmax(f64([5, 3, 3]));
    const data = logProbs.dataSync() as Float64Array;
    const other = blank === 0 ? 2 : 0;
    const labels = [[1, 1, other], [other, 1], []];
    const lengths = [5, 4, 3];
    const loss = ctcLoss(logProbs, ints([[1, 1, other], [other, 1, 1], [1, 1, 1]]), lengths, [3, 2, 0], { blank, reduction: "none" }).dataSync();
    const flat = ctcLoss(logProbs, ints([1, 1, other, other, 1]), ints(lengths), ints([3, 2, 0]), { blank, reduction: "none" }).dataSync();
    labels.forEach((row, b) => {
      const want = listed(data, lengths[b], 3, b, 3, row, blank);
      expect(loss[b]).toBeCloseTo(want, 10);
      expect(flat[b]).toBeCloseTo(want, 10);
    });
  });

  it("reduces as asked", () => {
    const x = logSoftmax(f64([6, 2, 4]));
    const run = (reduction: CtcLossOptions["reduction"]): ArrayLike<number> => ctcLoss(x, ints([[1, 2], [3, 0]]), [6, 5], [2, 1], { reduction }).dataSync();
    const [first, second] = Array.from(run("none"));
    expect(run("sum")[0]).toBeCloseTo(first + second, 10);
    expect(run("mean")[0]).toBeCloseTo((first / 2 + second) / 2, 10);
    expect(ctcLoss(reshape(x, [12, 4]), ints([1, 2]), [12], [2], { reduction: "none" }).shape).toEqual([]);
    expect(ctcLoss(x, ints([[1, 2], [3, 0]]), [6, 5], [0, 0]).item()).toBeGreaterThan(0);
  });

  it.each([[6, 2, 4], [40, 3, 7]])("has the gradient of the scores before logSoftmax for [%i, %i, %i]", (time, batch, classes) => {
    const labels = Array.from({ length: batch }, (_, b) => Array.from({ length: 3 }, (_, i) => 1 + ((b + i * i) % (classes - 1))));
    const [steps, sizes] = [labels.map((_, b) => time - b), labels.map((_, b) => 3 - (b % 2))];
    const weights = f64([batch], 4);
    const f = (x: Tensor): Tensor => sum(mul(ctcLoss(logSoftmax(x), ints(labels), steps, sizes, { reduction: "none" }), weights));
    const data = values([time, batch, classes]);
    const exact = (grad(f)(fromData(data, [time, batch, classes], "f64")) as Tensor).dataSync();
    for (let j = 0; j < data.length; j += Math.ceil(data.length / 60)) {
      const moved = (by: number): number => f(fromData(data.map((v, i) => (i === j ? v + by : v)), [time, batch, classes], "f64")).item();
      expect(Math.abs(exact[j] - (moved(1e-5) - moved(-1e-5)) / 2e-5)).toBeLessThan(1e-7);
    }
    const logProbs = logSoftmax(fromData(data, [time, batch, classes], "f64"));
    const direct = grad((x: Tensor) => sum(mul(ctcLoss(x, ints(labels), steps, sizes, { reduction: "none" }), weights)))(logProbs) as Tensor;
    direct.dataSync().forEach((g, i) => expect(g).toBeCloseTo(exact[i], 10));
  });

  it("counts impossible targets as asked", () => {
    const x = tensor(logSoftmax(f64([2, 2, 3])).dataSync(), { shape: [2, 2, 3], requiresGrad: true });
    const run = (zeroInfinity: boolean): Tensor => ctcLoss(x, ints([[1, 1], [1, 2]]), [2, 2], [2, 2], { reduction: "sum", zeroInfinity });
    expect(run(false).item()).toBe(Infinity); // two equal labels need a blank between them
    run(true).backward();
    const g = x.grad!.dataSync();
    expect([g[0], g[1], g[2], g[6], g[7], g[8]]).toEqual([0, 0, 0, 0, 0, 0]);
    expect(g.every(Number.isFinite)).toBe(true);
    expect(g[3]).not.toBe(0);
  });

  it("stays finite in f32 over long inputs", () => {
    const scores = tensor(Float32Array.from(values([400, 2, 30]), (v) => v * 3), { shape: [400, 2, 30] });
    const x = tensor(logSoftmax(scores).dataSync(), { shape: [400, 2, 30], requiresGrad: true });
    const loss = ctcLoss(x, ints([0, 1].map((b) => Array.from({ length: 60 }, (_, i) => 1 + ((i * 7 + b) % 29)))), [400, 300], [60, 50]);
    expect(Number.isFinite(loss.item())).toBe(true);
    loss.backward();
    const g = x.grad!.dataSync();
    for (let t = 0; t < 400; t += 37) expect(Math.abs(Float64Array.from(g.subarray(t * 60, t * 60 + 30)).reduce((a, b) => a + b))).toBeLessThan(1e-5);
  });

  it("names what is wrong", () => {
    const x = zeros([4, 2, 3]);
    const labels = ints([[1, 2], [1, 5]]);
    expect(() => ctcLoss(x, labels, [4, 4], [2, 2]).dataSync()).toThrow(/label 5 at \[1, 1\] is out of range for 3 classes/);
    expect(() => ctcLoss(x, labels, [4, 4], [2, 2]).dataSync()).toThrow(expect.objectContaining({ code: "index" }));
    expect(() => ctcLoss(x, ints([1, 2, 1]), [4, 4], [2, 2]).dataSync()).toThrow(/target length 2 at \[1\] is out of range for 1 labels/);
    expect(() => ctcLoss(x, labels, ints([4, 9]), [2, 2]).dataSync()).toThrow(/input length 9 at \[1\] is out of range for 4 steps/);
    expect(() => ctcLoss(x, labels, [4, 5], [2, 2])).toThrow(/inputLengths\[1\] is 5/);
    expect(() => ctcLoss(x, labels, [4], [2, 2])).toThrow(/1 lengths for a batch of 2/);
    expect(() => ctcLoss(x, labels, [4, 4], [2, 2], { blank: 3 })).toThrow(/blank is 3/);
    expect(() => ctcLoss(zeros([3]), labels, [4, 4], [2, 2])).toThrow(/\[T, B, V\]/);
    expect(() => ctcLoss(x, labels, [4, 4], [2, 2], { reduction: "max" as "mean" })).toThrow(/reduction/);
  });
});
