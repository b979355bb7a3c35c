import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { models, tune } from "graftml";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

let folder: string;
beforeAll(async () => (folder = await mkdtemp(join(tmpdir(), "graft-saving-"))));
afterAll(() => rm(folder, { recursive: true }));

const config = { model_type: "llama", vocab_size: 20, hidden_size: 8, intermediate_size: 16, num_hidden_layers: 1, num_attention_heads: 2, num_key_value_heads: 2, max_position_embeddings: 16 };
const made = (more: object = {}) => models.create({ ...config, ...more });
const target = { r: 2, targetModules: ["q_proj"] };

describe("a tuned model", () => {
  it.each<[string, (model: Awaited<ReturnType<typeof made>>) => unknown, RegExp]>([
    ["with an adapter", (model) => tune.lora(model, target), /q_proj is a LoraLayer.*LlamaForCausalLM\. Save the adapter alone with tune\.savePeft.*tune\.mergeAndUnload/],
    ["with a merged adapter", async (model) => [tune.lora(model, target), await tune.merge(model)], /tune\.mergeAndUnload/],
    ["with a module of its own", (model) => tune.lora(model, { ...target, modulesToSave: ["lm_head"] }), /LoraLayer|SavedModule/],
    ["in few bits", (model) => tune.quantizeModel(model), /q_proj is a QuantLinear.*tune\.mergeAndUnload.*tune\.savePeft/],
  ])("%s is not saved as what its config says", async (name, change, message) => {
    const model = await made();
    await change(model);
    const dir = join(folder, name);
    await expect(models.save(dir, model)).rejects.toMatchObject({ code: "state", message: expect.stringMatching(message) as unknown });
    await expect(models.exportGguf(model, join(dir, "x.gguf"))).rejects.toThrow(message);
    expect(existsSync(dir)).toBe(false);
    await tune.mergeAndUnload(model);
    await models.save(dir, model);
    expect((await models.load(dir)).constructor.name).toBe("LlamaForCausalLM");
  });

  it("with layers of the user's own too", async () => {
    const model = new models.SimpleCNN();
    tune.lora(model, { r: 2, targetModules: "all-linear" });
    await expect(models.save(join(folder, "cnn"), model)).rejects.toThrow(/tune\.savePeft/);
  });
});

describe("an adapter of another kind of model", () => {
  const adapter = (): string => join(folder, "adapter");

  it("is refused although its shapes fit, by what it says of itself", async () => {
    const model = await made();
    tune.lora(model, target);
    expect(await tune.savePeft(model, adapter(), { baseModel: "owner/name@v2" })).toMatchObject({ base_model_name_or_path: "owner/name", revision: "v2", auto_mapping: { base_model_class: "LlamaForCausalLM" } });
    const other = await made({ model_type: "mistral" });
    const before = [...other.stateDict().keys()];
    await expect(tune.loadPeft(other, adapter())).rejects.toThrow(/was made for LlamaForCausalLM, the model is MistralForCausalLM/);
    expect([...other.stateDict().keys()]).toEqual(before);
    await tune.loadPeft(await made(), adapter());
  });

  it("is refused by the config of its base model, where that is here", async () => {
    const base = join(folder, "base");
    await models.save(base, await made());
    const model = await made();
    tune.lora(model, target);
    const saved = await tune.savePeft(model, adapter(), { baseModel: base });
    await writeFile(join(adapter(), "adapter_config.json"), JSON.stringify({ ...saved, auto_mapping: null })); // as PEFT leaves it
    await expect(tune.loadPeft(await made({ model_type: "mistral" }), adapter())).rejects.toThrow(/made for llama \(.*base\), the model is MistralForCausalLM/);
    await tune.loadPeft(await made(), adapter());
  });

  it("and no model itself", async () => {
    await expect(models.load(adapter())).rejects.toThrow(/holds an adapter, not a model.*tune\.loadPeft.*graft merge/);
    expect((await readdir(adapter())).sort()).toEqual(["adapter_config.json", "adapter_model.safetensors"]);
  });
});
