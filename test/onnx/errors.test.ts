import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { F, nn, rand, tensor, tune, type Tensor } from "graftml";
import * as models from "graftml/models";
import { main } from "../../src/cli/main.js";
import { goldenPath } from "../golden/cases.js";
import { readOnnx } from "./read-onnx.js";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "graft-onnx-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const tiny = { hidden_size: 32, intermediate_size: 32, num_hidden_layers: 1, num_attention_heads: 2, vocab_size: 40 } as const;
const llama = (): Promise<models.TextModel> => models.create({ model_type: "llama", ...tiny });

/** A model with a part of one function. */
class Part extends nn.Module {
  constructor(private readonly body: (x: Tensor) => Tensor) {
    super();
  }
  forward(x: Tensor): Tensor {
    return this.body(x);
  }
}
class Whole extends nn.Module {
  part: Part;
  constructor(body: (x: Tensor) => Tensor) {
    super();
    this.part = new Part(body);
  }
  forward(x: Tensor): Tensor {
    return this.part.forward(x);
  }
}

describe("what ONNX cannot hold", () => {
  const attempt = (model: nn.Module, options: models.ExportOnnxOptions = { inputShape: [3] }): Promise<unknown> => models.exportOnnx(model, join(dir, "no.onnx"), options);

  it("an op without a counterpart is named with its module", async () => {
    await expect(attempt(new Whole((x) => F.cumprod(x, 1)))).rejects.toThrow(/exportOnnx: cumprod in part: /);
    await expect(attempt(new Whole((x) => F.add(x, rand(x.shape))))).rejects.toThrow(/exportOnnx: random in part: it is random/);
  });

  it("a forward that goes other ways at other sizes, with the way out", async () => {
    const model = new Whole((x) => (x.shape[0] > 250 ? F.relu(x) : F.neg(F.relu(x))));
    await expect(attempt(model)).rejects.toThrow(/another graph at batch_size 257 than at batch_size 241: 2 operations instead of 3, beginning at neg in part.*batch/);
    await expect(attempt(model, { inputShape: [3], batch: 2 })).resolves.toMatchObject({ inputs: [{ shape: [2, 3] }] });
    await expect(attempt(new Whole((x) => F.mul(x, tensor(new Float32Array(x.shape[0])).reshape([-1, 1]))))).rejects.toThrow(/part/);
    await expect(attempt(new Whole((x) => F.mul(x, x.shape[0] ** 2)))).rejects.toThrow(/"value" of full in part is 58081, .*linear in none/);
  });

  it("adapters and quantised weights: merge first", async () => {
    const adapted = await llama();
    tune.lora(adapted, { r: 2, alpha: 4, targetModules: ["q_proj"] });
    await expect(attempt(adapted, {})).rejects.toThrow(/exportOnnx: model\.layers\.0\.self_attn\.q_proj is a LoraLayer, .*mergeAndUnload/);
    await tune.mergeAndUnload(adapted);
    await expect(attempt(adapted, {})).resolves.toMatchObject({ nodes: expect.any(Number) as number });
    const quantised = await llama();
    tune.quantizeModel(quantised);
    await expect(attempt(quantised, {})).rejects.toThrow(/exportOnnx: model\.layers\.0\.self_attn\.q_proj is a QuantLinear, .*mergeAndUnload/);
  });

  it("a model that does not say what it takes", async () => {
    await expect(attempt(new Whole(F.relu), {})).rejects.toThrow(/Whole does not say what it takes.*inputShape/);
    await expect(attempt(new models.MLP(), { length: 3 })).rejects.toThrow(/takes no sequences/);
    await expect(attempt(new models.MLP(), { batch: 0 })).rejects.toThrow(/batch/);
  });

  it("leaves no file behind", async () => {
    await rm(join(dir, "no.onnx"), { force: true });
    await expect(attempt(new Whole((x) => F.cumprod(x, 1)))).rejects.toThrow();
    expect((await readdir(dir)).filter((name) => name.includes("no.onnx"))).toEqual([]);
  });
});

describe("an exported file", () => {
  it("keeps weights under their names, in the second file too", async () => {
    const model = new models.SimpleCNN({ inputShape: [1, 16, 16] });
    const plain = join(dir, "plain.onnx");
    const split = join(dir, "split.onnx");
    expect((await models.exportOnnx(model, plain)).files).toEqual([plain]);
    expect((await models.exportOnnx(model, split, { externalData: true, name: "digits" })).files).toEqual([split, `${split}.data`]);
    const [one, two] = [readOnnx(await readFile(plain)), readOnnx(await readFile(split))];
    expect([one.name, two.name]).toEqual(["SimpleCNN", "digits"]);
    expect(one.constants.map(({ name }) => name)).toEqual(expect.arrayContaining(["conv1.weight", "conv1.bias", "fc1.weight.T", "fc2.weight.T"]));
    const data = await readFile(`${split}.data`);
    const far = two.constants.filter(({ raw }) => raw === undefined);
    expect(far.map(({ name }) => name)).toEqual(["conv1.weight", "fc1.weight.T", "fc2.weight.T"]);
    for (const { name, external } of far) {
      expect([external.location, Number(external.offset) % 4096]).toEqual(["split.onnx.data", 0]);
      const bytes = data.subarray(Number(external.offset), Number(external.offset) + Number(external.length));
      expect(Buffer.compare(bytes, one.constants.find((constant) => constant.name === name)!.raw!)).toBe(0);
    }
    const [, rows] = model.fc2.weight.shape;
    const turned = new Float32Array(Uint8Array.from(one.constants.find(({ name }) => name === "fc2.weight.T")!.raw!).buffer);
    expect(turned[1]).toBe((await model.fc2.weight.data())[rows]); // [in, out]
  });

  it("leaves the model as it was", async () => {
    const model = new models.MLP({ inputShape: [2], dropout: 0.5 }).train();
    model.drop.eval();
    await models.exportOnnx(model, join(dir, "kept.onnx"));
    expect([model.training, model.drop.training, model.layers.training]).toEqual([true, false, true]);
  });
});

describe("graft export --to onnx", () => {
  it("writes the file, with fixed sizes where they are asked for", async () => {
    const file = join(dir, "cli.onnx");
    expect(await main(["export", goldenPath("models/bert-classify"), "--to", "onnx", "--out", file, "--type", "f16", "--batch", "2", "--length", "8", "--external-data"])).toBe(0);
    const { inputs, outputs, metadata, name } = readOnnx(await readFile(file));
    expect(inputs.map((input) => [input.name, input.shape])).toEqual(["input_ids", "attention_mask", "token_type_ids"].map((input) => [input, [2, 8]]));
    expect([outputs[0].shape, name, Object.keys(JSON.parse(metadata.id2label) as object)]).toEqual([[2, 3], "bert-classify", ["0", "1", "2"]]);
    expect(await readdir(dir)).toContain("cli.onnx.data");
  });

  it("of a saved picture model tells classes and preparation, beside the model by default", async () => {
    const folder = join(dir, "digits");
    await models.save(folder, new models.SimpleCNN({ inputShape: [1, 8, 8], classes: 2 }), { classes: ["even", "odd"], preprocess: { size: [8, 8] } });
    expect(await main(["export", folder, "--to", "onnx"])).toBe(0);
    const { inputs, metadata } = readOnnx(await readFile(join(folder, "digits-f32.onnx")));
    expect(inputs).toEqual([{ name: "pixel_values", type: 1, shape: ["batch_size", 1, 8, 8] }]);
    expect([metadata.architecture, JSON.parse(metadata.classes), JSON.parse(metadata.preprocess)]).toEqual(["SimpleCNN", ["even", "odd"], { size: [8, 8] }]);
  });

  it("refuses adapters and types that the format does not have", async () => {
    expect(await main(["export", goldenPath("adapters/gpt2-dora"), "--to", "onnx", "--out", join(dir, "a.onnx")])).toBe(1);
    expect(await main(["export", goldenPath("models/gpt2"), "--to", "onnx", "--type", "q4_0", "--out", join(dir, "a.onnx")])).toBe(1);
    expect(await readdir(dir)).not.toContain("a.onnx");
  });
});

it.each([4, 9, 10, 16])("a model with %i positions can be written too", async (n_positions) => {
  const model = await models.create({ model_type: "gpt2", n_layer: 1, n_head: 2, n_embd: 8, vocab_size: 12, n_positions });
  await expect(models.exportOnnx(model, join(dir, "short.onnx"))).resolves.toMatchObject({ outputs: [{ shape: ["batch_size", "sequence_length", 12] }] });
});
