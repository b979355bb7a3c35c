import { GraftError } from "../base/index.js";
import type { ModelConfig } from "../io/index.js";

/** The named options of a config that are there. */
export function readOptions<K extends string>(config: ModelConfig, keys: readonly K[]): Partial<Record<K, unknown>> {
  return Object.fromEntries(keys.filter((key) => config[key] !== undefined).map((key) => [key, config[key]])) as Partial<Record<K, unknown>>;
}

/** `inputShape` from a config's `input_shape`; with `rank` it must have that many sizes. Throws `config`. */
export function readShape(name: string, { input_shape: shape }: ModelConfig, rank?: number): { inputShape?: readonly number[] } {
  if (shape === undefined) return {};
  const good = Array.isArray(shape) && shape.every((size) => typeof size === "number" && Number.isInteger(size) && size > 0) && (rank === undefined || shape.length === rank);
  if (!good) throw new GraftError("config", `${name} config: input_shape is ${JSON.stringify(shape)}. Use ${rank === undefined ? "a list of" : rank} whole numbers of 1 or more.`);
  return { inputShape: shape as readonly number[] };
}

/** The number of outputs from a config's `classes`, which are their names or their number. Throws `config`. */
export function readClasses(name: string, { classes }: ModelConfig): { classes?: number } {
  if (classes === undefined) return {};
  if (typeof classes === "number" && Number.isInteger(classes) && classes > 0) return { classes };
  if (Array.isArray(classes) && classes.length > 0 && classes.every((item) => typeof item === "string")) return { classes: classes.length };
  throw new GraftError("config", `${name} config: classes is ${JSON.stringify(classes)}. Use a list of names, or their number.`);
}

/** The names of a config's classes; "0", "1", ... where it holds their number only. */
export function classNames({ classes }: ModelConfig): readonly string[] | undefined {
  if (Array.isArray(classes)) return classes as readonly string[];
  return typeof classes === "number" ? Array.from({ length: classes }, (_, i) => String(i)) : undefined;
}
