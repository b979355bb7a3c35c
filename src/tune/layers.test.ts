import { describe, expect, it } from "vitest";
import { F, nn, optim, randn, realize, tune, type Tensor } from "graftml";

class Net extends nn.Module {
  embed = new nn.Embedding(7, 4);
  layers = new nn.ModuleList([1, 2, 3].map(() => new nn.Sequential(new nn.Linear(4, 4), new nn.ReLU())));
  norm = new nn.LayerNorm(4);
  head = new nn.Linear(4, 2);
  forward(x: Tensor): Tensor {
    let y = this.embed.forward(x);
    for (const layer of this.layers) y = layer.forward(y);
    return this.head.forward(this.norm.forward(y));
  }
}

const learning = (model: nn.Module): string[] => [...model.namedParameters()].filter(([, { requiresGrad }]) => requiresGrad).map(([name]) => name);

describe("layers of a model", () => {
  it("are its blocks, and what is below and above", () => {
    const layers = tune.layersOf(new Net());
    expect(layers.map(({ name }) => name)).toEqual(["below", "layers.0", "layers.1", "layers.2", "above"]);
    expect([...layers[4].parameters.keys()]).toEqual(["norm.weight", "norm.bias", "head.weight", "head.bias"]);
    expect(tune.layersOf(new nn.Sequential(new nn.Linear(2, 3), new nn.ReLU(), new nn.Linear(3, 2))).map(({ name }) => name)).toEqual(["0", "2"]);
    expect(tune.layersOf(new nn.Linear(2, 3)).map(({ name }) => name)).toEqual(["below"]);
  });

  it("a tied head belongs to the embeddings", () => {
    const model = new Net();
    model.head = new nn.Linear(4, 7, { bias: false });
    model.head.weight = model.embed.weight;
    expect([...tune.layersOf(model)[4].parameters.keys()]).toEqual(["norm.weight", "norm.bias"]);
  });

  it("learn at rates that fall towards the input", () => {
    const model = new Net();
    const groups = tune.layerwiseGroups(model, { lr: 0.1, decay: 0.5 });
    expect(groups.map(({ lr }) => lr)).toEqual([0.00625, 0.0125, 0.025, 0.05, 0.1]);
    expect(new optim.AdamW(groups).paramGroups.map(({ lr }) => lr)).toEqual(groups.map(({ lr }) => lr));
    expect(groups.flatMap(({ params }) => params.map(([, parameter]) => parameter))).toEqual(model.parameters());
    const decayed = tune.layerwiseGroups(model, { lr: 0.1, decay: 0.5, weightDecay: 0.2 });
    expect(decayed.filter(({ weightDecay }) => weightDecay === 0.2).flatMap(({ params }) => params.map(([name]) => name))).toEqual(["embed.weight", "layers.0.0.weight", "layers.1.0.weight", "layers.2.0.weight", "head.weight"]);
    expect(() => tune.layerwiseGroups(model, { lr: 0.1, decay: 2 })).toThrow(/decay is 2/);
  });
});

describe("what learns", () => {
  it("the head only, or everything", () => {
    const model = new Net();
    expect(tune.head(model, "head").trainable).toBe(10);
    expect(learning(model)).toEqual(["head.weight", "head.bias"]);
    expect(() => tune.head(model, "hed")).toThrow(/Did you mean "head"/);
    expect(learning(model)).toEqual(["head.weight", "head.bias"]);
    expect(tune.full(model)).toMatchObject({ percent: 100 });
  });

  it("one more layer at each epoch", () => {
    const model = new Net();
    model.freeze("embed");
    const plan = tune.gradualUnfreezing(model, { every: 2 });
    expect(plan.stages.map((stage) => stage.map(({ name }) => name))).toEqual([["above"], ["layers.2"], ["layers.1"], ["layers.0"]]);
    expect(learning(model)).toEqual(["norm.weight", "norm.bias", "head.weight", "head.bias"]);
    expect(plan.update(2)).toEqual([]);
    expect(plan.update(3)).toEqual(["layers.2"]);
    plan.onEpochStart({ epoch: 99 });
    expect(learning(model)[0]).toBe("layers.0.0.weight");
    expect(tune.gradualUnfreezing(new Net(), { layersPerStage: 2 }).stages.length).toBe(3);
    expect(() => tune.gradualUnfreezing(new Net().requiresGrad(false))).toThrow(/Call tune.full first/);
  });
});

it("memory counts what optimisers keep", async () => {
  const made: readonly [name: string, optimizer: (params: nn.Parameter[]) => optim.Optimizer<optim.BaseOptions>][] = [
    ["sgd", (p) => new optim.SGD(p, { lr: 0.1 }) as unknown as optim.Optimizer<optim.BaseOptions>],
    ["sgd-momentum", (p) => new optim.SGD(p, { lr: 0.1, momentum: 0.9 }) as unknown as optim.Optimizer<optim.BaseOptions>],
    ["adamw", (p) => new optim.AdamW(p) as unknown as optim.Optimizer<optim.BaseOptions>],
    ["rmsprop", (p) => new optim.RMSprop(p) as unknown as optim.Optimizer<optim.BaseOptions>],
    ["adagrad", (p) => new optim.Adagrad(p) as unknown as optim.Optimizer<optim.BaseOptions>],
    ["adadelta", (p) => new optim.Adadelta(p) as unknown as optim.Optimizer<optim.BaseOptions>],
    ["lion", (p) => new optim.Lion(p) as unknown as optim.Optimizer<optim.BaseOptions>],
    ["muon", (p) => new optim.Muon(p) as unknown as optim.Optimizer<optim.BaseOptions>],
    ["adafactor", (p) => new optim.Adafactor(p) as unknown as optim.Optimizer<optim.BaseOptions>],
  ];
  for (const [name, make] of made) {
    const model = new nn.Sequential(new nn.Linear(6, 8), new nn.Linear(8, 3));
    model.freeze("0");
    const optimizer = make(model.parameters());
    F.sum(model.forward(randn([2, 6]))).backward();
    await optimizer.step();
    const state = optimizer.stateDict().tensors;
    await realize(...state.values());
    const bytes = [...state.values()].reduce((sum, { size }) => sum + 4 * size, 0);
    expect([name, tune.memory(model, name).optimizer]).toEqual([name, bytes]);
    expect(tune.memory(model, name).gradients).toBe(4 * 27);
  }
  expect(() => tune.memory(new Net(), "adamv")).toThrow(/Did you mean "adam/);
});
