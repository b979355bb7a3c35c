import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { GraftError } from "../base/index.js";
import { readConfig, readWeights, writeConfig, writeWeights, type Json, type ModelConfig } from "../io/index.js";
import type { Module } from "../nn/index.js";
import { commonKeys, configOf, graftVersion, type SavedConfig } from "./config.js";
import { create } from "./registry.js";
import { createFromFile, type CodeConsent } from "./user-module.js";

/** Options of {@link save}. */
export interface SaveOptions {
  /** Texts to keep in the header of the weights file. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * Saves a model into a folder: its weights as `model.safetensors`, then `config.json`, each written completely or not at all. `config` adds to what the
 * model says of itself (class names, preprocessing) and may replace it. Returns the config that was written.
 *
 * Throws `config` for a model that does not say how it is built, `file` when the files cannot be written (the old ones are then intact).
 * @example
 * await models.save("runs/digits", model, { classes: digits.classes });
 * const { model: again } = await models.load("runs/digits");
 */
export async function save(dir: string, model: Module, config: { readonly [key: string]: Json } = {}, { metadata }: SaveOptions = {}): Promise<SavedConfig> {
  const own = typeof config.architecture === "string" && (model as { config?: unknown }).config === undefined ? {} : configOf(model);
  const full = { ...own, ...config, graft_version: graftVersion() } as SavedConfig;
  await writeWeights(dir, model.stateDict(), { metadata: { format: "pt", ...metadata } });
  await writeConfig(dir, full);
  return full;
}

/** Options of {@link load}. */
export interface LoadOptions {
  /**
   * Whether the file that a config names as `module` may be loaded, which runs its code: true, or a function that is asked with its path. Default: false.
   */
  readonly allowCode?: CodeConsent;
}

/**
 * Loads a model that `save` wrote, ready for use: in evaluation mode, with its config. `path` is the folder, or a file in it.
 *
 * All problems of config and weights are collected and thrown once: as `config` for an unknown architecture or key, as `state` for
 * weights that are missing, not expected or of another shape; `file` and `format` for files that are missing or damaged.
 * @example
 * const { model, config } = await models.load("runs/digits");
 * const logits = model.forward(x);
 */
export async function load(path: string, { allowCode = false }: LoadOptions = {}): Promise<{ readonly model: Module; readonly config: SavedConfig }> {
  const dir = await folderOf(path);
  const config = await readConfig(dir);
  const problems: GraftError[] = [];
  const [model, weights] = await Promise.all([collect(problems, () => build(dir, config, allowCode)), collect(problems, () => readWeights(dir))]);
  if (model !== undefined && weights !== undefined) await collect(problems, () => model.loadStateDict(weights, { assign: true }));
  if (problems.length === 1) throw new GraftError(problems[0].code, `models.load: ${dir}: ${problems[0].message}`, { cause: problems[0] });
  if (problems.length > 1) throw new GraftError(problems[0].code, `models.load: ${dir}: ${problems.length} problems:\n  ${problems.map(({ message }) => message).join("\n  ")}`);
  return { model: model!.eval(), config: config as SavedConfig };
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

async function folderOf(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) throw new GraftError("file", `models.load: ${path}: there is no such file or folder. Name the folder with config.json and model.safetensors.`);
  return found.isDirectory() ? join(path) : dirname(path);
}
