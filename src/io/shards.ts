import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { GraftError, readError } from "../base/index.js";
import { writeFileAtomic } from "./atomic.js";
import type { HostTensor, TensorSource } from "./host.js";
import { isJsonObject, isReservedName, parseJson, shorten } from "./json.js";
import { inFileOrder, readSafetensors, storedBytes, writeSafetensors, type NamedTensors, type WriteOptions } from "./safetensors.js";

const single = "model.safetensors";
const indexName = "model.safetensors.index.json";

/** Options of `writeWeights`. */
export interface ShardOptions extends WriteOptions {
  /** A file takes at most this many bytes of tensors (one tensor is never cut). Default 5e9. */
  readonly maxShardBytes?: number;
}

/**
 * Writes the weights of a model into a folder: `model.safetensors`, or, when that would be larger than `maxShardBytes`,
 * `model-00001-of-0000N.safetensors` with `model.safetensors.index.json`, as Hugging Face does. The index is written last.
 *
 * Returns the names of the files that it wrote. Throws `file` when one cannot be written, `argument` for a bad limit.
 *
 * @example
 * await writeWeights("runs/a", model.stateDict(), { maxShardBytes: 2e9 });
 */
export async function writeWeights(dir: string, tensors: NamedTensors, { maxShardBytes = 5e9, metadata }: ShardOptions = {}): Promise<string[]> {
  if (!(maxShardBytes >= 1)) throw new GraftError("argument", `writeWeights: maxShardBytes is ${maxShardBytes}. Give a number of 1 or more.`);
  const shards: [string, TensorSource][][] = [[]];
  let filled = 0;
  let total = 0;
  for (const entry of inFileOrder(tensors)) {
    const bytes = storedBytes(entry[1]);
    if (filled > 0 && filled + bytes > maxShardBytes) {
      shards.push([]);
      filled = 0;
    }
    shards[shards.length - 1].push(entry);
    filled += bytes;
    total += bytes;
  }
  if (shards.length === 1) {
    await writeSafetensors(join(dir, single), tensors, { metadata });
    return [single];
  }
  const number = (n: number): string => String(n).padStart(5, "0");
  const files = shards.map((_, i) => `model-${number(i + 1)}-of-${number(shards.length)}.safetensors`);
  const weightMap: Record<string, string> = {};
  for (const [i, shard] of shards.entries()) {
    await writeSafetensors(join(dir, files[i]), new Map(shard), { metadata });
    for (const [name] of shard) weightMap[name] = files[i];
  }
  await writeFileAtomic(join(dir, indexName), `${JSON.stringify({ metadata: { total_size: total }, weight_map: weightMap }, null, 2)}\n`);
  return [...files, indexName];
}

/**
 * Reads the weights of a model from a safetensors file, from an index file (`*.index.json`), or from a folder that holds one.
 *
 * Throws `file` when something is missing and `format` when a file is broken, an index names a file outside of its folder, or the
 * files do not hold exactly the tensors that the index promises.
 *
 * @example
 * const weights = await readWeights("models/tiny-llama");
 */
export async function readWeights(path: string): Promise<Map<string, HostTensor>> {
  if (path.endsWith(".json")) return readIndexed(path);
  if (!(await isFolder(path))) return readSafetensors(path);
  if (await exists(join(path, indexName))) return readIndexed(join(path, indexName));
  if (await exists(join(path, single))) return readSafetensors(join(path, single));
  throw new GraftError("file", `${path}: has neither ${single} nor ${indexName}. Give the folder of a saved model, or the file itself.`);
}

async function readIndexed(index: string): Promise<Map<string, HostTensor>> {
  const text = await readFile(index, "utf8").catch((cause: unknown) => {
    throw readError(index, cause);
  });
  const bad = (problem: string): GraftError => new GraftError("format", `safetensors: ${index}: ${problem}. Download or write the files again.`);
  const json = parseJson(`safetensors: ${index}`, text);
  const map = isJsonObject(json) ? json.weight_map : undefined;
  if (!isJsonObject(map)) throw bad(`has no "weight_map"`);

  const promised = new Map<string, Set<string>>(); // file -> names
  for (const [name, file] of Object.entries(map)) {
    if (typeof file !== "string" || !/^[\w.-]+\.safetensors$/.test(file) || isReservedName(file)) throw bad(`tensor "${shorten(name)}" lies in ${shorten(JSON.stringify(file))}, which is not a file beside the index`);
    promised.set(file, (promised.get(file) ?? new Set()).add(name));
  }
  const result = new Map<string, HostTensor>();
  for (const [file, names] of promised) {
    const tensors = await readSafetensors(join(index, "..", file));
    for (const name of names) if (!tensors.has(name)) throw bad(`tensor "${shorten(name)}" is not in ${file}`);
    for (const [name, tensor] of tensors) {
      if (!names.has(name)) throw bad(`${file} holds tensor "${shorten(name)}", which the index places in ${JSON.stringify(map[name] ?? "no file")}`);
      result.set(name, tensor);
    }
  }
  return result;
}

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );
