import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { GraftError } from "../base/index.js";
import { readJson } from "../io/index.js";

/** Whether a folder holds an adapter and not a model. */
export const isAdapter = (folder: string): boolean => existsSync(join(folder, "adapter_config.json")) && !existsSync(join(folder, "config.json"));

/** The model that an adapter was made for: what the user says, or else what its config names. Throws `config` where neither does. */
export async function adapterBase(folder: string, given?: string): Promise<string> {
  const { base_model_name_or_path: named, revision } = await readJson(join(folder, "adapter_config.json"));
  if (given !== undefined) return given;
  if (typeof named !== "string" || named === "") throw new GraftError("config", `${folder}/adapter_config.json does not name its model. Say --model FOLDER.`);
  return typeof revision === "string" && revision !== "" && !existsSync(named) ? `${named}@${revision}` : named;
}

/** How an adapter names its model: a folder from everywhere, a name on the hub as it is. */
export const baseName = (model: string): string => (existsSync(model) ? resolve(model) : model);
