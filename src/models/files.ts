import { existsSync } from "node:fs";
import { join } from "node:path";
import { checkOptions, GraftError } from "../base/index.js";
import { modelFolder, readConfig, readJson, readWeights, writeConfig, writeWeights, type Json, type JsonObject, type ModelConfig } from "../io/index.js";
import type { Module } from "../nn/index.js";
import { commonKeys, configOf, graftVersion, type SavedConfig } from "./config.js";
import { checkPlain } from "./plain.js";
import { create } from "./registry.js";
import { loadText, saveText, type LoadTextOptions } from "./text/files.js";
import { isHuggingFace } from "./text/hugging-face.js";
import type { TextModel } from "./text/types.js";
import { createFromFile, type CodeConsent } from "./user-module.js";

/** Options of {@link save}. */
export interface SaveOptions {
  /** Texts to keep in the header of the weights file. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * Saves a model into a folder: its weights as `model.safetensors`, then `config.json`, each written completely or not at all. `config` adds to what the
 * model says of itself (class names, preprocessing) and may replace it. A text model becomes a Hugging Face folder that Transformers loads. Returns the config
 * that was written.
 *
 * Throws `config` for a model that does not say how it is built, `state` for one with adapters or layers in few bits, `file` when the files cannot be written (the old ones are then intact).
 * @example
 * await models.save("runs/digits", model, { classes: digits.classes });
 * const again = await models.load("runs/digits");
 */
export async function save(dir: string, model: Module, config: { readonly [key: string]: Json } = {}, { metadata }: SaveOptions = {}): Promise<SavedConfig> {
  checkPlain("models.save", model);
  const described = (model as { config?: unknown }).config;
  if (typeof described === "object" && described !== null && isHuggingFace(described as JsonObject)) {
    return { ...(await saveText(dir, model as TextModel, config, metadata)), architecture: model.constructor.name, graft_version: graftVersion() };
  }
  const own = typeof config.architecture === "string" && described === undefined ? {} : configOf(model);
  const full = { ...own, ...config, graft_version: graftVersion() } as SavedConfig;
  await writeWeights(dir, model.stateDict(), { metadata: { format: "pt", ...metadata } });
  await writeConfig(dir, full);
  return full;
}

/** Options of {@link load}. */
export interface LoadOptions extends LoadTextOptions {
  /**
   * Whether the file that a config names as `module` may be loaded, which runs its code: true, or a function that is asked with its path. Default: false.
   */
  readonly allowCode?: CodeConsent;
}

/** A model that was loaded, with the config that it was saved with. */
export type LoadedModel = Module & { readonly config: SavedConfig };

/**
 * Loads a model that `save` wrote, or a text model from a Hugging Face folder, ready for use: in evaluation mode, with its config as `model.config`. `path` is
 * the folder, a file in it, or `owner/name` (`owner/name@revision`) on the Hugging Face hub, as `io.modelFolder` says. What class it is the config says; name it
 * where its own methods are needed: `load<LlamaForCausalLM>(path)`.
 *
 * All problems of config and weights are collected and thrown once: as `config` for an unknown architecture or key, as `state` for
 * weights that are missing, not expected or of another shape; `file` and `format` for files that are missing or damaged, `network` for a model that cannot be fetched.
 * @example
 * const model = await models.load<SimpleCNN>("runs/digits");
 * const logits = model.forward(x);
 */
export async function load<M extends Module = LoadedModel>(path: string, options: LoadOptions = {}): Promise<M> {
  checkOptions("models.load", options, ["allowCode", "dtype", "task", "classes"]);
  const dir = await modelFolder(path);
  const file = join(dir, "config.json");
  if (!existsSync(file)) throw noModel(dir);
  const json = await readJson(file);
  if (isHuggingFace(json)) return inFolder(dir, () => loadText(dir, json, options)) as Promise<unknown> as Promise<M>;
  const text = (["dtype", "task", "classes"] as const).find((key) => options[key] !== undefined);
  if (text !== undefined) throw new GraftError("argument", `models.load: ${dir}: the option ${text} is for text models in Hugging Face folders. Leave it out.`);
  const config = await readConfig(dir);
  const problems: GraftError[] = [];
  const [model, weights] = await Promise.all([collect(problems, () => build(dir, config, options.allowCode ?? false)), collect(problems, () => readWeights(dir))]);
  if (model !== undefined && weights !== undefined) await collect(problems, () => model.loadStateDict(weights, { assign: true }));
  if (problems.length === 1) throw located(dir, problems[0]);
  if (problems.length > 1) throw new GraftError(problems[0].code, `models.load: ${dir}: ${problems.length} problems:\n  ${problems.map(({ message }) => message).join("\n  ")}`);
  return Object.assign(model!.eval(), { config }) as Module as M;
}

/** The error for a folder without `config.json`. */
const noModel = (dir: string): GraftError =>
  existsSync(join(dir, "adapter_config.json"))
    ? new GraftError("config", `models.load: ${dir}: holds an adapter, not a model. Load the model that it was made for and add it with tune.loadPeft, or make a model of both with graft merge.`)
    : new GraftError("file", `models.load: ${dir}: has no config.json, so it is not the folder of a model: there is no such file. Name the folder with config.json and model.safetensors.`);

const located = (dir: string, cause: GraftError): GraftError => new GraftError(cause.code, `models.load: ${dir}: ${cause.message}`, { cause });

/** Runs `body`; its errors name the folder. */
async function inFolder<T>(dir: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    throw error instanceof GraftError ? located(dir, error) : error;
  }
}

function build(dir: string, config: ModelConfig, allowCode: CodeConsent): Module | Promise<Module> {
  if (config.module === undefined) return create(config);
  const options = Object.fromEntries(Object.entries(config).filter(([key]) => !(commonKeys as readonly string[]).includes(key)));
  return createFromFile(dir, config, options, allowCode);
}

/** Runs `body`; a GraftError is added to the list instead of being thrown. */
async function collect<T>(problems: GraftError[], body: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await body();
  } catch (error) {
    if (!(error instanceof GraftError)) throw error;
    problems.push(error);
    return undefined;
  }
}
