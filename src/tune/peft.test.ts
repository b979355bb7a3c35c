import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { F, io, manualSeed, nn, noGrad, randn, realize, tune, type Tensor } from "graftml";

class Net extends nn.Module {
  layers: nn.ModuleList<nn.Sequential>;
  classifier: nn.Linear;
  constructor(
    width = 6,
    private readonly classes = 3,
  ) {
    super();
    this.layers = new nn.ModuleList([1, 2].map(() => new nn.Sequential({ up: new nn.Linear(4, width), act: new nn.ReLU(), down: new nn.TransposedLinear(width, 4) })));
    this.classifier = new nn.Linear(4, classes);
  }
  forward(x: Tensor): Tensor {
    for (const layer of this.layers) x = F.add(x, layer.forward(x));
    return this.classifier.forward(x);
  }
}

let folder: string;
let count = 0;
const fresh = (): string => join(folder, `adapter-${count++}`);
beforeAll(async () => (folder = await mkdtemp(join(tmpdir(), "graft-peft-"))));
afterAll(() => rm(folder, { recursive: true }));
beforeEach(() => manualSeed(2));

const x = randn([3, 4]);
const outputs = (model: Net): Promise<number[]> => noGrad(() => model.forward(x).data()).then((values) => [...values]);

/** Two equal models, the first with an adapter that has learnt something. */
async function tuned(options: tune.LoraOptions): Promise<{ model: Net; twin: Net }> {
  const model = new Net();
  await realize(...model.parameters());
  const twin = model.clone();
  tune.lora(model, options);
  for (const parameter of model.parameters().filter(({ requiresGrad }) => requiresGrad)) nn.init.normal(parameter, 0.2, 0.5);
  return { model, twin };
}

async function change(dir: string, changes: object): Promise<void> {
  const file = join(dir, "adapter_config.json");
  await writeFile(file, JSON.stringify({ ...(JSON.parse(await readFile(file, "utf8")) as object), ...changes }));
}

describe("PEFT files", () => {
  it.each<tune.LoraOptions>([
    { r: 2, alpha: 4 },
    { r: 2, rsLora: true, targetModules: ["up"] },
    { r: 4, dora: true, dropout: 0.1 },
    { r: 4, rankPattern: { "1.up": 2 }, alphaPattern: { "0.down": 32 } },
    { r: 2, targetModules: /0\.up/, modulesToSave: ["classifier"] },
  ])("come back: %o", async (options) => {
    const { model, twin } = await tuned(options);
    const dir = fresh();
    const config = await tune.savePeft(model, dir, { baseModel: "some/base" });
    expect(config).toMatchObject({ peft_type: "LORA", base_model_name_or_path: "some/base", r: options.r, use_rslora: options.rsLora ?? false, use_dora: options.dora ?? false, bias: "none" });
    const { modules } = await tune.loadPeft(twin, dir, { adapterName: "again", trainable: true });
    expect(await outputs(twin.eval())).toEqual(await outputs(model.eval()));
    expect(twin.parameters().filter(({ requiresGrad }) => requiresGrad).length).toBe(model.parameters().filter(({ requiresGrad }) => requiresGrad).length);
    expect(modules.length).toBeGreaterThan(0);
    const second = fresh();
    await tune.savePeft(twin, second, { baseModel: "some/base" });
    for (const file of await readdir(dir)) expect(await readFile(join(second, file), "utf8")).toBe(await readFile(join(dir, file), "utf8"));
  });

  it("have PEFT's names", async () => {
    const { model } = await tuned({ r: 2, dora: true, targetModules: ["layers.0.up"], modulesToSave: ["classifier"] });
    const dir = fresh();
    const config = await tune.savePeft(model, dir);
    expect([...(await io.readSafetensors(join(dir, "adapter_model.safetensors")))].map(([name, { shape }]) => `${name} ${shape.join("x")}`).sort()).toEqual([
      "base_model.model.classifier.bias 3",
      "base_model.model.classifier.weight 3x4",
      "base_model.model.layers.0.up.lora_A.weight 2x4",
      "base_model.model.layers.0.up.lora_B.weight 6x2",
      "base_model.model.layers.0.up.lora_magnitude_vector 6",
    ]);
    expect(config).toMatchObject({ target_modules: ["layers.0.up"], modules_to_save: ["classifier"], fan_in_fan_out: false }); // "up" would mean layer 1 too
    const other = await tuned({ targetModules: ["down"] });
    expect(await tune.savePeft(other.model, fresh())).toMatchObject({ target_modules: ["down"], fan_in_fan_out: true, modules_to_save: null, task_type: null });
  });

  it("load over a base in few bits", async () => {
    const { model, twin } = await tuned({ r: 2 });
    const dir = fresh();
    await tune.savePeft(model, dir);
    tune.quantizeModel(twin, { type: "int8" });
    await tune.loadPeft(twin, dir);
    const [a, b] = [await outputs(model), await outputs(twin)];
    a.forEach((value, i) => expect(Math.abs(value - b[i])).toBeLessThan(0.1));
  });
});

describe("an adapter that does not fit", () => {
  it("is one error with all mismatches, and the model stays as it was", async () => {
    const { model } = await tuned({ r: 2, modulesToSave: ["classifier"] });
    const dir = fresh();
    await tune.savePeft(model, dir);
    const wider = new Net(8, 5);
    const before = [...wider.stateDict().keys()];
    const error = await tune.loadPeft(wider, dir).catch((reason: unknown) => reason as Error);
    expect(error).toMatchObject({ code: "state" });
    expect((error as Error).message).toMatch(/does not fit Net: 6 problem\(s\)/);
    expect((error as Error).message).toMatch(/shape of layers\.0\.up\.lora_B: the layer needs \[8, 2\], the adapter has \[6, 2\]/);
    expect((error as Error).message).toMatch(/shape of classifier\.bias: the model has \[5\], the adapter \[3\]/);
    expect([...wider.stateDict().keys()]).toEqual(before);

    const unlike = new nn.Sequential(new nn.Linear(4, 6));
    await expect(tune.loadPeft(unlike, dir)).rejects.toThrow(/the model has no layer layers\.0\.up[^]*the model has no layer layers\.1\.down/);
  });

  it.each([
    [{ peft_type: "IA3" }, /peft_type is "IA3"; only LORA/],
    [{ bias: "all", lora_bias: true }, /bias is "all".*lora_bias is not supported/],
    [{ init_lora_weights: "pissa" }, /changes the base model/],
    [{ lora_alpha: "8" }, /lora_alpha is "8", not a number/],
    [{ use_dora: true }, /use_dora is true, but lora_magnitude_vector is missing/],
  ])("config %o", async (changes, message) => {
    const { model, twin } = await tuned({ r: 2 });
    const dir = fresh();
    await tune.savePeft(model, dir);
    await change(dir, changes);
    await expect(tune.loadPeft(twin, dir)).rejects.toThrow(message);
  });

  it("a file that is cut off, missing, or no adapter", async () => {
    const { model, twin } = await tuned({ r: 2 });
    const dir = fresh();
    await tune.savePeft(model, dir);
    await truncate(join(dir, "adapter_model.safetensors"), 500);
    await expect(tune.loadPeft(twin, dir)).rejects.toMatchObject({ code: "format" });
    await io.writeSafetensors(join(dir, "adapter_model.safetensors"), { "layers.0.up.weight": randn([6, 4]) });
    await expect(tune.loadPeft(twin, dir)).rejects.toThrow(/unexpected: layers\.0\.up\.weight/);
    await expect(tune.loadPeft(twin, fresh())).rejects.toMatchObject({ code: "file" });
    expect(tune.adapterNames(twin)).toEqual([]);
    await expect(tune.savePeft(twin, fresh())).rejects.toThrow(/no adapter is in use/);
  });
});
