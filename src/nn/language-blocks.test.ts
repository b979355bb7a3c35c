import { describe, expect, it } from "vitest";
import { F, gradcheck, manualSeed, nn, noGrad, rand, randn, realize, tensor, type Tensor } from "graftml";

const close = async (a: Tensor, b: Tensor, digits = 5): Promise<void> => {
  await realize(a, b);
  expect(a.shape).toEqual(b.shape);
  const [x, y] = [a.dataSync(), b.dataSync()];
  for (let i = 0; i < x.length; i++) expect(x[i]).toBeCloseTo(y[i], digits);
};
const places = (...values: number[]): Tensor => tensor(Int32Array.from(values));

describe("rotary embedding", () => {
  it("turns each pair of dims by position times frequency", async () => {
    const rotary = new nn.RotaryEmbedding(4, { theta: 100 });
    const y = nn.applyRotary(tensor([[[[1, 2, 3, 4]]]]), rotary.tables(places(3)));
    const [a, b] = [3, 3 * 100 ** -0.5];
    await close(y, tensor([[[[Math.cos(a) - 3 * Math.sin(a), 2 * Math.cos(b) - 4 * Math.sin(b), 3 * Math.cos(a) + Math.sin(a), 4 * Math.cos(b) + 2 * Math.sin(b)]]]]));
  });

  it("makes products depend on distances alone", async () => {
    manualSeed(1);
    const rotary = new nn.RotaryEmbedding(8);
    const [q, k] = [randn([1, 2, 1, 8]), randn([1, 2, 1, 8])];
    const score = (i: number, j: number): Tensor => F.sum(F.mul(nn.applyRotary(q, rotary.tables(places(i))), nn.applyRotary(k, rotary.tables(places(j)))), { dim: -1 });
    await close(score(2, 7), score(12, 17), 4);
  });

  it("has the right gradient, also where only some dims are turned", async () => {
    const tables = new nn.RotaryEmbedding(4).tables(tensor([[0, 5, 2], [1, 1, 9]], { dtype: "i32" }));
    const wide = { cos: tables.cos.to("f64"), sin: tables.sin.to("f64") };
    gradcheck((x: Tensor) => nn.applyRotary(x, wide), [randn([2, 3, 3, 6], { dtype: "f64", requiresGrad: true })]);
    const x = randn([2, 1, 3, 6]);
    await close(F.narrow(nn.applyRotary(x, tables), -1, 4, 2), F.narrow(x, -1, 4, 2));
  });

  it("refuses what makes no sense", () => {
    expect(() => new nn.RotaryEmbedding(5)).toThrow(/dim is 5. Pairs of dims/);
    expect(() => new nn.RotaryEmbedding(4, { scaling: { type: "longrope", shortFactor: [1], longFactor: [1, 2], originalMaxPositions: 8, attentionFactor: 1 } })).toThrow(/1 factors for 4 rotated dims/);
    expect(() => nn.applyRotary(rand([1, 1, 1, 2]), new nn.RotaryEmbedding(4).tables(places(0)))).toThrow(/tables rotate 4 dims/);
  });
});

describe("attentionMask", () => {
  const at = async (mask: nn.AttentionMask): Promise<unknown> => (mask as Tensor).to("i32").toArray();

  it("needs no tensor for plain causality or none at all", () => {
    expect(nn.attentionMask({ queries: 4, causal: true })).toBe("causal");
    expect(nn.attentionMask({ queries: 4, causal: true, window: 4 })).toBe("causal");
    expect(nn.attentionMask({ queries: 4, causal: false })).toBeUndefined();
  });

  it("joins window, padding, packing and the offset of a cache", async () => {
    expect(await at(nn.attentionMask({ queries: 3, causal: true, window: 2 }))).toEqual([[[[1, 0, 0], [1, 1, 0], [0, 1, 1]]]]);
    expect(await at(nn.attentionMask({ queries: 2, causal: true, attentionMask: tensor([[0, 1]]) }))).toEqual([[[[0, 0], [0, 1]]]]);
    expect(await at(nn.attentionMask({ queries: 3, causal: true, segmentIds: tensor([[1, 2, 2]]) }))).toEqual([[[[1, 0, 0], [0, 1, 0], [0, 1, 1]]]]);
    expect(await at(nn.attentionMask({ queries: 1, keys: 4, causal: true, start: places(2), attentionMask: tensor([[0, 1, 1]]) }))).toEqual([[[[0, 1, 1, 0]]]]);
    expect(await at(nn.attentionMask({ queries: 2, causal: false, attentionMask: tensor([[1, 0]]) }))).toEqual([[[[1, 0]]]]);
  });

  it("refuses masks that do not fit", () => {
    expect(() => nn.attentionMask({ queries: 3, causal: true, attentionMask: rand([2, 4]) })).toThrow(/the mask is \[2, 4\], there are 3 queries and 3 keys/);
    expect(() => nn.attentionMask({ queries: 3, causal: true, segmentIds: rand([2, 4]) })).toThrow(/segmentIds are \[2, 4\]/);
  });
});

describe("attend", () => {
  it("shares key heads among query heads, with and without a cap", async () => {
    manualSeed(2);
    const [q, k, v] = [randn([2, 4, 3, 8]), randn([2, 2, 3, 8]), randn([2, 2, 3, 8])];
    const repeat = (x: Tensor): Tensor => F.repeatInterleave(x, 2, 1);
    for (const softCap of [undefined, 0.5]) {
      for (const mask of ["causal", undefined, tensor([[[[1, 0, 0], [1, 1, 0], [0, 0, 0]]]], { dtype: "bool" })] as const) await close(nn.attend(q, k, v, mask, { softCap }), nn.attend(q, repeat(k), repeat(v), mask, { softCap }));
    }
  });

  it("caps scores by c tanh(s / c)", async () => {
    const scores = F.mul(F.tanh(tensor([[3, 6]]).div(2)), 2);
    await close(nn.attend(tensor([[[[3]]]]), tensor([[[[1], [2]]]]), tensor([[[[1], [5]]]]), undefined, { softCap: 2 }), F.matmul(F.softmax(scores, -1), tensor([[1], [5]])).reshape([1, 1, 1, 1]));
  });

  it("a wide cap changes nothing", async () => {
    manualSeed(3);
    const [q, k, v] = [randn([1, 2, 4, 8]), randn([1, 2, 4, 8]), randn([1, 2, 4, 8])];
    await close(nn.attend(q, k, v, "causal", { softCap: 1e4 }), nn.attend(q, k, v, "causal"), 4);
  });
});

describe("SelfAttention with a cache", () => {
  const rotary = new nn.RotaryEmbedding(4);
  manualSeed(4);
  const attention = new nn.SelfAttention(8, { heads: 4, keyHeads: 2, headDim: 4, normEps: 1e-6 }).eval();

  it("token by token and in pieces equals all at once", async () => {
    const x = randn([2, 7, 8]);
    await realize(x);
    const whole = attention.forward(x, { mask: "causal", rotary: rotary.tables(F.cast(tensor([0, 1, 2, 3, 4, 5, 6]), "i32")), layer: 0 });
    for (const sizes of [[1, 1, 1, 1, 1, 1, 1], [3, 1, 2, 1], [7]]) {
      const cache = new nn.KVCache({ layers: 1, batch: 2, heads: 2, headDim: 4, capacity: 4 });
      const parts: Tensor[] = [];
      for (const T of sizes) {
        cache.reserve(cache.length + T + (cache.length > 2 ? 4 : 0));
        const start = cache.length;
        const mask = nn.attentionMask({ queries: T, keys: cache.capacity, causal: true, start: cache.slot });
        const positions = F.add(cache.slot, tensor(Int32Array.from({ length: T }, (_, i) => i)));
        parts.push(noGrad(() => attention.forward(F.narrow(x, 1, start, T), { mask, rotary: rotary.tables(positions), cache, layer: 0 })));
        cache.advance(T);
        await realize(parts[parts.length - 1]);
      }
      await close(F.cat(parts, 1), whole);
      expect(cache.length).toBe(7);
    }
  });

  it("can be put in another order", async () => {
    const cache = new nn.KVCache({ layers: 1, batch: 2, heads: 1, headDim: 1, capacity: 2 });
    cache.update(0, tensor([[[[1]]], [[[2]]]]), tensor([[[[3]]], [[[4]]]]));
    cache.advance(1);
    await realize();
    cache.reorder(places(1, 1));
    await realize();
    expect(await cache.keys[0].toArray()).toEqual([[[[2], [0]]], [[[2], [0]]]]);
    expect(await cache.values[0].toArray()).toEqual([[[[4], [0]]], [[[4], [0]]]]);
  });

  it("says what is wrong", () => {
    const cache = new nn.KVCache({ layers: 1, batch: 1, heads: 2, headDim: 4, capacity: 2 });
    expect(() => cache.update(0, rand([2, 2, 1, 4]), rand([2, 2, 1, 4]))).toThrow(/keys are \[2, 2, 1, 4\], the cache holds \[1, 2, T, 4\]/);
    expect(() => cache.update(0, rand([1, 2, 3, 4]), rand([1, 2, 3, 4]))).toThrow(/no room for 3 more tokens: 0 of 2 are used. Call cache.reserve\(3\)/);
    expect(() => (cache.length = 3)).toThrow(/outside of 0 to the capacity 2/);
    expect(() => new nn.SelfAttention(8, { heads: 4, keyHeads: 3 })).toThrow(/4 heads cannot share 3 key heads/);
  });
});

describe("projections", () => {
  it("TransposedLinear is Linear with its weight the other way round", async () => {
    manualSeed(5);
    const [plain, turned] = [new nn.Linear(3, 5), new nn.TransposedLinear(3, 5)];
    turned.loadStateDict(new Map([["weight", F.transpose(plain.weight.detach())], ["bias", plain.bias!.detach()]]));
    const x = randn([2, 4, 3]);
    await close(turned.forward(x), plain.forward(x));
    expect(() => turned.forward(rand([2, 4]))).toThrow(/The last dim of x must be 3/);
  });

  it("GatedMLP is down(silu(gate x) * up x)", async () => {
    manualSeed(6);
    const mlp = new nn.GatedMLP(4, 6);
    const x = randn([2, 4]);
    await close(mlp.forward(x), mlp.down_proj.forward(F.mul(F.silu(mlp.gate_proj.forward(x)), mlp.up_proj.forward(x))));
    expect([...mlp.stateDict().keys()]).toEqual(["gate_proj.weight", "up_proj.weight", "down_proj.weight"]);
  });
});
