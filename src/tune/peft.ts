import { existsSync } from "node:fs";
import { join } from "node:path";
import { checkOptions, didYouMean, GraftError } from "../base/index.js";
import { decode, fromData, showShape, type Shape, type Tensor } from "../graph/index.js";
import { modelFolder, parseHubName, readJson, readSafetensors, writeFileAtomic, writeSafetensors, type HostTensor, type JsonObject } from "../io/index.js";
import * as nn from "../nn/index.js";
import { adapterDType, isTransposed } from "./base-layer.js";
import { activeAdapter, attach, checkAdapter, setAdapter } from "./lora.js";
import { LoraLayer, type LayerAdapter } from "./lora-layer.js";
import { alphaOf, readAdapterConfig, writeAdapterConfig, type AdapterConfig } from "./peft-config.js";
import { SavedModule } from "./saved-module.js";
import { summarize, type TuneSummary } from "./summary.js";
import { endsIn, linearLayers, outerModules } from "./targets.js";

const configFile = "adapter_config.json";
const configFileOfModel = "config.json";
const weightsFile = "adapter_model.safetensors";
const prefix = "base_model.model.";

/** Options of {@link savePeft}. */
export interface SavePeftOptions {
  /** Folder of the base model, or its name on the hub (`owner/name@revision`), for PEFT's `AutoPeftModel`. Default: none. */
  readonly baseModel?: string;
  /** Default: the adapter in use. */
  readonly adapterName?: string;
  /** PEFT's task, for example "SEQ_CLS". Default: "CAUSAL_LM" for language models, otherwise none. */
  readonly taskType?: string;
}

/**
 * Saves an adapter as PEFT does: `adapter_model.safetensors` with PEFT's names and `adapter_config.json`, each written completely or not at all. `PeftModel.from_pretrained(base, dir)`
 * loads it in Python. Returns the config.
 *
 * Throws `argument` when there is no adapter, `file` when a file cannot be written.
 * @example
 * await tune.savePeft(model, "adapters/ada", { baseModel: "models/stories260k" });
 */
export async function savePeft(model: nn.Module, dir: string, options: SavePeftOptions = {}): Promise<JsonObject> {
  checkOptions("savePeft", options, ["baseModel", "adapterName", "taskType"]);
  const name = options.adapterName ?? activeAdapter(model);
  if (name === null) throw new GraftError("argument", "savePeft: no adapter is in use. Name one: { adapterName }.");
  checkAdapter("savePeft", model, name);
  const outer = outerModules(model);
  const layers = new Map<string, LayerAdapter>();
  const tensors = new Map<string, Tensor>();
  const saved: string[] = [];
  let transposed = false;
  for (const [path, module] of outer) {
    if (module instanceof LoraLayer && module.adapters.has(name)) {
      layers.set(path, module.adapters.get(name)!);
      transposed ||= isTransposed(module.base_layer);
      tensors.set(`${prefix}${path}.lora_A.weight`, module.lora_A.at(name).weight);
      tensors.set(`${prefix}${path}.lora_B.weight`, module.lora_B.at(name).weight);
      if (module.lora_magnitude_vector.has(name)) tensors.set(`${prefix}${path}.lora_magnitude_vector`, module.lora_magnitude_vector.at(name).weight);
    } else if (module instanceof SavedModule && module.modules_to_save.has(name)) {
      saved.push(path);
      for (const [key, tensor] of module.modules_to_save.at(name).stateDict()) tensors.set(`${prefix}${path}.${key}`, tensor);
    }
  }
  const taskType = options.taskType ?? (/(ForCausalLM|LMHeadModel)$/.test(model.constructor.name) ? "CAUSAL_LM" : null);
  const hub = parseHubName(options.baseModel ?? "");
  const base = hub?.explicit ? { baseModel: hub.id, revision: hub.revision } : { baseModel: options.baseModel ?? null, revision: null };
  const modelType = modelTypeOf(model);
  const madeFor = modelType === undefined ? null : ([model.constructor.name, modelType] as const);
  const config = writeAdapterConfig({ layers, paths: [...outer.keys()], saved, transposed, ...base, taskType, madeFor });
  await writeSafetensors(join(dir, weightsFile), tensors, { metadata: { format: "pt" } });
  await writeFileAtomic(join(dir, configFile), `${JSON.stringify(config, null, 2)}\n`);
  return config;
}

/** Options of {@link loadPeft}. */
export interface LoadPeftOptions {
  /** Default: "default". */
  readonly adapterName?: string;
  /** Whether the adapter goes on learning. Default: false. */
  readonly trainable?: boolean;
}

/**
 * Adds an adapter that PEFT or {@link savePeft} saved, and puts it to use. `dir` is its folder, or its name on the Hugging Face hub (`io.modelFolder`).
 *
 * Throws `file` and `format` for files that are missing, damaged or use what is not supported; `state` with all mismatches at once for an adapter of another model, which is then unchanged.
 * @example
 * await tune.loadPeft(model, "adapters/ada");
 */
export async function loadPeft(model: nn.Module, dir: string, options: LoadPeftOptions = {}): Promise<TuneSummary> {
  checkOptions("loadPeft", options, ["adapterName", "trainable"]);
  const { adapterName = "default", trainable = false } = options;
  const folder = await modelFolder(dir);
  const file = join(folder, configFile);
  const config = readAdapterConfig(file, await readJson(file));
  await checkBase(model, folder, config);
  const weights = await readSafetensors(join(folder, weightsFile));
  const { layers, saved, problems } = sortWeights(model, weights, config.modulesToSave, config.dora);
  if (layers.size === 0 && problems.length === 0) problems.push("it holds no lora_A and lora_B");
  if (problems.length > 0) {
    const more = problems.length > shown ? `\n  and ${problems.length - shown} more` : "";
    throw new GraftError("state", `loadPeft: ${dir}: the adapter does not fit ${model.constructor.name}: ${problems.length} problem(s):\n  ${problems.slice(0, shown).join("\n  ")}${more}\nLoad it into the model that it was made for.`);
  }
  const { rsLora, dora, dropout } = config;
  const settings = new Map([...layers].map(([path, { A }]): [string, LayerAdapter] => [path, { r: A!.shape[0], alpha: alphaOf(config, path), rsLora, dora, dropout }]));
  const { modules } = attach(model, adapterName, settings, [...saved.keys()], "kaiming");
  for (const [path, { A, B, magnitude }] of layers) {
    const layer = model.get(path) as LoraLayer;
    const dtype = adapterDType(layer.base_layer);
    layer.lora_A.at(adapterName).weight = parameter(A!, dtype);
    layer.lora_B.at(adapterName).weight = parameter(B!, dtype);
    if (magnitude) layer.lora_magnitude_vector.at(adapterName).weight = parameter(magnitude, dtype);
  }
  for (const [path, state] of saved) (model.get(path) as SavedModule).modules_to_save.at(adapterName).loadStateDict(state);
  setAdapter(model, adapterName, { trainable });
  return summarize(model, modules);
}

const shown = 12;

/** The `model_type` of a text model of Hugging Face's. */
function modelTypeOf(model: nn.Module): string | undefined {
  const type = (model as { config?: { readonly model_type?: unknown } }).config?.model_type;
  return typeof type === "string" ? type : undefined;
}

/** "LlamaForCausalLM" -> "Llama": other heads are on the same trunk. */
const trunkName = (name: string): string => name.replace(/(For[A-Z]\w*|LMHeadModel|Model)$/, "");

/**
 * Throws `state` for an adapter that says it was made for another kind of model: its shapes may fit all the same (Llama's and Mistral's do). What it was made for is told by PEFT's
 * `auto_mapping`, or by the config of the base model, where that is on this machine.
 */
async function checkBase(model: nn.Module, dir: string, { madeFor, baseModel }: AdapterConfig): Promise<void> {
  const named = baseModel === undefined ? undefined : join(baseModel, configFileOfModel);
  const base = named !== undefined && existsSync(named) ? (await readJson(named)).model_type : undefined;
  const [theirs, ours] = madeFor !== undefined ? [trunkName(madeFor), trunkName(model.constructor.name)] : [base, modelTypeOf(model)];
  if (typeof theirs !== "string" || typeof ours !== "string" || theirs === ours) return;
  throw new GraftError("state", `loadPeft: ${dir}: the adapter was made for ${madeFor ?? `${theirs} (${baseModel})`}, the model is ${model.constructor.name}. Load it into the model that it was made for.`);
}

function parameter({ data, shape, dtype: stored }: HostTensor, dtype: "f32" | "f64"): nn.Parameter {
  const values = stored === dtype ? data : dtype === "f64" ? Float64Array.from(data, (raw) => decode(stored, raw)) : Float32Array.from(data, (raw) => decode(stored, raw));
  return new nn.Parameter(fromData(values, shape, dtype), { requiresGrad: false });
}

interface LayerWeights {
  A?: HostTensor;
  B?: HostTensor;
  magnitude?: HostTensor;
}

interface SortedWeights {
  readonly layers: Map<string, LayerWeights>;
  readonly saved: Map<string, Map<string, HostTensor>>;
  readonly problems: string[];
}

/** Finds the place of every tensor of a file, and what does not fit. */
function sortWeights(model: nn.Module, weights: ReadonlyMap<string, HostTensor>, modulesToSave: readonly string[], dora: boolean): SortedWeights {
  const linear = linearLayers(model);
  const outer = outerModules(model);
  const [layers, saved, problems] = [new Map<string, LayerWeights>(), new Map<string, Map<string, HostTensor>>(), [] as string[]];
  const savable = [...outer.keys()].filter((path) => path !== "" && endsIn(path, modulesToSave));
  for (const [name, tensor] of weights) {
    const inner = name.startsWith(prefix) ? name.slice(prefix.length) : name;
    const found = /^(.+)\.lora_(?:(A|B)(?:\.weight)|magnitude_vector(?:\.weight)?)$/.exec(inner);
    const home = found ? undefined : savable.find((path) => inner.startsWith(`${path}.`));
    if (home !== undefined) (saved.get(home) ?? saved.set(home, new Map()).get(home)!).set(inner.slice(home.length + 1), tensor);
    else if (!found) problems.push(`unexpected: ${name} ${showShape(tensor.shape)}`);
    else {
      const layer = layers.get(found[1]) ?? layers.set(found[1], {}).get(found[1])!;
      layer[(found[2] as "A" | "B" | undefined) ?? "magnitude"] = tensor;
    }
  }
  for (const [path, { A, B, magnitude }] of layers) {
    const layer = linear.get(path);
    if (layer === undefined) {
      const other = outer.get(path);
      problems.push(other === undefined ? `the model has no layer ${path}.${didYouMean(path, linear.keys())}` : `${path} is a ${other.constructor.name}, not a linear layer`);
      continue;
    }
    if (A === undefined || B === undefined) problems.push(`${path}: lora_${A === undefined ? "A" : "B"} is missing`);
    const r = A?.shape[0] ?? B?.shape[1] ?? 0;
    const fits = (part: string, tensor: HostTensor | undefined, shape: Shape): void => {
      if (tensor !== undefined && tensor.shape.join() !== shape.join()) problems.push(`shape of ${path}.${part}: the layer needs ${showShape(shape)}, the adapter has ${showShape(tensor.shape)}`);
    };
    fits("lora_A", A, [r, layer.inFeatures]);
    fits("lora_B", B, [layer.outFeatures, r]);
    fits("lora_magnitude_vector", magnitude, [layer.outFeatures]);
    if (dora !== (magnitude !== undefined)) problems.push(`${path}: use_dora is ${dora}, but lora_magnitude_vector is ${magnitude === undefined ? "missing" : "there"}`);
  }
  for (const [path, state] of saved) {
    const module = outer.get(path)!;
    const wanted = (module instanceof SavedModule ? module.original_module : module).stateDict();
    for (const [key, { shape }] of wanted) if (!state.has(key)) problems.push(`missing: ${path}.${key} ${showShape(shape)}`);
    for (const [key, { shape }] of state) {
      const target = wanted.get(key);
      if (target === undefined) problems.push(`unexpected: ${path}.${key} ${showShape(shape)}`);
      else if (target.shape.join() !== shape.join()) problems.push(`shape of ${path}.${key}: the model has ${showShape(target.shape)}, the adapter ${showShape(shape)}`);
    }
  }
  return { layers, saved, problems };
}
