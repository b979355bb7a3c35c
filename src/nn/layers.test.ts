import { describe, expect, it } from "vitest";
import { F, manualSeed, ones, rand, randn, realize, tensor, zeros, type Tensor } from "graftml";
import * as nn from "./index.js";

const names = (module: nn.Module): string[] => [...module.stateDict()].map(([name, { shape }]) => `${name} ${shape.join("x")}`);
const values = async (x: Tensor): Promise<number[]> => [...(await x.data())];
const close = (a: readonly number[], b: readonly number[], digits = 5): void => {
  expect(a).toHaveLength(b.length);
  a.forEach((x, i) => expect(x).toBeCloseTo(b[i], digits));
};

describe("state dicts have PyTorch's names, shapes and order", () => {
  const norm = (n: number): string[] => [`weight ${n}`, `bias ${n}`, `running_mean ${n}`, `running_var ${n}`, "num_batches_tracked "];
  const attention = ["in_proj_weight 24x8", "in_proj_bias 24", "out_proj.weight 8x8", "out_proj.bias 8"];
  const feedForward = ["linear1.weight 16x8", "linear1.bias 16", "linear2.weight 8x16", "linear2.bias 8"];
  const norms = (count: number): string[] => Array.from({ length: count }, (_, i) => [`norm${i + 1}.weight 8`, `norm${i + 1}.bias 8`]).flat();
  const options = { dimFeedforward: 16 };

  it.each<[string, () => nn.Module, string[]]>([
    ["Linear", () => new nn.Linear(3, 2), ["weight 2x3", "bias 2"]],
    ["Linear without bias", () => new nn.Linear(3, 2, { bias: false }), ["weight 2x3"]],
    ["Bilinear", () => new nn.Bilinear(3, 4, 2), ["weight 2x3x4", "bias 2"]],
    ["Embedding", () => new nn.Embedding(5, 3), ["weight 5x3"]],
    ["Conv1d", () => new nn.Conv1d(4, 6, { kernelSize: 3, groups: 2 }), ["weight 6x2x3", "bias 6"]],
    ["Conv2d", () => new nn.Conv2d(4, 6, { kernelSize: [3, 5] }), ["weight 6x4x3x5", "bias 6"]],
    ["Conv3d", () => new nn.Conv3d(1, 2, { kernelSize: 2 }), ["weight 2x1x2x2x2", "bias 2"]],
    ["ConvTranspose1d", () => new nn.ConvTranspose1d(4, 6, { kernelSize: 3 }), ["weight 4x6x3", "bias 6"]],
    ["ConvTranspose2d", () => new nn.ConvTranspose2d(4, 6, { kernelSize: 3, groups: 2 }), ["weight 4x3x3x3", "bias 6"]],
    ["BatchNorm1d", () => new nn.BatchNorm1d(4), norm(4)],
    ["BatchNorm2d", () => new nn.BatchNorm2d(4), norm(4)],
    ["BatchNorm2d without statistics", () => new nn.BatchNorm2d(4, { trackRunningStats: false }), ["weight 4", "bias 4"]],
    ["InstanceNorm2d", () => new nn.InstanceNorm2d(4), []],
    ["InstanceNorm1d", () => new nn.InstanceNorm1d(4, { affine: true, trackRunningStats: true }), norm(4)],
    ["LayerNorm", () => new nn.LayerNorm([2, 3]), ["weight 2x3", "bias 2x3"]],
    ["LayerNorm without bias", () => new nn.LayerNorm(3, { bias: false }), ["weight 3"]],
    ["RMSNorm", () => new nn.RMSNorm(3), ["weight 3"]],
    ["GroupNorm", () => new nn.GroupNorm(2, 4), ["weight 4", "bias 4"]],
    ["PReLU", () => new nn.PReLU(), ["weight 1"]],
    ["RNN", () => new nn.RNN(3, 4), ["weight_ih_l0 4x3", "weight_hh_l0 4x4", "bias_ih_l0 4", "bias_hh_l0 4"]],
    ["LSTM of two layers", () => new nn.LSTM(3, 2, { numLayers: 2, bias: false }), ["weight_ih_l0 8x3", "weight_hh_l0 8x2", "weight_ih_l1 8x2", "weight_hh_l1 8x2"]],
    [
      "GRU in both directions",
      () => new nn.GRU(3, 2, { bidirectional: true }),
      ["", "_reverse"].flatMap((s) => [`weight_ih_l0${s} 6x3`, `weight_hh_l0${s} 6x2`, `bias_ih_l0${s} 6`, `bias_hh_l0${s} 6`]),
    ],
    ["LSTMCell", () => new nn.LSTMCell(3, 2), ["weight_ih 8x3", "weight_hh 8x2", "bias_ih 8", "bias_hh 8"]],
    ["MultiheadAttention", () => new nn.MultiheadAttention(8, 2), attention],
    [
      "MultiheadAttention with other widths",
      () => new nn.MultiheadAttention(8, 2, { kdim: 3, vdim: 5, addBiasKv: true }),
      ["q_proj_weight 8x8", "k_proj_weight 8x3", "v_proj_weight 8x5", "in_proj_bias 24", "bias_k 1x1x8", "bias_v 1x1x8", "out_proj.weight 8x8", "out_proj.bias 8"],
    ],
    ["TransformerEncoderLayer", () => new nn.TransformerEncoderLayer(8, 2, options), [...attention.map((name) => `self_attn.${name}`), ...feedForward, ...norms(2)]],
    [
      "TransformerDecoderLayer",
      () => new nn.TransformerDecoderLayer(8, 2, options),
      [...attention.map((name) => `self_attn.${name}`), ...attention.map((name) => `multihead_attn.${name}`), ...feedForward, ...norms(3)],
    ],
    [
      "TransformerEncoder",
      () => new nn.TransformerEncoder(new nn.TransformerEncoderLayer(8, 2, options), 1, { norm: new nn.LayerNorm(8) }),
      [...[...attention.map((name) => `self_attn.${name}`), ...feedForward, ...norms(2)].map((name) => `layers.0.${name}`), "norm.weight 8", "norm.bias 8"],
    ],
  ])("%s", (_, make, expected) => expect(names(make())).toEqual(expected));
});

describe("shapes", () => {
  it.each<[string, (x: Tensor) => Tensor, number[], number[]]>([
    ["Bilinear", (x) => new nn.Bilinear(4, 4, 3).forward(x, x), [2, 4], [2, 3]],
    ["Conv1d", (x) => new nn.Conv1d(4, 6, { kernelSize: 3, stride: 2 }).forward(x), [2, 4, 9], [2, 6, 4]],
    ["Conv2d same", (x) => new nn.Conv2d(4, 6, { kernelSize: 4, padding: "same" }).forward(x), [2, 4, 9, 8], [2, 6, 9, 8]],
    ["Conv2d reflect", (x) => new nn.Conv2d(4, 6, { kernelSize: 3, padding: 1, paddingMode: "reflect" }).forward(x), [2, 4, 9, 8], [2, 6, 9, 8]],
    ["Conv2d circular, same", (x) => new nn.Conv2d(4, 6, { kernelSize: [4, 3], padding: "same", paddingMode: "circular" }).forward(x), [2, 4, 9, 8], [2, 6, 9, 8]],
    ["Conv3d", (x) => new nn.Conv3d(1, 2, { kernelSize: 2 }).forward(x), [1, 1, 3, 4, 5], [1, 2, 2, 3, 4]],
    ["ConvTranspose1d", (x) => new nn.ConvTranspose1d(4, 6, { kernelSize: 2, stride: 2 }).forward(x), [2, 4, 5], [2, 6, 10]],
    ["ConvTranspose2d", (x) => new nn.ConvTranspose2d(4, 6, { kernelSize: 3, stride: 2, padding: 1, outputPadding: 1 }).forward(x), [2, 4, 5, 5], [2, 6, 10, 10]],
    ["MaxPool1d", (x) => new nn.MaxPool1d(2).forward(x), [2, 4, 9], [2, 4, 4]],
    ["MaxPool2d", (x) => new nn.MaxPool2d({ kernelSize: 3, stride: 2, padding: 1 }).forward(x), [2, 4, 9, 9], [2, 4, 5, 5]],
    ["AvgPool1d", (x) => new nn.AvgPool1d([3]).forward(x), [2, 4, 9], [2, 4, 3]],
    ["AvgPool2d", (x) => new nn.AvgPool2d(2).forward(x), [2, 4, 9, 9], [2, 4, 4, 4]],
    ["AdaptiveAvgPool1d", (x) => new nn.AdaptiveAvgPool1d(3).forward(x), [2, 4, 10], [2, 4, 3]],
    ["AdaptiveAvgPool2d", (x) => new nn.AdaptiveAvgPool2d([3, 1]).forward(x), [2, 4, 10, 9], [2, 4, 3, 1]],
    ["Flatten", (x) => new nn.Flatten().forward(x), [2, 4, 3], [2, 12]],
    ["Unflatten", (x) => new nn.Unflatten(-1, [2, -1]).forward(x), [3, 10], [3, 2, 5]],
    ["GLU", (x) => new nn.GLU().forward(x), [3, 10], [3, 5]],
    ["Embedding", (x) => new nn.Embedding(10, 3).forward(F.cast(x, "i32")), [2, 4], [2, 4, 3]],
  ])("%s", async (_, run, input, output) => {
    const y = run(zeros(input));
    expect(y.shape).toEqual(output);
    await y.data();
  });
});

describe("initial values", () => {
  const statistics = async (x: Tensor): Promise<{ mean: number; std: number; low: number; high: number }> => {
    const data = await values(x);
    const mean = data.reduce((sum, v) => sum + v, 0) / data.length;
    return { mean, std: Math.sqrt(data.reduce((sum, v) => sum + (v - mean) ** 2, 0) / data.length), low: Math.min(...data), high: Math.max(...data) };
  };
  const uniform = async (x: Tensor, bound: number): Promise<void> => {
    const { mean, std, low, high } = await statistics(x);
    expect(Math.abs(mean)).toBeLessThan(0.05 * bound);
    expect(std / (bound / Math.sqrt(3))).toBeCloseTo(1, 1);
    expect(low).toBeGreaterThanOrEqual(-bound);
    expect(high).toBeLessThanOrEqual(bound);
    expect(high).toBeGreaterThan(0.98 * bound);
  };
  const blank = (...shape: number[]): nn.Parameter => new nn.Parameter(zeros(shape));

  it("layers draw as PyTorch's do", async () => {
    manualSeed(1);
    await uniform(new nn.Linear(100, 60).weight, 0.1);
    await uniform(new nn.Linear(100, 4000).bias!, 0.1);
    await uniform(new nn.Conv2d(8, 32, { kernelSize: 5, groups: 2 }).weight, 1 / Math.sqrt(4 * 25));
    await uniform(new nn.ConvTranspose2d(8, 16, { kernelSize: 5 }).weight, 1 / Math.sqrt(16 * 25));
    await uniform(new nn.Bilinear(25, 20, 10).weight, 0.2);
    await uniform(new nn.LSTM(20, 25).getTensor("weight_ih_l0"), 0.2);
    const attention = new nn.MultiheadAttention(32, 4);
    await uniform(attention.in_proj_weight!, Math.sqrt(6 / (32 + 96)));
    expect(await values(attention.out_proj.bias!)).toEqual(new Array(32).fill(0));
    const { mean, std } = await statistics(new nn.Embedding(100, 50).weight);
    expect([mean, std - 1].every((v) => Math.abs(v) < 0.05)).toBe(true);
  });

  it("a padding row of an embedding is 0", async () => {
    const layer = new nn.Embedding(4, 2, { paddingIdx: -2 });
    expect((await values(layer.weight)).slice(4, 6)).toEqual([0, 0]);
    expect((await values(layer.weight))[0]).not.toBe(0);
  });

  it("initialisers", async () => {
    manualSeed(2);
    await uniform(nn.init.xavierUniform(blank(60, 90), { gain: 2 }), 2 * Math.sqrt(6 / 150));
    await uniform(nn.init.kaimingUniform(blank(60, 90), { nonlinearity: "relu" }), Math.sqrt(6 / 90));
    await uniform(nn.init.heUniform(blank(60, 90), { mode: "fanOut", a: 1 }), Math.sqrt(3 / 60));
    expect((await statistics(nn.init.xavierNormal(blank(60, 90)))).std).toBeCloseTo(Math.sqrt(2 / 150), 2);
    expect((await statistics(nn.init.heNormal(blank(60, 10, 3, 3)))).std).toBeCloseTo(Math.sqrt(2 / 90), 2);
    const cut = await statistics(nn.init.truncNormal(blank(100, 100), { std: 2, a: -2, b: 4 }));
    expect([cut.low >= -2, cut.low < -1.98, cut.high <= 4, cut.high > 3.9]).toEqual([true, true, true, true]);
    // mean and variance of a normal cut at -1 and 2 standard deviations: 0.2297 and 0.5194 in units of the deviation (Johnson, Kotz and Balakrishnan)
    expect(cut.mean).toBeCloseTo(2 * 0.2297, 1);
    expect(cut.std).toBeCloseTo(2 * Math.sqrt(0.5194), 1);
    expect(await values(nn.init.eye(blank(2, 3)))).toEqual([1, 0, 0, 0, 1, 0]);
    expect(await values(nn.init.constant(blank(2), 0.5))).toEqual([0.5, 0.5]);
  });

  it.each([[3, 5], [5, 3], [4, 2, 2]])("orthogonal %d x %d", async (...shape) => {
    const w = F.flatten(nn.init.orthogonal(blank(...shape), { gain: 2 }), 1);
    const wide = w.shape[0] <= w.shape[1];
    const gram = wide ? F.matmul(w, F.transpose(w)) : F.matmul(F.transpose(w), w);
    const n = gram.shape[0];
    close(await values(gram), Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 4 : 0)));
  });

  it("a parameter stays one, and what was its value is left alone", () => {
    const p = blank(2, 2);
    expect(nn.init.normal(p)).toBe(p);
    expect(p.requiresGrad).toBe(true);
    p.requiresGrad = false;
    nn.init.uniform(p);
    expect(p.requiresGrad).toBe(false);
  });
});

describe("normalisation and dropout", () => {
  it("batch norm follows the batches in training and uses them in evaluation", async () => {
    const layer = new nn.BatchNorm1d(2, { momentum: 0.5 });
    const x = tensor([[1, 10], [3, 30]]);
    close(await values(layer.forward(x)), [-1, -1, 1, 1], 4);
    await realize();
    close(await values(layer.running_mean!), [1, 10]);
    close(await values(layer.running_var!), [1.5, 100.5]); // half of the unbiased variances 2 and 200, half of 1
    expect(await values(layer.num_batches_tracked!)).toEqual([1]);
    close(await values(layer.eval().forward(tensor([[1, 10]]))), [0, 0]);
  });

  it("momentum null is the plain average", async () => {
    const layer = new nn.BatchNorm2d(1, { momentum: null });
    for (const level of [1, 2, 6]) {
      layer.forward(F.add(tensor([[[[-1, 1]]]]), level));
      await realize();
    }
    close(await values(layer.running_mean!), [3]);
    close(await values(layer.running_var!), [2]);
  });

  it("refuses other channels", () => expect(() => new nn.BatchNorm2d(3).forward(zeros([1, 4, 2, 2]))).toThrow(/3 channels/));

  it("layer, RMS, group and instance norm", async () => {
    close(await values(new nn.LayerNorm(2).forward(tensor([[1, 3]]))), [-1, 1], 4);
    close(await values(new nn.LayerNorm(2, { elementwiseAffine: false }).forward(tensor([[1, 3]]))), [-1, 1], 4);
    close(await values(new nn.RMSNorm(2, { elementwiseAffine: false }).forward(tensor([[3, 4]]))), [3 / Math.sqrt(12.5), 4 / Math.sqrt(12.5)]);
    close(await values(new nn.GroupNorm(1, 2).forward(tensor([[[1], [3]]]))), [-1, 1], 4);
    close(await values(new nn.InstanceNorm1d(1).forward(tensor([[[1, 3]]]))), [-1, 1], 4);
  });

  it("dropout drops and scales in training only", async () => {
    manualSeed(5);
    const layer = new nn.Dropout(0.25);
    const data = await values(layer.forward(ones([4000])));
    const kept = data.filter((v) => v !== 0);
    expect(kept.every((v) => Math.abs(v - 4 / 3) < 1e-6)).toBe(true);
    expect(kept.length / 4000).toBeCloseTo(0.75, 1);
    const x = ones([3]);
    expect(layer.eval().forward(x)).toBe(x);
    const channels = await values(new nn.Dropout2d(0.5).forward(ones([8, 8, 2, 2])));
    for (let i = 0; i < channels.length; i += 4) expect(new Set(channels.slice(i, i + 4)).size).toBe(1);
  });
});

describe("recurrent networks", () => {
  it("a cell repeated is the network", async () => {
    for (const [Network, Cell] of [[nn.RNN, nn.RNNCell], [nn.LSTM, nn.LSTMCell], [nn.GRU, nn.GRUCell]] as const) {
      const [network, cell] = [new Network(3, 4), new Cell(3, 4)];
      cell.loadStateDict(new Map([...network.stateDict()].map(([name, value]) => [name.replace("_l0", ""), value])));
      const x = randn([5, 2, 3]);
      const [out] = network.forward(x);
      let state: Tensor | [Tensor, Tensor] | undefined;
      for (let t = 0; t < 5; t++) state = cell.forward(F.select(x, 0, t), state as (Tensor & [Tensor, Tensor]) | undefined);
      const last = Array.isArray(state) ? state[0] : state!;
      close(await values(F.select(out, 0, 4)), await values(last));
    }
  });

  it("takes one sequence without a batch, and states", async () => {
    const layer = new nn.GRU(3, 4, { numLayers: 2, dropout: 0.5 }).eval();
    const x = randn([6, 3]);
    const [out, h] = layer.forward(x);
    expect([out.shape, h.shape]).toEqual([[6, 4], [2, 4]]);
    const [, half] = layer.forward(F.narrow(x, 0, 0, 3));
    const [rest] = layer.forward(F.narrow(x, 0, 3, 3), half);
    close(await values(rest), (await values(out)).slice(12));
    expect(() => layer.forward(x, zeros([1, 4]))).toThrow(/layers \* directions/);
    expect(() => layer.forward(randn([6, 2]))).toThrow(/inputSize = 3/);
  });
});

describe("attention", () => {
  it("gives the same with and without weights", async () => {
    manualSeed(4);
    const layer = new nn.MultiheadAttention(8, 2, { batchFirst: true });
    const [x, memory] = [randn([2, 3, 8]), randn([2, 5, 8])];
    const padding = tensor([[false, false, false, true, true], [false, false, false, false, false]]);
    for (const [key, options] of [[x, {}], [x, { isCausal: true }], [memory, { keyPaddingMask: padding }]] as const) {
      const [a, weights] = layer.forward(x, key, key, options);
      const [b, none] = layer.forward(x, key, key, { ...options, needWeights: false });
      expect(none).toBeNull();
      close(await values(a), await values(b));
      close(await values(F.sum(weights!, { dim: -1 })), new Array(6).fill(1));
    }
    const [, weights] = layer.forward(x, memory, memory, { keyPaddingMask: padding });
    expect((await values(F.select(weights!, 0, 0))).filter((_, i) => i % 5 > 2)).toEqual(new Array(6).fill(0));
  });

  it("masks as PyTorch's: true hides, floats are added, causal is the upper triangle", async () => {
    const layer = new nn.MultiheadAttention(4, 2);
    const x = randn([3, 2, 4]);
    const hidden = tensor([[false, true, true], [false, false, true], [false, false, false]]);
    const added = F.where(hidden, -1e9, 0);
    const [a] = layer.forward(x, x, x, { attnMask: hidden });
    const [b] = layer.forward(x, x, x, { isCausal: true });
    const [c] = layer.forward(x, x, x, { attnMask: added, needWeights: false });
    close(await values(a), await values(b));
    close(await values(a), await values(c));
    expect(() => layer.forward(x, x, x, { attnMask: zeros([2, 3]) })).toThrow(/\[T, S\] = \[3, 3\]/);
  });

  it("batch first or not, batch or not", async () => {
    const layer = new nn.MultiheadAttention(4, 2, { addBiasKv: true, addZeroAttn: true });
    const other = new nn.MultiheadAttention(4, 2, { addBiasKv: true, addZeroAttn: true, batchFirst: true });
    other.loadStateDict(layer.stateDict());
    const x = randn([3, 1, 4]);
    const [a, weights] = layer.forward(x, x, x, { averageAttnWeights: false });
    expect(weights!.shape).toEqual([1, 2, 3, 5]);
    const y = F.transpose(x, 0, 1);
    close(await values(a), await values(other.forward(y, y, y)[0]));
    const single = F.squeeze(x, 1);
    close(await values(a), await values(layer.forward(single, single, single)[0]));
  });

  it("transformer layers: shapes, order of norms, causality", async () => {
    manualSeed(6);
    for (const normFirst of [false, true]) {
      const options = { dimFeedforward: 16, batchFirst: true, normFirst, activation: "gelu" } as const;
      const encoder = new nn.TransformerEncoder(() => new nn.TransformerEncoderLayer(8, 2, options), 2).eval();
      const decoder = new nn.TransformerDecoder(new nn.TransformerDecoderLayer(8, 2, options), 2).eval();
      const x = rand([2, 4, 8]);
      const memory = encoder.forward(x, { isCausal: true });
      expect(memory.shape).toEqual([2, 4, 8]);
      const changed = F.add(x, F.reshape(tensor([0, 0, 0, 1]), [1, 4, 1])); // only the last position
      const after = encoder.forward(changed, { isCausal: true });
      close(await values(F.narrow(after, 1, 0, 3)), await values(F.narrow(memory, 1, 0, 3)));
      const y = decoder.forward(rand([2, 3, 8]), memory, { tgtIsCausal: true });
      expect(y.shape).toEqual([2, 3, 8]);
      if (!normFirst) close(await values(F.mean(y, { dim: -1 })), new Array(6).fill(0)); // a layer norm comes last
    }
  });
});

describe("losses", () => {
  it("are the functions", async () => {
    const [x, y] = [tensor([[1, 2, 0.5]]), tensor([1], { dtype: "i32" })];
    close(await values(new nn.CrossEntropyLoss({ labelSmoothing: 0.1 }).forward(x, y)), await values(F.crossEntropy(x, y, { labelSmoothing: 0.1 })));
    close(await values(new nn.MSELoss().forward(x, zeros([1, 3]))), [(1 + 4 + 0.25) / 3]);
    close(await values(new nn.HuberLoss({ reduction: "sum" }).forward(x, zeros([1, 3]))), [0.5 + 1.5 + 0.125]);
  });
});
