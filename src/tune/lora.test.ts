import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { F, hasNative, manualSeed, nn, noGrad, optim, randn, realize, tensor, tune, useBackend, type Tensor } from "graftml";

const backends = hasNative() ? (["reference", "cpu"] as const) : (["reference"] as const);
beforeEach(() => manualSeed(1));
afterEach(() => useBackend(undefined));

class Block extends nn.Module {
  q_proj = new nn.Linear(6, 6);
  v_proj = new nn.Linear(6, 4, { bias: false });
  c_fc = new nn.TransposedLinear(4, 6);
  forward(x: Tensor): Tensor {
    return F.add(x, this.c_fc.forward(F.gelu(F.mul(this.v_proj.forward(x), F.narrow(this.q_proj.forward(x), 1, 0, 4)))));
  }
}
class Net extends nn.Module {
  embed = new nn.Embedding(7, 6);
  layers = new nn.ModuleList([new Block(), new Block()]);
  lm_head = new nn.Linear(6, 7, { bias: false });
  config: { tie_word_embeddings: boolean } | undefined = undefined;
  forward(ids: Tensor): Tensor {
    let x = this.embed.forward(ids);
    for (const layer of this.layers) x = layer.forward(x);
    return this.lm_head.forward(x);
  }
}
const ids = tensor([0, 3, 6, 2, 1], { dtype: "i32" });
const logits = (model: Net): Promise<number[]> => noGrad(() => model.forward(ids).data()).then((values) => [...values]);
const near = (a: readonly number[], b: readonly number[], digits = 5): void => a.forEach((value, i) => expect(value).toBeCloseTo(b[i], digits));

/** Fills the adapter in use with numbers, as if it had learnt something. */
async function disturb(model: nn.Module): Promise<void> {
  for (const parameter of model.parameters().filter(({ requiresGrad }) => requiresGrad)) nn.init.normal(parameter, 0.1, 0.3);
  await realize(...model.parameters());
}

async function train(model: Net, steps = 3): Promise<number[]> {
  const optimizer = new optim.AdamW(model.parameters(), { lr: 0.02 });
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) {
    optimizer.zeroGrad();
    const loss = F.crossEntropy(model.forward(ids), tensor([1, 2, 3, 4, 5], { dtype: "i32" }));
    loss.backward();
    await optimizer.step();
    losses.push(loss.item());
  }
  return losses;
}

describe.each(backends)("lora on %s", (backend) => {
  beforeEach(() => useBackend(backend));

  it("replaces the targets, freezes the rest, and changes nothing at first", async () => {
    const model = new Net();
    const before = await logits(model);
    const summary = tune.lora(model, { r: 2, alpha: 4, targetModules: ["q_proj", "c_fc"] });
    expect(summary.modules).toEqual(["layers.0.q_proj", "layers.0.c_fc", "layers.1.q_proj", "layers.1.c_fc"]);
    expect(summary.trainable).toBe(2 * (2 * (6 + 6) + 2 * (4 + 6)));
    expect(String(summary)).toMatch(/^trainable params: 88 \|\| all params: \d+ \|\| trainable%: \d+\.\d{4}$/);
    expect(await logits(model)).toEqual(before);
    const names = [...model.namedParameters()].filter(([, { requiresGrad }]) => requiresGrad).map(([name]) => name);
    expect(names.slice(0, 2)).toEqual(["layers.0.q_proj.lora_A.default.weight", "layers.0.q_proj.lora_B.default.weight"]);
    expect(names.every((name) => name.includes("lora_"))).toBe(true);
  });

  it("learns only the adapter; the base keeps its bits", async () => {
    const model = new Net();
    const base = model.layers.at(0).q_proj;
    const weight = await base.weight.data();
    const losses = (tune.lora(model, { r: 2 }), await train(model, 5));
    expect(losses[4]).toBeLessThan(losses[0]);
    expect(await base.weight.data()).toEqual(weight);
    const trained = await logits(model);
    tune.setAdapter(model, null);
    expect((await logits(model)).every((value, i) => value !== trained[i])).toBe(true);
  });

  it("y = x W^T + b + s x A^T B^T, with s = alpha / r or alpha / sqrt(r)", async () => {
    for (const rsLora of [false, true]) {
      const model = new nn.Sequential(new nn.Linear(3, 2));
      const x = randn([4, 3]);
      const y = await model.forward(x).data();
      tune.lora(model, { r: 4, alpha: 6, rsLora });
      await disturb(model);
      const layer = model.at(0) as unknown as tune.LoraLayer;
      const [a, b] = [layer.lora_A.at("default").weight, layer.lora_B.at("default").weight];
      const change = await F.mul(F.matmul(x, F.matmul(F.transpose(a), F.transpose(b))), rsLora ? 3 : 1.5).data();
      near([...(await model.forward(x).data())], [...y].map((value, i) => value + change[i]));
    }
  });

  it.each([new nn.Linear(5, 3), new nn.TransposedLinear(5, 3)])("DoRA is the formula, computed by hand: %o", async (layer) => {
    const model = new nn.Sequential(layer);
    const x = randn([4, 5], { requiresGrad: true });
    const start = [...(await model.forward(x).data())];
    tune.lora(model, { r: 2, alpha: 3, dora: true });
    near([...(await model.forward(x).data())], start); // m = |W| at first
    await disturb(model);
    const lora = model.at(0) as unknown as tune.LoraLayer;
    const [A, B, m] = await Promise.all([lora.lora_A, lora.lora_B, lora.lora_magnitude_vector].map((part) => part.at("default").parameters()[0].toArray())) as [number[][], number[][], number[]];
    const stored = (await layer.weight.toArray()) as number[][];
    const bias = (await layer.bias!.toArray()) as number[];
    const V = bias.map((_, o) => Array.from({ length: 5 }, (_, i) => (layer instanceof nn.Linear ? stored[o][i] : stored[i][o]) + 1.5 * (B[o][0] * A[0][i] + B[o][1] * A[1][i])));
    const W = V.map((row, o) => row.map((value) => (m[o] * value) / Math.hypot(...row)));
    const inputs = (await x.toArray()) as number[][];
    const y = model.forward(x);
    near([...(await y.data())], inputs.flatMap((row) => W.map((w, o) => row.reduce((sum, value, i) => sum + value * w[i], bias[o]))));

    // with |V| as a constant: dm = sum dy x V^T / |V|, dV = dy^T x m / |V|, dB = s dV A^T
    F.sum(y).backward();
    const columns = inputs[0].map((_, i) => inputs.reduce((sum, row) => sum + row[i], 0));
    const norm = V.map((row) => Math.hypot(...row));
    near([...(await lora.lora_magnitude_vector.at("default").parameters()[0].grad!.data())], V.map((row, o) => row.reduce((sum, value, i) => sum + value * columns[i], 0) / norm[o]));
    near([...(await lora.lora_B.at("default").weight.grad!.data())], V.flatMap((_, o) => A.map((a) => 1.5 * (m[o] / norm[o]) * a.reduce((sum, value, i) => sum + value * columns[i], 0))));
    near([...(await x.grad!.data())].slice(0, 5), columns.map((_, i) => W.reduce((sum, row) => sum + row[i], 0)));
  });

  it("dropout acts in training only; with DoRA it takes away from the change, not from the base", async () => {
    for (const dora of [false, true]) {
      const model = new nn.Sequential(new nn.Linear(3, 2));
      const x = randn([4, 3]);
      const base = [...(await model.forward(x).data())];
      tune.lora(model, { r: 2, dropout: 1, dora });
      await disturb(model);
      const changed = [...(await model.eval().forward(x).data())];
      expect(changed.some((value, i) => Math.abs(value - base[i]) > 1e-3)).toBe(true);
      near([...(await model.train().forward(x).data())], base);
    }
  });

  it("several adapters: hot swap, merge, unmerge to the bit, unload", async () => {
    const model = new Net();
    const base = await logits(model);
    tune.lora(model, { adapterName: "a", r: 2, targetModules: ["q_proj"] });
    await disturb(model);
    const a = await logits(model);
    tune.addAdapter(model, "b", { r: 3, targetModules: ["v_proj", "c_fc"], dora: true });
    expect(await logits(model)).toEqual(a);
    tune.setAdapter(model, "b");
    await disturb(model);
    const b = await logits(model);
    expect(tune.adapterNames(model)).toEqual(["a", "b"]);
    tune.setAdapter(model, "a");
    expect(await logits(model)).toEqual(a);
    expect(model.parameters().filter(({ requiresGrad }) => requiresGrad).length).toBe(4);
    tune.setAdapter(model, null);
    expect(await logits(model)).toEqual(base);
    tune.setAdapter(model, "b");
    await tune.merge(model);
    near(await logits(model), b);
    expect(() => tune.setAdapter(model, "a")).toThrow(/Call unmerge first/);
    tune.unmerge(model);
    expect(await logits(model)).toEqual(b);
    tune.deleteAdapter(model, "a");
    expect(tune.adapterNames(model)).toEqual(["b"]);
    tune.unload(model);
    expect(await logits(model)).toEqual(base);
    expect([...model.stateDict().keys()]).toEqual([...new Net().stateDict().keys()]);
  });

  it("a clone has adapters of its own", async () => {
    const model = new Net();
    tune.lora(model, { r: 2 });
    await disturb(model);
    const copy = model.clone();
    await disturb(copy);
    expect(await logits(copy)).not.toEqual(await logits(model));
    await tune.mergeAndUnload(copy);
    expect(tune.adapterNames(model)).toEqual(["default"]);
  });
});

it("all-linear leaves heads alone; patterns, predicates and expressions choose", () => {
  const of = (targetModules: tune.TargetModules): readonly string[] => tune.lora(new Net(), { targetModules }).modules;
  expect(of("all-linear")).toEqual(["layers.0.q_proj", "layers.0.v_proj", "layers.0.c_fc", "layers.1.q_proj", "layers.1.v_proj", "layers.1.c_fc"]);
  expect(of(/1\.[qv]_proj/)).toEqual(["layers.1.q_proj", "layers.1.v_proj"]);
  expect(of("layers.*.c_fc")).toEqual(["layers.0.c_fc", "layers.1.c_fc"]);
  expect(of(nn.TransposedLinear)).toEqual(["layers.0.c_fc", "layers.1.c_fc"]);
  const model = new Net();
  tune.lora(model, { r: 4, rankPattern: { "1.q_proj": 2 }, alphaPattern: { v_proj: 32 } });
  const settings = (path: string): tune.LayerAdapter => (model.get(path) as tune.LoraLayer).adapters.get("default")!;
  expect([settings("layers.0.q_proj").r, settings("layers.1.q_proj").r, settings("layers.1.v_proj").alpha, settings("layers.1.q_proj").alpha]).toEqual([4, 2, 32, 8]);
});

it("modules to save learn as a whole, and only in their adapter", async () => {
  const model = new Net();
  const base = await logits(model);
  const { modules } = tune.lora(model, { r: 2, targetModules: ["q_proj"], modulesToSave: ["lm_head"] });
  expect(modules).toContain("lm_head");
  const losses = await train(model, 4);
  expect(losses[3]).toBeLessThan(losses[0]);
  const tuned = await logits(model);
  tune.setAdapter(model, null);
  expect(await logits(model)).toEqual(base);
  tune.setAdapter(model, "default");
  await tune.mergeAndUnload(model);
  near(await logits(model), tuned);
  expect([...model.stateDict().keys()]).toEqual([...new Net().stateDict().keys()]);
});

it("a tied head that is merged leaves the table of embeddings as it is", async () => {
  const model = new Net();
  model.config = { tie_word_embeddings: true };
  model.lm_head.weight = model.embed.weight;
  tune.lora(model, { r: 2, targetModules: ["lm_head"] });
  await disturb(model);
  const [tuned, table] = [await logits(model), await model.embed.weight.data()];
  await tune.mergeAndUnload(model);
  near(await logits(model), tuned);
  expect(await model.embed.weight.data()).toEqual(table);
  expect(model.config).toEqual({ tie_word_embeddings: false });
});

it("works over weights kept in bf16", async () => {
  const model = new Net().to("bf16");
  tune.lora(model, { r: 2 });
  expect(model.parameters().filter(({ requiresGrad }) => requiresGrad).every(({ dtype }) => dtype === "f32")).toBe(true);
  const losses = await train(model, 4);
  expect(losses[3]).toBeLessThan(losses[0]);
  await tune.mergeAndUnload(model);
  expect(model.layers.at(0).q_proj.weight.dtype).toBe("bf16");
});

describe("mistakes", () => {
  it.each([
    [{ targetModules: ["q_prog"] }, /no linear layer is called "q_prog"\. Did you mean "q_proj"\?/],
    [{ targetModules: ["embed"] }, /embed is a Embedding/],
    [{ targetModules: [] }, /an empty list/],
    [{ targetModules: /xyz/ }, /fits no linear layer/],
    [{ r: 0 }, /r is 0/],
    [{ alpha: 0 }, /alpha is 0/],
    [{ dropout: 2 }, /dropout is 2/],
    [{ initLora: "pissa" as "kaiming" }, /initLora is "pissa"/],
    [{ modulesToSave: ["lm_hed"] }, /Did you mean "lm_head"/],
    [{ rank: 8 } as object, /unknown option "rank"/],
    [{ adapterName: "a.b" }, /has a dot/],
  ])("%o", (options, message) => {
    const model = new Net();
    expect(() => tune.lora(model, options)).toThrow(message);
    expect(tune.adapterNames(model)).toEqual([]);
    expect(model.parameters().every(({ requiresGrad }) => requiresGrad)).toBe(true);
  });

  it("names of adapters", async () => {
    const model = new Net();
    await expect(tune.merge(model)).rejects.toThrow(/no adapter is in use/);
    tune.lora(model);
    expect(() => tune.lora(model)).toThrow(/has an adapter "default" already/);
    expect(() => tune.setAdapter(model, "defalt")).toThrow(/Did you mean "default"/);
    expect(() => tune.lora(new nn.Linear(2, 2))).toThrow(/is itself one layer/);
  });
});
