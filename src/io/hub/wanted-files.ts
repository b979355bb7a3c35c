import { join } from "node:path";
import { GraftError } from "../../base/index.js";
import { readJson } from "../config.js";
import { isJsonObject } from "../json.js";
import { isThere } from "./cache.js";

/** Files that say what a model is and how text becomes tokens; those that are not there are done without. */
const small = ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "adapter_config.json"];
const index = "model.safetensors.index.json";
const [whole, adapter] = ["model.safetensors", "adapter_model.safetensors"];

/** What to fetch first, of the files that a model has on the hub. The weights follow: {@link weightFiles}. */
export const smallFiles = (present: ReadonlySet<string>): string[] => [...small, ...(present.has("config.json") ? [index] : [])].filter((name) => present.has(name));

/**
 * The files with weights, once the small files are in the folder. A shard that an index names and the hub does not have is left to the reader of the folder.
 *
 * Throws `format` for a repository without such files.
 */
export async function weightFiles(name: string, present: ReadonlySet<string>, folder: string): Promise<string[]> {
  const isAdapter = present.has("adapter_config.json") && present.has(adapter);
  if (!present.has("config.json") && !isAdapter) throw new GraftError("format", `${name}: the hub has no config.json for it, so it is no model that Graft can read. Choose another one.`);
  const shards = present.has("config.json") && present.has(index) ? await shardsOf(join(folder, index)) : [];
  const model = shards.length > 0 ? shards : present.has("config.json") && present.has(whole) ? [whole] : [];
  if (model.length === 0 && !isAdapter) {
    const other = [...present].filter((file) => /\.(bin|pt|pth|gguf|h5|msgpack|onnx)$/.test(file));
    throw new GraftError("format", `${name}: the hub has no safetensors for it${other.length > 0 ? `, only ${other.slice(0, 3).join(", ")}` : ""}. Choose a revision with model.safetensors, or convert it with Transformers.`);
  }
  return [...model, ...(isAdapter ? [adapter] : [])].filter((file) => present.has(file));
}

async function shardsOf(file: string): Promise<string[]> {
  const { weight_map: map } = await readJson(file);
  const names = isJsonObject(map) ? new Set(Object.values(map)) : new Set();
  return [...names].filter((name): name is string => typeof name === "string").sort();
}

/** The first file that a folder of the cache lacks; undefined when a model or an adapter is whole. */
export async function missingFile(folder: string): Promise<string | undefined> {
  const has = (name: string): Promise<boolean> => isThere(join(folder, name));
  if ((await has("adapter_config.json")) && (await has(adapter))) return undefined;
  if (!(await has("config.json"))) return "config.json";
  if (!(await has(index))) return (await has(whole)) ? undefined : whole;
  for (const shard of await shardsOf(join(folder, index))) if (!(await has(shard))) return shard;
  return undefined;
}
