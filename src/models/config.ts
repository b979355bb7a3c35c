import { readFileSync } from "node:fs";
import { GraftError } from "../base/index.js";
import type { Json, ModelConfig } from "../io/index.js";
import type { Module } from "../nn/index.js";

/** How raw input becomes what the model takes, e.g. `{ size: [16, 16], scale: 0.00392 }`; written and read by whoever prepares the data. */
export type Preprocess = { readonly [name: string]: Json };

/** The part of a config that a model knows of itself. */
export type OwnConfig = ModelConfig;

/**
 * What `models.save` writes beside the weights. `architecture` is a registered name; a class of the user's is named by `module` (a file, relative to the
 * config's folder) and `export`. `classes` are the names of the outputs, or their number.
 */
export type SavedConfig = ModelConfig & {
  readonly graft_version: string;
  readonly input_shape?: readonly number[];
  readonly classes?: readonly string[] | number;
  readonly preprocess?: Preprocess;
  readonly module?: string;
  readonly export?: string;
};

/** Keys that every config may have, besides those of its architecture. */
export const commonKeys = ["architecture", "graft_version", "input_shape", "classes", "preprocess", "module", "export", "description", "training"] as const;

let known: string | undefined;

/** The version of this package. */
export function graftVersion(): string {
  if (known === undefined) {
    const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string };
    known = version;
  }
  return known;
}

/**
 * The config that a model describes itself by: its `config` field. Throws `config` for a model that has none.
 * @example
 * models.configOf(new SimpleCNN()).architecture; // "SimpleCNN"
 */
export function configOf(model: Module): OwnConfig {
  const own = (model as { config?: unknown }).config;
  if (typeof own === "object" && own !== null && typeof (own as { architecture?: unknown }).architecture === "string") return own as OwnConfig;
  const name = model.constructor.name;
  throw new GraftError("config", `models.save: ${name} does not say how it is built. Give it a field readonly config = { architecture: "${name}", ... }, or pass a config with "architecture".`);
}
