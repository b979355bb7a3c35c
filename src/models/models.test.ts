import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { zeros } from "../ops/index.js";
import "../runtime/index.js";
import * as nn from "../nn/index.js";
import { manualSeed, rand } from "../ops/index.js";
import { classNames, configOf, create, graftVersion, load, MLP, register, save, SimpleCNN } from "./index.js";

let dir: string;
beforeEach(async () => void (dir = await mkdtemp(join(tmpdir(), "graft-models-"))));
afterEach(() => rm(dir, { recursive: true, force: true }));

const failure = (promise: Promise<unknown>): Promise<Error & { code?: string }> => promise.then(() => expect.unreachable(), (error: unknown) => error as Error);

describe("SimpleCNN", () => {
  it("is the network of the design", () => {
    const model = new SimpleCNN();
    const shapes = Object.fromEntries([...model.stateDict()].map(([name, { shape }]) => [name, shape]));
    expect(shapes).toEqual({
      "conv1.weight": [32, 1, 3, 3], "conv1.bias": [32], "fc1.weight": [128, 2048], "fc1.bias": [128], "fc2.weight": [10, 128], "fc2.bias": [10],
    });
    expect(model.forward(zeros([2, 1, 16, 16])).shape).toEqual([2, 10]);
    const other = new SimpleCNN({ inputShape: [3, 9, 12], classes: 4, channels: 5, hidden: 6 });
    expect(other.forward(zeros([1, 3, 9, 12])).shape).toEqual([1, 4]);
  });

  it("says what is wrong with its sizes and inputs", () => {
    expect(() => new SimpleCNN({ chanels: 3 } as object)).toThrow(/unknown option "chanels". Did you mean "channels"/);
    expect(() => new SimpleCNN({ inputShape: [1, 1, 16] })).toThrow(/inputShape is \[1, 1, 16\]/);
    expect(() => new SimpleCNN({ hidden: 0 })).toThrow(/hidden is 0/);
    expect(() => new SimpleCNN().forward(zeros([2, 3, 16, 16]))).toThrow(/^conv1: /);
  });
});

describe("MLP", () => {
  it("has a layer more than hidden widths", () => {
    const model = new MLP({ inputShape: [2, 3], classes: 2, hidden: [5, 4], activation: "tanh", dropout: 0.5 });
    expect([...model.stateDict().keys()]).toEqual(["layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias", "layers.2.weight", "layers.2.bias"]);
    expect(model.forward(zeros([7, 2, 3])).shape).toEqual([7, 2]);
    expect(() => new MLP({ activation: "rleu" as "relu" })).toThrow(/Did you mean "relu"/);
  });
});

describe("a saved model", () => {
  it("comes back with the same weights, in evaluation mode", async () => {
    manualSeed(3);
    const model = new SimpleCNN({ classes: 3, channels: 4, hidden: 8 });
    const config = await save(dir, model, { classes: ["a", "b", "c"], preprocess: { scale: 2 } }, { metadata: { note: "test" } });
    expect((await readdir(dir)).sort()).toEqual(["config.json", "model.safetensors"]);
    expect(config).toEqual({ architecture: "SimpleCNN", input_shape: [1, 16, 16], classes: ["a", "b", "c"], channels: 4, hidden: 8, preprocess: { scale: 2 }, graft_version: graftVersion() });
    expect(JSON.parse(await readFile(join(dir, "config.json"), "utf8"))).toEqual(config);
    const x = rand([2, 1, 16, 16]);
    for (const path of [dir, join(dir, "model.safetensors")]) {
      const again = await load<SimpleCNN>(path);
      expect(again.config).toEqual(config);
      expect(again.training).toBe(false);
      expect(await again.forward(x).toArray()).toEqual(await model.forward(x).toArray());
    }
    expect(classNames(config)).toEqual(["a", "b", "c"]);
    expect(classNames({ architecture: "x", classes: 2 })).toEqual(["0", "1"]);
  });

  it("that does not fit is refused with all problems at once", async () => {
    await save(dir, new SimpleCNN({ classes: 3, channels: 4, hidden: 8 }));
    const write = (config: object) => writeFile(join(dir, "config.json"), JSON.stringify(config));
    await write({ architecture: "SimpleCNN", classes: 3, chanels: 4, hidden: 8 });
    expect(await failure(load(dir))).toMatchObject({ code: "config", message: expect.stringMatching(/unknown key "chanels". Did you mean "channels"/) as unknown });
    await write({ architecture: "SimpleCNN", classes: 5, channels: 4, hidden: 8 });
    const wrong = await failure(load(dir));
    expect(wrong).toMatchObject({ code: "state" });
    expect(wrong.message).toMatch(/shape of fc2.weight: the model has \[5, 8\], the state dict \[3, 8\][^]*shape of fc2.bias/);
    await write({ architecture: "SimpelCNN" });
    expect((await failure(load(dir))).message).toMatch(/there is no architecture "SimpelCNN". Did you mean "SimpleCNN"\? Known: .*models.register/);
    await writeFile(join(dir, "model.safetensors"), "xx");
    const two = await failure(load(dir));
    expect(two.message).toMatch(/2 problems:[^]*SimpelCNN[^]*safetensors/);
    await write({ architecture: "MLP", classes: "ten" });
    expect((await failure(load(dir))).message).toMatch(/classes is "ten"/);
    expect(await failure(load(join(dir, "nothing")))).toMatchObject({ code: "file" });
  });
});

describe("a class of the user's", () => {
  class Scale extends nn.Module {
    gain: nn.Parameter;
    constructor(readonly width: number) {
      super();
      this.gain = new nn.Parameter(rand([width]));
    }
    forward(x: nn.Parameter) {
      return x.mul(this.gain);
    }
  }

  it("is registered by name", async () => {
    register("Scale", { keys: ["width"], create: ({ width }) => new Scale(width as number) });
    expect(() => configOf(new Scale(2))).toThrow(/Scale does not say how it is built/);
    await expect(save(dir, new Scale(2))).rejects.toThrow(/readonly config/);
    await save(dir, new Scale(2), { architecture: "Scale", width: 2 });
    expect((await load<Scale>(dir)).width).toBe(2);
    expect(() => create({ architecture: "Scale", widht: 2 })).toThrow(/Did you mean "width"/);
    expect(() => register("Scale", {} as never)).toThrow(/no create function/);
  });

  it("is loaded from its file with consent only", async () => {
    const file = join(dir, "net.mjs");
    const library = new URL("../nn/index.ts", import.meta.url).href;
    await writeFile(file, `import { Linear } from ${JSON.stringify(library)};\nexport class Net extends Linear { constructor({ wide } = {}) { super(2, wide ?? 3); } }\nexport const make = ({ wide }) => new Net({ wide });\nexport const wrong = () => 1;\n`);
    const model = join(dir, "model");
    const config = { architecture: "Net", module: "../net.mjs", wide: 4 };
    await save(model, new nn.Linear(2, 4), config);
    expect(await failure(load(model))).toMatchObject({ code: "config", message: expect.stringMatching(/made by code in .*net\.mjs, which was not run.*--allow-code/) as unknown });
    const asked: string[] = [];
    const allowCode = (path: string): boolean => (asked.push(path), true);
    expect((await load(model, { allowCode })).stateDict().get("weight")!.shape).toEqual([4, 2]);
    expect(asked).toEqual([file]);
    await save(model, new nn.Linear(2, 4), { ...config, export: "make" });
    expect(await load(model, { allowCode: true })).toBeInstanceOf(nn.Linear);
    const attempt = async (changed: object): Promise<string> => {
      await save(model, new nn.Linear(2, 4), { ...config, ...changed });
      return (await failure(load(model, { allowCode: true }))).message;
    };
    expect(await attempt({ export: "Nett" })).toMatch(/has no class or function "Nett". Did you mean "Net"\? Its exports: Net, make, wrong/);
    expect(await attempt({ export: "wrong" })).toMatch(/made 1, which is no nn.Module/);
    expect(await attempt({ module: "./gone.mjs" })).toMatch(/could not be loaded/);
  });
});
