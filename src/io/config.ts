import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { GraftError, didYouMean, readError } from "../base/index.js";
import { writeFileAtomic } from "./atomic.js";
import { isJsonObject, parseJson, type JsonObject } from "./json.js";
import { encodeState } from "./state-json.js";

/** What a model is built from: the name of its architecture, and that architecture's options. */
export type ModelConfig = JsonObject & { readonly architecture: string };

/**
 * Writes a model's config as `config.json` (into a folder) or under the given `.json` name, atomically.
 *
 * Throws `file` when it cannot be written, `state` when a value is not plain JSON.
 *
 * @example
 * await writeConfig("runs/a", { architecture: "simple-cnn", classes: 10 });
 */
export async function writeConfig(path: string, config: ModelConfig): Promise<void> {
  if (encodeState(config) !== JSON.stringify(config)) throw new GraftError("state", `config: ${path}: holds NaN, an infinity or -0, which JSON would change. Use other values.`);
  await writeFileAtomic(path.endsWith(".json") ? path : join(path, "config.json"), `${JSON.stringify(config, null, 2)}\n`);
}

/**
 * Reads a model's config from a folder or from a `.json` file.
 *
 * Throws `file` when it is missing, `format` when it is not a JSON object with an `architecture`.
 *
 * @example
 * const { architecture, ...options } = await readConfig("runs/a");
 */
export async function readConfig(path: string): Promise<ModelConfig> {
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
  const file = isFolder ? join(path, "config.json") : path;
  const json = await readJson(file);
  const { architecture } = json;
  if (typeof architecture !== "string" || architecture === "") throw new GraftError("format", `config: ${file}: has no "architecture". Say which model it describes, e.g. "architecture": "simple-cnn".`);
  return { ...json, architecture };
}

/** Reads a JSON file that holds an object. Throws `file` or `format`. */
export async function readJson(file: string): Promise<JsonObject> {
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw readError(file, cause);
  });
  const json = parseJson(file, text);
  if (!isJsonObject(json)) throw new GraftError("format", `${file}: is not a JSON object. Write { ... }.`);
  return json;
}

/**
 * Checks that an object has no keys but the known ones; names all unknown ones at once, each with the nearest known word.
 *
 * Throws `config`.
 *
 * @example
 * checkKeys("simple-cnn config", { hiden: 64 }, ["hidden", "classes"]);
 * // GraftError: simple-cnn config: unknown key "hiden". Did you mean "hidden"? Known keys: hidden, classes.
 */
export function checkKeys(what: string, value: object, known: readonly string[]): void {
  const unknown = Object.keys(value).filter((key) => !known.includes(key));
  if (unknown.length === 0) return;
  const problems = unknown.map((key) => `unknown key "${key}".${didYouMean(key, known)}`);
  throw new GraftError("config", `${what}: ${problems.join(" ")} Known keys: ${known.join(", ")}.`);
}
