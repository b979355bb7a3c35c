import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { didYouMean, GraftError } from "../base/index.js";
import type { Json, ModelConfig } from "../io/index.js";
import { Module } from "../nn/index.js";
import { create, isRegistered } from "./registry.js";

/** Whether code named by a config may run: yes, no, or ask with the file's path. */
export type CodeConsent = boolean | ((file: string) => boolean | Promise<boolean>);

type Options = { readonly [key: string]: Json };

/**
 * Builds a model whose class lives in a file of the user's: the config's `module` (relative to `dir`) is imported, with consent only. Its `export`
 * (default: the architecture's name) is a `Module` class, made with the config's own keys as its one argument, or a function that is given the whole
 * config; a file that calls `models.register` for the architecture needs no export.
 *
 * Throws `config` without consent, for a missing export, and for an export that makes no module; `file` when the file cannot be loaded.
 */
export async function createFromFile(dir: string, config: ModelConfig, options: Options, allow: CodeConsent): Promise<Module> {
  const { module: path, architecture, export: name = architecture } = config;
  if (typeof path !== "string" || path === "" || typeof name !== "string") throw new GraftError("config", `config: module is ${JSON.stringify(path)}, export ${JSON.stringify(name)}. Give a file and a name in it.`);
  const file = resolve(dir, path);
  const allowed = typeof allow === "function" ? await allow(file) : allow;
  if (!allowed) throw new GraftError("config", `config: ${architecture} is made by code in ${file}, which was not run. If you trust that file, pass { allowCode: true } (graft predict: --allow-code).`);
  const exports = await importFile(file);
  const made = Object.hasOwn(exports, name) ? exports[name] : undefined;
  if (made === undefined && isRegistered(architecture)) return create(config);
  if (typeof made !== "function") {
    throw new GraftError("config", `config: ${file} has no class or function "${name}".${didYouMean(name, Object.keys(exports))} Its exports: ${Object.keys(exports).join(", ") || "none"}.`);
  }
  const given = Object.keys(options).length === 0 ? [] : [options];
  const model: unknown = made.prototype instanceof Module ? new (made as new (...args: Options[]) => Module)(...given) : await (made as (config: ModelConfig) => unknown)(config);
  if (!(model instanceof Module)) throw new GraftError("config", `config: "${name}" in ${file} made ${String(model)}, which is no nn.Module.`);
  return model;
}

async function importFile(file: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    return (await import(pathToFileURL(file).href)) as Record<string, unknown>;
  } catch (cause) {
    throw new GraftError("file", `config: ${file}: could not be loaded: ${(cause as Error).message}. Check the path (it is taken from the config's folder).`, { cause });
  }
}
