import { describe, expect, it } from "vitest";
import { F, manualSeed, ones, randn, tensor, type Tensor } from "graftml";

const values = (x: Tensor): Float32Array => x.dataSync() as Float32Array;
const mean = (x: ArrayLike<number>): number => Array.from(x).reduce((a, b) => a + b, 0) / x.length;

describe("dropout", () => {
  it("drops a share p and scales the rest", () => {
    manualSeed(1);
    const y = values(F.dropout(ones([10_000]), { p: 0.2 }));
    expect(new Set(y)).toEqual(new Set([0, Math.fround(1.25)]));
    expect(mean(y)).toBeCloseTo(1, 1);
  });
  it("is the identity outside training and for p = 0, zero for p = 1", () => {
    const x = ones([3]);
    expect(F.dropout(x, { training: false })).toBe(x);
    expect(F.dropout(x, { p: 0 })).toBe(x);
    expect([...values(F.dropout(x, { p: 1 }))]).toEqual([0, 0, 0]);
  });
  it("repeats with the seed and uses the same mask in the gradient", () => {
    manualSeed(5);
    const x = tensor(new Float32Array(64).fill(2), { requiresGrad: true });
    const y = F.dropout(x);
    y.sum().backward();
    expect([...values(x.grad!)]).toEqual([...values(y)].map((v) => v / 2));
    manualSeed(5);
    expect([...values(F.dropout(ones([64])))]).toEqual([...values(x.grad!)]);
  });
  it("does not turn dropped infinities into NaN", () => {
    expect([...values(F.dropout(tensor([Infinity, NaN]), { p: 1 }))]).toEqual([0, 0]);
  });
  it("drops whole channels", () => {
    manualSeed(2);
    const y = values(F.dropout2d(ones([4, 8, 3, 3]), { p: 0.5 }));
    for (let c = 0; c < 32; c++) expect(new Set(y.subarray(c * 9, c * 9 + 9)).size).toBe(1);
    expect(new Set(y).size).toBe(2);
  });
  it("alphaDropout keeps mean 0 and variance 1", () => {
    manualSeed(3);
    const y = values(F.alphaDropout(randn([20_000]), { p: 0.3 }));
    expect(mean(y)).toBeCloseTo(0, 1);
    expect(mean(y.map((v) => v * v))).toBeCloseTo(1, 1);
  });
  it("checks its arguments", () => {
    expect(() => F.dropout(ones([2]), { p: 1.5 })).toThrow("p is 1.5. Use a number from 0 to 1.");
    expect(() => F.dropout(ones([2]), { rate: 0.1 } as never)).toThrow('unknown option "rate"');
    expect(() => F.dropout(ones([2]), 0.1 as never)).toThrow("the options are number 0.1");
    expect(() => F.dropout2d(ones([2, 3]))).toThrow("x is [2, 3]. It must be [B, C, H, W]");
  });
});

describe("gumbelSoftmax", () => {
  it("samples from the categorical distribution", () => {
    manualSeed(7);
    const logits = F.log(tensor([0.2, 0.8])).expand(4000, 2);
    const hard = F.gumbelSoftmax(logits, { hard: true, tau: 0.5 });
    const counts = values(F.mean(hard, { dim: 0 }));
    expect(counts[0]).toBeCloseTo(0.2, 1);
    expect(counts[0] + counts[1]).toBeCloseTo(1, 5);
  });
  it("gives one-hot samples the gradient of the soft ones", () => {
    manualSeed(7);
    const x = tensor([[1, 2, 3]], { requiresGrad: true });
    const soft = F.gumbelSoftmax(x);
    manualSeed(7);
    const z = tensor([[1, 2, 3]], { requiresGrad: true });
    const hard = F.gumbelSoftmax(z, { hard: true });
    const weights = tensor([[1, -1, 2]]);
    soft.mul(weights).sum().backward();
    hard.mul(weights).sum().backward();
    expect([...values(z.grad!)]).toEqual([...values(x.grad!)]);
    expect([...values(hard)].map(Math.round).sort()).toEqual([0, 0, 1]);
  });
  it("checks tau", () => expect(() => F.gumbelSoftmax(ones([2]), { tau: 0 })).toThrow("tau is 0. Use a number above 0."));
});
