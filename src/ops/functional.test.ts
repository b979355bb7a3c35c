import { describe, expect, it } from "vitest";
import { arange, F, GraftError, ones, tensor, zeros, type Tensor } from "graftml";
import * as functional from "./functional.js";

const x = (): Tensor => ones([2, 3]);

describe("wrong calls of F say what is wrong and how to fix it", () => {
  it.each<[string, () => unknown, string]>([
    ["a number where options belong", () => F.sum(x(), 1 as never), "sum: the options are number 1, not an object. Write { dim: ... }"],
    ["a tensor where options belong", () => F.max(x(), x() as never), "max: the options are a Tensor"],
    ["a mistyped option", () => F.mean(x(), { keepDim: true } as never), 'mean: unknown option "keepDim". Did you mean "keepdim"?'],
    ["a snake_case option", () => F.leakyRelu(x(), { negative_slope: 1 } as never), 'Did you mean "negativeSlope"?'],
    ["an unknown choice", () => F.gelu(x(), { approximate: "tan" as never }), 'gelu: approximate is "tan". Did you mean "tanh"?'],
    ["an unknown reduction", () => F.mseLoss(x(), x(), { reduction: "avg" as never }), 'mseLoss: reduction is "avg"'],
    ["shapes of a loss that only broadcast", () => F.mseLoss(ones([64, 1]), ones([64])), "mseLoss: input is [64, 1], target is [64]. Shapes must be equal"],
    ["a promise", () => F.relu(Promise.resolve(x()) as never), "is an await missing?"],
    ["an array", () => F.silu([1, 2] as never), "silu: x must be a Tensor, not an array (wrap it with tensor(...))"],
    ["no bounds", () => F.clamp(x(), {}), "clamp: neither min nor max is given"],
    ["an odd size", () => F.glu(x()), "glu: dim 1 of x [2, 3] has odd size 3"],
    ["a weight per nothing", () => F.prelu(x(), ones([4])), "prelu: weight is [4], x is [2, 3]. The weight must be [1] or [3]"],
    ["bounds in the wrong order", () => F.hardtanh(x(), { minVal: 1, maxVal: 0 }), "minVal 1 is above maxVal 0"],
    ["a dim that is not there", () => F.normalize(x(), { dim: 2 }), "normalize: dim 2 is out of range for 2 dimensions"],
    ["vectors of other lengths", () => F.dot(ones([2]), ones([3])), "dot: a is [2], b is [3]"],
    ["a matrix that is none", () => F.mm(ones([2]), x()), "mm: a is [2]. It must be a matrix [n, k]"],
    ["batches of other sizes", () => F.bmm(ones([2, 1, 1]), ones([3, 1, 1])), "matmul broadcasts"],
    ["an input that does not fit the product", () => F.addmm(ones([5, 2, 2]), ones([2, 2]), ones([2, 2])), "addmm: input is [5, 2, 2], the product [2, 2]"],
    ["sizes of bilinear", () => F.bilinear(ones([2, 3]), ones([2, 4]), ones([5, 4, 3])), "x1 must be [..., 4]"],
    ["distances of other widths", () => F.cdist(x(), ones([2, 4])), "cdist: a is [2, 3], b is [2, 4]"],
    ["two sizes", () => F.interpolate(ones([1, 1, 2, 2]), { size: 4, scaleFactor: 2 }), "exactly one of size and scaleFactor"],
    ["a mode for other dims", () => F.interpolate(ones([1, 1, 2]), { size: 4, mode: "bilinear" }), 'Mode "bilinear" needs [B, C] and 2 spatial dims'],
    ["aligned nearest neighbours", () => F.interpolate(ones([1, 1, 2]), { size: 4, alignCorners: true }), "alignCorners does not apply"],
    ["channels that do not split", () => F.pixelShuffle(ones([1, 6, 2, 2]), 2), "It must be [..., C * 4, H, W]"],
    ["two masks", () => F.scaledDotProductAttention(x(), x(), x(), { isCausal: true, attnMask: ones([2, 2]) }), "attnMask and isCausal are both given"],
    ["a mask of another shape", () => F.scaledDotProductAttention(x(), x(), x(), { attnMask: ones([3, 3]) }), "attnMask is [3, 3], the scores are [2, 2]"],
    ["heads that do not divide", () => F.scaledDotProductAttention(ones([3, 2, 4]), ones([2, 2, 4]), ones([2, 2, 4]), { enableGqa: true }), "must be a multiple"],
    ["a weight that does not broadcast", () => F.binaryCrossEntropy(x(), x(), { weight: ones([2]) }), "binaryCrossEntropy"],
    ["a delta of 0", () => F.huberLoss(x(), x(), { delta: 0 }), "delta is 0. Use a number above 0."],
    ["labels of another shape", () => F.multiMarginLoss(x(), arange(3)), "multiMarginLoss: input is [2, 3], target is [3]"],
    ["a target of another shape", () => F.cosineEmbeddingLoss(x(), x(), ones([3])), "Use [B, D] with [B]"],
  ])("%s", (_, run, message) => {
    expect(run).toThrow(GraftError);
    expect(run).toThrow(message);
  });
});

describe("methods", () => {
  it("are the functions of F", () => {
    const a = tensor([[1, -2], [3, 4]]);
    expect([...a.add(1).mul(2).relu().dataSync()]).toEqual([4, 0, 8, 10]);
    expect([...a.sum({ dim: 1 }).dataSync()]).toEqual([-1, 7]);
    expect(a.reshape(4).shape).toEqual(a.view([-1]).shape);
    expect(a.permute(1, 0).shape).toEqual([2, 2]);
    expect([...a.t().flatten().dataSync()]).toEqual([1, 3, -2, 4]);
    expect([...a.where(a.gt(0), 0).dataSync()]).toEqual([1, 0, 3, 4]);
    expect([...a.clamp({ min: 0, max: 3 }).dataSync()]).toEqual([1, 0, 3, 3]);
    expect(a.expand(3, -1, -1).repeat(1, 2, 1).shape).toEqual([3, 4, 2]);
    expect(a.unsqueeze(0).squeeze(0).shape).toEqual([2, 2]);
    expect(a.split(1, 0).map((part) => part.shape)).toEqual([[1, 2], [1, 2]]);
    expect(a.topk(1, { dim: 0 })[1].dataSync()).toEqual(Int32Array.of(1, 1));
    expect(a.to("f64").dtype).toBe("f64");
    expect(a.eq(a.detach()).all().item()).toBe(1);
    expect([...a.flip(0, 1).dataSync()]).toEqual([4, 3, -2, 1]);
    expect(a.norm().item()).toBeCloseTo(Math.sqrt(30), 5);
  });
  it("keep the names of functions that other code may look up", () => {
    for (const name of ["add", "matmul", "softmax", "at", "var"]) expect(typeof (x() as unknown as Record<string, unknown>)[name]).toBe("function");
    expect(functional.var(tensor([1, 2, 3])).item()).toBe(1);
  });
});

describe("16-bit floats", () => {
  it.each(["f16", "bf16"] as const)("%s sums in between do not overflow", (dtype) => {
    const large = tensor(new Float32Array(5000).fill(300)).to(dtype);
    expect(large.mean().to("f32").item()).toBe(300);
    expect(large.mean().dtype).toBe(dtype);
    expect(F.norm(large).to("f32").item()).toBeGreaterThan(21000);
    expect(large.std().to("f32").item()).toBe(0);
  });
});

describe("attention", () => {
  it("gives zeros and no NaN where a query may look nowhere", () => {
    const make = (): Tensor => tensor([[1, 2], [3, 4]], { requiresGrad: true });
    const [q, k, v] = [make(), make(), make()];
    const mask = tensor([[false, false], [true, true]]);
    const y = F.scaledDotProductAttention(q, k, v, { attnMask: mask });
    y.sum().backward();
    expect([...y.dataSync()].slice(0, 2)).toEqual([0, 0]);
    for (const t of [q, k, v]) expect([...t.grad!.dataSync()].every(Number.isFinite)).toBe(true);
    const added = F.scaledDotProductAttention(q, k, v, { attnMask: tensor([[-Infinity, -Infinity], [0, 0]]) });
    expect([...added.dataSync()]).toEqual([...y.dataSync()]);
  });
  it("drops weights with dropoutP", () => {
    const y = F.scaledDotProductAttention(zeros([1, 4]), zeros([8, 4]), ones([8, 4]), { dropoutP: 1 });
    expect([...y.dataSync()]).toEqual([0, 0, 0, 0]);
  });
});
