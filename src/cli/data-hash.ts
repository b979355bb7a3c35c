import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { GraftError, readError } from "../base/index.js";
import { Random, type Dataset } from "../data/index.js";
import type { DataSource } from "../train/index.js";

/** Samples of each part that are looked at, where they are in memory, and where each is a file: a large data set is not read twice. */
const most = { memory: 10_000, files: 64 } as const;

/**
 * SHA-256 over the sizes of all parts and their samples, of large parts some that are evenly spread; tells other data, or data in another order, from those of a run. Undefined
 * for loaders of which the data set is not known.
 */
export async function hashSamples(parts: readonly (DataSource | undefined)[]): Promise<string | undefined> {
  const hash = createHash("sha256");
  for (const part of parts) {
    const dataset = part === undefined || "get" in part ? part : (part as { readonly dataset?: Dataset<unknown> }).dataset;
    if (part !== undefined && dataset === undefined) return undefined;
    const length = dataset?.length ?? 0;
    hash.update(`${length};`);
    const get = (index: number): unknown => dataset!.get(index, new Random(0, { purpose: "sample", epoch: 0, index }));
    if (length === 0) continue;
    const first = get(0);
    const count = Math.min(length, first instanceof Promise ? most.files : most.memory);
    for (let i = 0; i < count; i++) add(hash, await (i === 0 ? first : get(Math.floor((i * length) / count))));
  }
  return hash.digest("hex");
}

/** Adds a value of any kind that samples have, with what tells it from others of the same bytes. */
function add(hash: Hash, value: unknown): void {
  if (ArrayBuffer.isView(value)) hash.update(`${value.constructor.name}${value.byteLength};`).update(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
  else if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value);
    hash.update(`{${entries.length}`);
    for (const [name, part] of entries) add(hash.update(`${JSON.stringify(name)}:`), part);
  } else hash.update(`${typeof value}${String(value as number)};`);
}

/** SHA-256 of files, one after the other. */
export async function hashFiles(files: readonly string[]): Promise<string> {
  const hash = createHash("sha256");
  for (const file of files) {
    await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), async (chunks: AsyncIterable<Buffer>) => {
      for await (const chunk of chunks) hash.update(chunk);
    }).catch((cause: unknown) => {
      throw readError(file, cause);
    });
  }
  return hash.digest("hex");
}

/** Throws `state` when a run is resumed with other data than those that it began with. */
export function checkSameData(out: string, before: string | undefined, now: string | undefined): void {
  if (before === undefined || now === undefined || before === now) return;
  throw new GraftError(
    "state",
    `${out}: the run began with other data (SHA-256 ${before.slice(0, 12)}..., now ${now.slice(0, 12)}...), so it cannot go on with the same bits. Put the data back, or start a new run with --out or --overwrite.`,
  );
}
