import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { GraftError, readError } from "../base/index.js";
import { cleanInterrupted, writeFileAtomic, writeFolderAtomic } from "./atomic.js";
import type { HostTensor } from "./host.js";
import { isJsonObject, parseJson, type Json, type JsonObject } from "./json.js";
import { readSafetensors, writeSafetensors, type NamedTensors } from "./safetensors.js";
import { decodeState, encodeState } from "./state-json.js";

/** What `saveCheckpoint` writes. */
export interface CheckpointContent {
  /** Number of optimizer steps done; part of the folder's name. */
  readonly step: number;
  /** Tensors by part and name; each part is a file, e.g. `model` -> `model.safetensors`, `optimizer` -> `optimizer.safetensors`. */
  readonly tensors: Readonly<Record<string, NamedTensors>>;
  /** Everything else: counters, schedulers, random state, loader position, log. Plain JSON, also with NaN and Infinity. */
  readonly state: unknown;
  /** Keep only this many checkpoints, the newest ones. Default: all. */
  readonly keep?: number;
  /** Step of the best checkpoint so far, which is kept in addition. */
  readonly best?: number;
}

/** What `loadCheckpoint` returns. */
export interface Checkpoint {
  readonly step: number;
  readonly tensors: Readonly<Record<string, Map<string, HostTensor>>>;
  readonly state: unknown;
}

const stateFile = "state.json";
const formatVersion = 1;

/**
 * Saves a checkpoint as the folder `<dir>/checkpoint-<step>`, which appears complete or not at all, whatever happens meanwhile.
 *
 * Files: one safetensors file per part, and `state.json` with the state and the SHA-256 of every part. Leftovers of interrupted
 * saves are removed; with `keep`, old checkpoints too, once the new one is on the disk. Returns the folder. Throws `file` when it
 * cannot be written (older checkpoints are then intact), `state` when the state is not plain JSON.
 *
 * @example
 * await saveCheckpoint("runs/a", { step: 100, tensors: { model: model.stateDict() }, state: { epoch: 2 }, keep: 3, best: 80 });
 */
export async function saveCheckpoint(dir: string, content: CheckpointContent): Promise<string> {
  const { step, tensors, state, keep, best } = content;
  if (!Number.isSafeInteger(step) || step < 0) throw new GraftError("argument", `saveCheckpoint: step is ${step}. Give a whole number of 0 or more.`);
  if (keep !== undefined) checkKeep("saveCheckpoint", keep);
  const text = encodeState(state);
  const parts = Object.entries(tensors);
  for (const [part] of parts) {
    if (!/^[a-zA-Z][\w-]*$/.test(part)) throw new GraftError("argument", `saveCheckpoint: "${part}" is not a name for a part. Use letters, digits, - and _.`);
  }
  await cleanInterrupted(dir);
  const folder = join(dir, `checkpoint-${step}`);
  await writeFolderAtomic(folder, async (temporary) => {
    const files: Record<string, { bytes: number; sha256: string }> = {};
    for (const [part, named] of parts) {
      const file = join(temporary, `${part}.safetensors`);
      await writeSafetensors(file, named);
      files[part] = { bytes: (await stat(file)).size, sha256: await hashFile(file) };
    }
    const head = JSON.stringify({ format: formatVersion, step, files, stateSha256: hash(text) });
    await writeFileAtomic(join(temporary, stateFile), `${head.slice(0, -1)},"state":${text}}\n`);
  });
  if (keep !== undefined) await pruneCheckpoints(dir, { keep, best });
  return folder;
}

/**
 * Loads a checkpoint folder and verifies every checksum before it returns anything.
 *
 * Throws `file` when a file is missing, `format` when one was changed or damaged.
 *
 * @example
 * const latest = await latestCheckpoint("runs/a");
 * if (latest !== undefined) model.loadStateDict((await loadCheckpoint(latest)).tensors.model);
 */
export async function loadCheckpoint(folder: string): Promise<Checkpoint> {
  const { step, files, state, stateSha256 } = await readState(folder);
  const stateOk = hash(JSON.stringify(state)) === stateSha256;
  if (!stateOk) throw damaged(folder, stateFile);
  const tensors: Record<string, Map<string, HostTensor>> = {};
  for (const [part, expected] of files) {
    const file = join(folder, `${part}.safetensors`);
    if ((await hashFile(file)) !== expected.sha256) throw damaged(folder, `${part}.safetensors`);
    tensors[part] = await readSafetensors(file);
  }
  return { step, tensors, state: decodeState(state) };
}

/**
 * The newest complete checkpoint in a folder, or undefined when there is none. Unfinished folders of a killed run are removed;
 * a checkpoint that lacks a file or has one of the wrong size is passed over.
 *
 * @example
 * const resumeFrom = await latestCheckpoint("runs/a");
 */
export async function latestCheckpoint(dir: string): Promise<string | undefined> {
  await cleanInterrupted(dir);
  for (const step of (await listCheckpoints(dir)).reverse()) {
    const folder = join(dir, `checkpoint-${step}`);
    if (await isComplete(folder)) return folder;
  }
  return undefined;
}

/** The steps of all checkpoints in a folder, ascending. A folder that does not exist has none. */
export async function listCheckpoints(dir: string): Promise<number[]> {
  const names = await readdir(dir).catch(() => []);
  const steps = names.map((name) => /^checkpoint-(0|[1-9]\d{0,14})$/.exec(name)?.[1]).filter((step) => step !== undefined);
  return steps.map(Number).sort((a, b) => a - b);
}

/**
 * Deletes all but the `keep` newest complete checkpoints, and never the one of step `best`. Returns the steps deleted.
 *
 * @example
 * await pruneCheckpoints("runs/a", { keep: 3, best: 80 });
 */
export async function pruneCheckpoints(dir: string, { keep, best }: { readonly keep: number; readonly best?: number }): Promise<number[]> {
  checkKeep("pruneCheckpoints", keep);
  const complete: number[] = [];
  for (const step of await listCheckpoints(dir)) if (await isComplete(join(dir, `checkpoint-${step}`))) complete.push(step);
  const old = complete.slice(0, -keep).filter((step) => step !== best);
  for (const step of old) await rm(join(dir, `checkpoint-${step}`), { recursive: true, force: true });
  return old;
}

interface StateFile {
  readonly step: number;
  readonly files: ReadonlyMap<string, { readonly bytes: number; readonly sha256: string }>;
  readonly state: Json;
  readonly stateSha256: string;
}

async function readState(folder: string): Promise<StateFile> {
  const path = join(folder, stateFile);
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw readError(path, cause);
  });
  const json = parseJson(`checkpoint: ${path}`, text);
  if (!isJsonObject(json) || json.format !== formatVersion) throw new GraftError("format", `checkpoint: ${path}: is not a checkpoint of format ${formatVersion}. Load it with the version that wrote it.`);
  const { step, files, state, stateSha256 } = json;
  if (typeof step !== "number" || !isJsonObject(files) || state === undefined || typeof stateSha256 !== "string") throw damaged(folder, stateFile);
  const checked = Object.entries(files).map(([part, entry]) => {
    if (!/^[a-zA-Z][\w-]*$/.test(part) || !isFileEntry(entry)) throw damaged(folder, stateFile);
    return [part, entry] as const;
  });
  return { step, files: new Map(checked), state, stateSha256 };
}

const isFileEntry = (entry: Json): entry is JsonObject & { bytes: number; sha256: string } =>
  isJsonObject(entry) && typeof entry.bytes === "number" && typeof entry.sha256 === "string";

async function isComplete(folder: string): Promise<boolean> {
  try {
    for (const [part, { bytes }] of (await readState(folder)).files) {
      if ((await stat(join(folder, `${part}.safetensors`))).size !== bytes) return false;
    }
    return true;
  } catch {
    return false;
  }
}

function checkKeep(op: string, keep: number): void {
  if (!Number.isInteger(keep) || keep < 1) throw new GraftError("argument", `${op}: keep is ${keep}. Give a whole number of 1 or more.`);
}

const damaged = (folder: string, file: string): GraftError =>
  new GraftError("format", `checkpoint: ${join(folder, file)}: does not match its checksum, it was changed or damaged. Resume from another checkpoint.`);

const hash = (text: string): string => createHash("sha256").update(text).digest("hex");

async function hashFile(file: string): Promise<string> {
  const digest = createHash("sha256");
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), digest).catch((cause: unknown) => {
    throw readError(file, cause);
  });
  return digest.digest("hex");
}
