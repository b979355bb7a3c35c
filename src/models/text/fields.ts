import { GraftError } from "../../base/index.js";
import type { Json, JsonObject } from "../../io/index.js";
import type { TextConfig } from "./types.js";

/** A key that may be null in a config file, with its default. */
export interface Nullable<T extends "number" | "string" | "list" | "object"> {
  readonly kind: T;
  readonly value: Json;
}

type Plain = number | string | boolean;
type Value<D> = D extends Nullable<infer T> ? (T extends "number" ? number : T extends "string" ? string : T extends "list" ? readonly Json[] : JsonObject) | null : D extends number ? number : D extends string ? string : boolean;

/** The typed keys that a table of defaults describes. */
export type Fields<D> = { readonly [K in keyof D]: Value<D[K]> };

/** A key that may be absent or null. */
export const nullable = <T extends "number" | "string" | "list" | "object">(kind: T, value: Json = null): Nullable<T> => ({ kind, value });

const kindOf = (value: Json): string => (value === null ? "null" : Array.isArray(value) ? "list" : typeof value);

/**
 * Reads the keys of a Hugging Face config that a model knows, with Hugging Face's defaults for those that are absent; all other keys are kept as they are.
 *
 * Throws `config`, with all keys whose values are of the wrong kind.
 */
export function readFields<D extends Readonly<Record<string, Plain | Nullable<"number" | "string" | "list" | "object">>>>(name: string, config: JsonObject, defaults: D): Fields<D> & TextConfig {
  const problems: string[] = [];
  const read: Record<string, Json> = {};
  for (const [key, fallback] of Object.entries(defaults)) {
    const may = typeof fallback === "object" ? fallback : undefined;
    const kind = may?.kind ?? typeof fallback;
    const given = config[key];
    if (given === undefined) read[key] = may !== undefined ? may.value : (fallback as Plain);
    else if (kindOf(given) === kind || (given === null && may !== undefined)) read[key] = given;
    else problems.push(`${key} is ${JSON.stringify(given)}, not a ${kind}.`);
  }
  if (problems.length > 0) throw new GraftError("config", `${name} config: ${problems.join(" ")} Use the config.json of a checkpoint of this architecture.`);
  return { ...config, ...read } as Fields<D> & TextConfig;
}

/** Checks that sizes are whole numbers of 1 or more and that hidden size and heads fit. Throws `config`. */
export function checkSizes(name: string, sizes: Readonly<Record<string, number>>, [width, heads]: readonly [width: string, heads: string] | readonly [] = []): void {
  for (const [key, value] of Object.entries(sizes)) {
    if (!Number.isInteger(value) || value < 1) throw new GraftError("config", `${name} config: ${key} is ${value}. Use a whole number of 1 or more.`);
  }
  if (width !== undefined && heads !== undefined && sizes[width] % sizes[heads] !== 0) {
    throw new GraftError("config", `${name} config: ${width} ${sizes[width]} is not a multiple of ${heads} ${sizes[heads]}. Change one of them.`);
  }
}

/** Throws `config` for settings that the model cannot do, each with its reason. */
export function refuse(name: string, wrong: Readonly<Record<string, boolean>>): void {
  const found = Object.keys(wrong).filter((key) => wrong[key]);
  if (found.length > 0) throw new GraftError("config", `${name} config: ${found.join(", ")} cannot be done yet. Use a checkpoint without it.`);
}
