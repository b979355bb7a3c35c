import { join } from "node:path";
import { GraftError } from "../base/index.js";
import { listCheckpoints, readJson, writeFileAtomic, type Json } from "../io/index.js";
import { graftVersion } from "../models/index.js";
import { currentBackend } from "../runtime/index.js";
import type { Override } from "./overrides.js";

/** What run.json tells of a run. */
export interface RunRecord {
  readonly name: string;
  /** The recipe or program. */
  readonly file: string;
  readonly overrides: readonly Override[];
  readonly seed: number;
  readonly settings: { readonly [name: string]: Json };
  readonly data?: Json;
  /** SHA-256 of the data, see data-hash.ts. */
  readonly dataHash?: string;
  readonly versions: { readonly [name: string]: string };
  readonly started: string;
  /** Absent while the run goes on, and when it was killed. */
  readonly stopped?: string;
  readonly results?: { readonly [name: string]: Json };
}

const file = "run.json";

/** What computed a run: versions, machine, instruction set of the kernels and threads. */
export const versions = (): RunRecord["versions"] => ({
  graft: graftVersion(),
  node: process.versions.node,
  platform: `${process.platform}-${process.arch}`,
  backend: currentBackend().description,
});

/** The record of an earlier run in a folder, if there is one. */
export async function readRun(out: string): Promise<RunRecord | undefined> {
  try {
    return (await readJson(join(out, file))) as unknown as RunRecord;
  } catch (error) {
    if (error instanceof GraftError && error.code === "file") return undefined;
    throw error;
  }
}

/** Writes the record, completely or not at all. */
export const writeRun = (out: string, record: RunRecord): Promise<void> => writeFileAtomic(join(out, file), `${JSON.stringify(record, null, 2)}\n`);

/** Whether a folder holds checkpoints. Throws `state` for a run there that is neither gone on with nor begun anew. */
export async function holdsRun(command: string, out: string, where: { readonly checkpoints?: string; readonly resume?: boolean; readonly overwrite?: boolean }): Promise<boolean> {
  const { checkpoints = out, resume = false, overwrite = false } = where;
  const saved = (await listCheckpoints(checkpoints).catch(() => [])).length > 0;
  if (saved && !resume && !overwrite) throw new GraftError("state", `${command}: ${out} holds a run. Go on with --resume, begin anew with --overwrite, or choose another folder with --out.`);
  return saved;
}

/** Throws `state` rather than let a new run delete the checkpoints of one that was interrupted. */
export async function checkUnfinished(out: string, earlier: RunRecord | undefined, command: string): Promise<void> {
  const finished = earlier?.stopped !== undefined && earlier.stopped !== "interrupted";
  const last = (await listCheckpoints(out)).at(-1);
  if (finished || last === undefined) return;
  throw new GraftError("state", `${out} holds a run that was not finished (checkpoint-${last}). Go on with ${command} --resume, start again with --overwrite, or choose another folder with --out.`);
}
