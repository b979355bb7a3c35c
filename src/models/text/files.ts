import { access } from "node:fs/promises";
import { join } from "node:path";
import { checkChoice, GraftError } from "../../base/index.js";
import type { DType } from "../../graph/index.js";
import { readJson, readWeights, writeFileAtomic, writeWeights, type Json, type JsonObject } from "../../io/index.js";
import { configText } from "./config-json.js";
import { dtypeName, makeText, storedDType, type HeadOptions } from "./hugging-face.js";
import type { TextModel } from "./types.js";
import { loadWeights, untiedState } from "./weights.js";

/** Options of loading a text model. */
export interface LoadTextOptions extends HeadOptions {
  /**
   * How weights are kept: f32 (the default); bf16 or f16 in half the memory, frozen until `unfreeze` (arithmetic is in f32 all the same); "auto": as in the file.
   */
  readonly dtype?: DType | "auto";
}

const generation = "generation_config.json";

/** Loads a Hugging Face folder: `config.json`, safetensors (one file or shards), `generation_config.json` where there is one. */
export async function loadText(dir: string, config: JsonObject, options: LoadTextOptions = {}): Promise<TextModel> {
  const wanted = options.dtype ?? "f32";
  const dtype = wanted === "auto" ? storedDType(config) : checkChoice("models.load", "dtype", wanted, ["f32", "bf16", "f16", "f64"]);
  const { model, family, native } = await makeText(config, options);
  if (dtype !== "f32") model.to(dtype);
  const weights = await readWeights(dir);
  loadWeights(model, weights, family, { freshHead: options.task !== undefined || options.classes !== undefined, otherHead: !native });
  if (dtype === "bf16" || dtype === "f16") model.requiresGrad(false);
  const file = join(dir, generation);
  const found = await access(file).then(
    () => true,
    () => false,
  );
  if (found) generationConfigs.set(model, await readJson(file));
  return model.eval();
}

const generationConfigs = new WeakMap<object, JsonObject>();

/** What a checkpoint says about generating (`eos_token_id`, ...): its `generation_config.json`. */
export const generationConfigOf = (model: object): JsonObject => generationConfigs.get(model) ?? {};

/** What `eos_token_id` or the like names: one token, several or none. */
export const tokenIds = (value: Json | readonly number[] | undefined): number[] =>
  typeof value === "number" ? [value] : Array.isArray(value) ? (value as readonly Json[]).filter((id): id is number => typeof id === "number") : [];

/**
 * Tokens that end a text by what the checkpoint of a model says: its `generation_config.json`, or else its config. Empty where they name none; the tokenizer may know one then.
 * @example
 * models.endTokens(await models.load<LlamaForCausalLM>("models/stories260k")); // [2]
 */
export function endTokens(model: TextModel): number[] {
  const { eos_token_id: ids }: JsonObject = { ...model.config, ...generationConfigOf(model) };
  return tokenIds(ids);
}

/**
 * Saves a text model as a Hugging Face folder that Transformers loads. `more` adds to its config. Returns the config that was written.
 */
export async function saveText(dir: string, model: TextModel, more: JsonObject, metadata: Readonly<Record<string, string>> = {}): Promise<JsonObject> {
  const state = untiedState(model);
  const dtypes = new Set([...state.values()].map(({ dtype }) => dtype));
  const { torch_dtype: _old, num_labels: _count, ...own } = model.config;
  const config: JsonObject = { ...own, ...more, model_type: model.config.model_type, architectures: [model.constructor.name], dtype: dtypes.size === 1 ? dtypeName([...dtypes][0]) : "float32" };
  if ("architecture" in config) throw new GraftError("config", `models.save: the config of a text model names its class in "architectures". Leave "architecture" out.`);
  await writeWeights(dir, state, { metadata: { format: "pt", ...metadata } });
  const known = generationConfigs.get(model);
  if (known !== undefined) await writeFileAtomic(join(dir, generation), configText(known));
  await writeFileAtomic(join(dir, "config.json"), configText(config));
  return config;
}
