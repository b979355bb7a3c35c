import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { GraftError } from "../../base/index.js";
import { isThere } from "./cache.js";
import { parseHubName } from "./name.js";

/**
 * The folder with the files of a model. `path` is that folder, a file in it, or the model's name on the Hugging Face hub: `owner/name`, or `owner/name@revision` with a branch, tag or
 * commit. A folder that exists wins; a name is looked up in Hugging Face's cache and fetched as far as it is missing there. Environment: `HF_TOKEN`, `HF_HOME`, `HF_HUB_CACHE`,
 * `HF_HUB_OFFLINE`, `HF_ENDPOINT`.
 *
 * Throws `file` for what is neither, `network` for a model that cannot be had.
 * @example
 * const tokenizer = await data.tokenizers.Tokenizer.load(await io.modelFolder("owner/name"));
 */
export async function modelFolder(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined);
  if (found !== undefined) return found.isDirectory() ? join(path) : dirname(path);
  const name = parseHubName(path);
  const there = "there is no such file or folder";
  if (name === undefined) throw new GraftError("file", `${path}: ${there}. Name the folder with config.json and model.safetensors, or a model of the Hugging Face hub as owner/name or owner/name@revision.`);
  const [owner] = path.split("/");
  if (!name.explicit && (await isThere(owner))) {
    throw new GraftError("file", `${path}: ${there}. ${owner} is a folder here, so this is taken as a path; for the model of that name on the hub write ${path}@main.`);
  }
  return (await import("./snapshot.js")).snapshotOf(name);
}
