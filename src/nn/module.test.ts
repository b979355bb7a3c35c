import { describe, expect, it } from "vitest";
import { F, GraftError, manualSeed, ones, randn, tensor, zeros, type Tensor } from "graftml";
import * as nn from "./index.js";

class Block extends nn.Module {
  q_proj = new nn.Linear(4, 4);
  v_proj = new nn.Linear(4, 4, { bias: false });
  norm = new nn.LayerNorm(4);
  forward(x: Tensor): Tensor {
    return this.norm.forward(F.add(this.q_proj.forward(x), this.v_proj.forward(x)));
  }
}

class Net extends nn.Module {
  embed = new nn.Linear(3, 4);
  layers = new nn.ModuleList([new Block(), new Block()]);
  scale = new nn.Parameter(ones([4]));
  positions = zeros([4]);
  cache = zeros([2]);
  override nonPersistentBuffers = new Set(["cache"]);
  forward(x: Tensor): Tensor {
    let y = this.embed.forward(x);
    for (const layer of this.layers) y = layer.forward(y);
    return F.mul(y, this.scale);
  }
}

const message = (body: () => unknown): string => {
  try {
    body();
  } catch (error) {
    expect(error).toBeInstanceOf(GraftError);
    return (error as GraftError).message;
  }
  throw new Error("nothing was thrown");
};

describe("Module: parts", () => {
  it("names parameters, buffers and modules as PyTorch does", () => {
    const net = new Net();
    expect([...net.stateDict().keys()]).toEqual([
      "scale", "positions", "embed.weight", "embed.bias",
      ...[0, 1].flatMap((i) => ["q_proj.weight", "q_proj.bias", "v_proj.weight", "norm.weight", "norm.bias"].map((name) => `layers.${i}.${name}`)),
    ]);
    expect([...net.namedBuffers().keys()]).toEqual(["positions", "cache"]);
    expect([...net.children().keys()]).toEqual(["embed", "layers"]);
    expect([...net.namedModules().keys()].slice(0, 5)).toEqual(["", "embed", "layers", "layers.0", "layers.0.q_proj"]);
    expect(net.parameters()).toHaveLength(13);
    expect(net.get("layers.1.norm")).toBeInstanceOf(nn.LayerNorm);
    expect(net.getTensor("layers.1.norm.weight").shape).toEqual([4]);
    expect(message(() => net.get("layers.1.nrom"))).toContain('Did you mean "layers.1.norm"?');
  });

  it("counts a shared parameter once and saves it under each name", () => {
    class Tied extends nn.Module {
      a = new nn.Linear(2, 2, { bias: false });
      b = new nn.Linear(2, 2, { bias: false });
      constructor() {
        super();
        this.b.weight = this.a.weight;
      }
      forward(x: Tensor): Tensor {
        return this.b.forward(this.a.forward(x));
      }
    }
    const tied = new Tied();
    expect(tied.parameters()).toHaveLength(1);
    expect([...tied.stateDict().keys()]).toEqual(["a.weight", "b.weight"]);
    const copy = tied.clone();
    expect(copy.a.weight).toBe(copy.b.weight);
    expect(copy.a.weight).not.toBe(tied.a.weight);
    tied.loadStateDict({ "a.weight": tensor([[1, 2], [3, 4]]) }); // writers of files drop the second name
  });

  it("refuses modules in plain arrays", () => {
    class Plain extends nn.Module {
      layers = [new nn.ReLU()];
      forward(x: Tensor): Tensor {
        return x;
      }
    }
    expect(message(() => new Plain().parameters())).toContain("nn.ModuleList");
  });

  it("containers", () => {
    const net = new nn.Sequential(new nn.Linear(2, 3), new nn.ReLU(), new nn.Linear(3, 1));
    expect([...net.stateDict().keys()]).toEqual(["0.weight", "0.bias", "2.weight", "2.bias"]);
    expect(net.at(-1)).toBe(net[2]);
    expect(message(() => net.at(3))).toContain("It holds 3");
    const named = new nn.Sequential({ hidden: new nn.Linear(2, 3), out: new nn.Linear(3, 1) });
    expect([...named.stateDict().keys()]).toEqual(["hidden.weight", "hidden.bias", "out.weight", "out.bias"]);
    expect(named.forward(zeros([5, 2])).shape).toEqual([5, 1]);
    const heads = new nn.ModuleDict({ a: new nn.Linear(2, 3), forward: new nn.Linear(2, 4) });
    expect([...heads.stateDict().keys()]).toEqual(["a.weight", "a.bias", "forward.weight", "forward.bias"]);
    expect(heads.at("forward").forward(zeros([2])).shape).toEqual([4]);
    const copy = heads.clone();
    copy.set("b", new nn.Linear(1, 1));
    expect(heads.keys()).toEqual(["a", "forward"]);
    expect(message(() => new nn.ModuleList([new nn.ReLU()]).forward())).toContain("no forward");
  });
});

describe("Module: state", () => {
  it("loads what it saved, cast to its own dtype", async () => {
    const [a, b] = [new Net(), new Net().to("f64")];
    b.loadStateDict(a.stateDict());
    const x = randn([2, 3]);
    const [y, z] = [a.forward(x), b.forward(F.cast(x, "f64"))];
    const [left, right] = [await y.data(), await z.data()];
    left.forEach((value, i) => expect(value).toBeCloseTo(right[i], 4));
    expect(b.scale.dtype).toBe("f64");
    expect(b.scale.requiresGrad).toBe(true);
  });

  it("collects all problems, changes nothing", async () => {
    const net = new nn.Linear(2, 2);
    const before = [...(await net.weight.data())];
    const text = message(() => net.loadStateDict({ weigth: ones([2, 2]), bias: ones([3]), extra: ones([1]) }));
    expect(text).toContain("4 problem(s)");
    expect(text).toContain("missing: weight [2, 2]");
    expect(text).toContain('unexpected: weigth [2, 2]. Did you mean "weight"?');
    expect(text).toContain("shape of bias: the model has [2], the state dict [3]");
    expect([...(await net.weight.data())]).toEqual(before);
    expect(net.loadStateDict({ bias: ones([2]), extra: ones([1]) }, { strict: false })).toEqual({ missing: ["weight"], unexpected: ["extra"] });
    expect([...(await net.bias!.data())]).toEqual([1, 1]);
  });

  it("copies what it loads", async () => {
    const source = new Float32Array([1, 2]);
    const net = new nn.PReLU({ numParameters: 2 });
    net.loadStateDict({ weight: { dtype: "f32", shape: [2], data: source } });
    source[0] = 7;
    expect([...(await net.weight.data())]).toEqual([1, 2]);
    net.loadStateDict({ weight: { dtype: "bf16", shape: [2], data: Uint16Array.of(0x3f80, 0xc040) } });
    expect([...(await net.weight.data())]).toEqual([1, -3]);
  });

  it("clones a model whose values are not computed yet", async () => {
    manualSeed(3);
    const net = new nn.Linear(3, 2);
    const copy = net.clone();
    net.bias!.requiresGrad = false;
    expect(copy.bias!.requiresGrad).toBe(true);
    expect([...(await copy.weight.data())]).toEqual([...(await net.weight.data())]);
    expect(copy.weight).not.toBe(net.weight);
  });

  it("initial values depend on the seed alone", async () => {
    const values = async (): Promise<number[]> => {
      manualSeed(11);
      return [...(await new Net().layers[1].q_proj.weight.data())];
    };
    expect(await values()).toEqual(await values());
  });
});

describe("Module: changing", () => {
  it("train and eval, apply, zeroGrad", () => {
    const net = new Net().eval();
    expect(net.modules().every((module) => !module.training)).toBe(true);
    expect(net.train().layers[0].norm.training).toBe(true);
    const order: string[] = [];
    new nn.Sequential(new nn.ReLU(), new nn.Tanh()).apply((module) => order.push(module.constructor.name));
    expect(order.at(-1)).toBe("Sequential");
    net.scale.grad = ones([4]);
    net.zeroGrad();
    expect(net.scale.grad).toBeNull();
  });

  it.each([
    ["a glob", "layers.*.q_proj", ["layers.0.q_proj", "layers.1.q_proj"]],
    ["a choice", "layers.1.{q,v}_proj", ["layers.1.q_proj", "layers.1.v_proj"]],
    ["a deep glob", "**.norm", ["layers.0.norm", "layers.1.norm"]],
    ["a RegExp", /embed|1\.q/, ["embed", "layers.1.q_proj"]],
    ["a class", nn.Linear, ["embed", "layers.0.q_proj", "layers.0.v_proj", "layers.1.q_proj", "layers.1.v_proj"]],
    ["a predicate", (path: string, module: nn.Module) => module instanceof nn.Linear && module.bias === null && path.includes("0"), ["layers.0.v_proj"]],
  ] satisfies [string, nn.Selector, string[]][])("replaces by %s", (_, selector, paths) => {
    const net = new Net().eval();
    const found = net.replace(selector, () => new nn.Identity());
    expect(found).toEqual(paths);
    for (const path of paths) expect(net.get(path)).toBeInstanceOf(nn.Identity);
    expect(net.get(paths[0]).training).toBe(false);
  });

  it("a replacement may hold the original; shared modules are replaced everywhere", () => {
    class Wrap extends nn.Module {
      constructor(public inner: nn.Linear) {
        super();
      }
      forward(x: Tensor): Tensor {
        return this.inner.forward(x);
      }
    }
    const net = new Net();
    net.layers[1].q_proj = net.layers[0].q_proj;
    net.replace(nn.Linear, (linear) => new Wrap(linear));
    expect(net.layers[0].q_proj).toBeInstanceOf(Wrap);
    expect(net.layers[1].q_proj).toBe(net.layers[0].q_proj);
    expect(net.forward(zeros([2, 3])).shape).toEqual([2, 4]);
    expect(message(() => net.replace("layers.*.k_proj", () => new nn.ReLU()))).toContain("nothing matches");
  });

  it("freezes by module, by parameter and as a whole", () => {
    const net = new Net();
    expect(net.freeze("layers.0.**")).toHaveLength(5);
    expect(net.layers[0].norm.weight!.requiresGrad).toBe(false);
    expect(net.freeze("**.bias")).toEqual(["embed.bias", "layers.0.q_proj.bias", "layers.0.norm.bias", "layers.1.q_proj.bias", "layers.1.norm.bias"]);
    expect(net.unfreeze(nn.LayerNorm)).toHaveLength(4);
    expect(net.freeze()).toHaveLength(13);
    expect(net.forward(zeros([1, 3])).requiresGrad).toBe(false);
    net.unfreeze("scale");
    expect(net.forward(zeros([1, 3])).requiresGrad).toBe(true);
    expect(message(() => net.freeze("layrs.*"))).toContain("nothing matches");
  });
});

describe("Module: hooks and errors", () => {
  it("hooks run however forward is called, and can be removed", async () => {
    const net = new Net();
    const seen: string[] = [];
    const off = net.layers[0].norm.registerForwardHook((module, inputs, output) => {
      seen.push(`${module.constructor.name} ${(inputs[0] as Tensor).shape.join()} ${(output as Tensor).shape.join()}`);
    });
    net.forward(zeros([2, 3]));
    net.call(zeros([2, 3]));
    expect(seen).toEqual(["LayerNorm 2,4 2,4", "LayerNorm 2,4 2,4"]);
    off();
    net.forward(zeros([2, 3]));
    expect(seen).toHaveLength(2);

    const layer = new nn.Identity();
    layer.registerForwardPreHook((_, [x]) => [F.add(x as Tensor, 1)]);
    layer.registerForwardHook((_, __, y) => F.mul(y as Tensor, 10));
    expect([...(await layer.forward(tensor([1, 2])).data())]).toEqual([20, 30]);
  });

  it("gradients of activations", async () => {
    const net = new nn.Sequential(new nn.Linear(2, 2), new nn.Linear(2, 1));
    let seen: Tensor | undefined;
    net[0].registerBackwardHook((gradient) => {
      seen = gradient;
    });
    F.sum(net.forward(ones([3, 2]))).backward();
    const weight = await (net[1] as nn.Linear).weight.data();
    expect([...(await seen!.data())]).toEqual([...weight, ...weight, ...weight]);
  });

  it("a subclass may call its parent's forward", () => {
    class Twice extends nn.Linear {
      override forward(x: Tensor): Tensor {
        return F.mul(super.forward(x), 2);
      }
    }
    const layer = new Twice(2, 2);
    let calls = 0;
    layer.registerForwardHook(() => void calls++);
    layer.forward(zeros([2]));
    expect(calls).toBe(1);
  });

  it("errors carry the path", () => {
    const net = new Net();
    net.layers[1].v_proj = new nn.Linear(5, 4);
    const text = message(() => net.forward(zeros([2, 3])));
    expect(text).toMatch(/^layers\.1\.v_proj: linear: x is \[2, 4\]/);
    expect(message(() => new nn.Linear(2, 2).forward(zeros([3])))).toMatch(/^linear: /);
  });

  it("unknown options are errors", () => {
    expect(message(() => new nn.Conv2d(1, 2, { kernelSize: 3, stirde: 2 } as nn.ConvOptions))).toContain('Did you mean "stride"?');
  });
});

describe("Module: summary", () => {
  it("lists layers, shapes and parameters without computing", () => {
    const net = new nn.Sequential(new nn.Conv2d(1, 4, { kernelSize: 3, padding: 1 }), new nn.BatchNorm2d(4), new nn.MaxPool2d(2), new nn.Flatten(), new nn.Linear(64, 10));
    net.freeze("0");
    const summary = net.summary(zeros([2, 1, 8, 8]));
    expect(summary.rows.map((row) => [row.path, row.type, row.output, row.parameters])).toEqual([
      ["", "Sequential", [2, 10], 0],
      ["0", "Conv2d", [2, 4, 8, 8], 40],
      ["1", "BatchNorm2d", [2, 4, 8, 8], 8],
      ["2", "MaxPool2d", [2, 4, 4, 4], 0],
      ["3", "Flatten", [2, 64], 0],
      ["4", "Linear", [2, 10], 650],
    ]);
    expect([summary.parameters, summary.trainable, summary.bytes]).toEqual([698, 658, 698 * 4 + 2 * 16 + 4]);
    expect(String(summary).split("\n").at(-1)).toBe("698 parameters, 658 trainable, 2,828 bytes");
    expect(net.training).toBe(true);
    expect(net[0].moduleHooks!.after).toHaveLength(0);
  });
});
