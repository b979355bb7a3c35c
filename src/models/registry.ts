import { didYouMean, GraftError } from "../base/index.js";
import { checkKeys, type ModelConfig } from "../io/index.js";
import type { Module } from "../nn/index.js";
import { commonKeys } from "./config.js";

/** How a model is built from its config. */
export interface Architecture {
  /** Keys of a config of this architecture besides the common ones (`architecture`, `input_shape`, `classes`, `preprocess`, ...); absent: any key. */
  readonly keys?: readonly string[];
  /** Builds the model, with fresh weights. */
  create(config: ModelConfig): Module;
}

const architectures = new Map<string, Architecture>();

/**
 * Makes an architecture known by name, so that `models.create`, `models.load` and the commands find it. A later registration replaces an earlier one.
 * @example
 * models.register("TinyNet", { keys: ["width"], create: ({ width }) => new TinyNet(width as number) });
 */
export function register(name: string, architecture: Architecture): void {
  if (typeof name !== "string" || name === "") throw new GraftError("argument", `models.register: the name is ${JSON.stringify(name)}. Use the name of the class.`);
  if (typeof architecture?.create !== "function") throw new GraftError("argument", `models.register: "${name}" has no create function. Pass { create: (config) => new ${name}(...) }.`);
  architectures.set(name, architecture);
}

/** The names of all registered architectures. */
export const architectureNames = (): string[] => [...architectures.keys()];

/** Whether an architecture is registered. */
export const isRegistered = (name: string): boolean => architectures.has(name);

/**
 * Builds a model with fresh weights from a config.
 *
 * Throws `config` for an unknown architecture or unknown keys, each with the nearest known word.
 * @example
 * const model = models.create({ architecture: "SimpleCNN", input_shape: [1, 28, 28], classes: 10 });
 */
export function create(config: ModelConfig): Module {
  const { architecture: name } = config;
  const found = architectures.get(name);
  if (found === undefined) {
    throw new GraftError(
      "config",
      `models.create: there is no architecture ${JSON.stringify(name)}.${didYouMean(String(name), architectures.keys())} Known: ${architectureNames().join(", ")}. ` +
        `A class of your own is registered with models.register, or named in the config as "module" and "export".`,
    );
  }
  if (found.keys !== undefined) checkKeys(`${name} config`, config, [...commonKeys, ...found.keys]);
  return found.create(config);
}
