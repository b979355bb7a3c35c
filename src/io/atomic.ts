import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, realpath, rename, rm, type FileHandle } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { GraftError } from "../base/index.js";

/** Appends bytes, or text as UTF-8, to the file being written. */
export type Write = (bytes: Uint8Array | string) => Promise<void>;

/**
 * Writes a file so that a reader, or the same program after a crash, finds the old content or the whole new one.
 *
 * The bytes go to a temporary file in the same folder, are flushed to the disk, and the file is then renamed. Missing parent folders
 * are made; a symbolic link is followed. Throws `file` when it cannot be written (full disk, no permission): the old file is then
 * intact and the unfinished one removed. An error thrown by `content` itself is passed on after the same clean-up.
 *
 * @example
 * await writeFileAtomic("notes.json", JSON.stringify({ step: 100 }));
 * await writeFileAtomic("big.txt", async (write) => { for (const line of lines) await write(line + "\n"); });
 */
export async function writeFileAtomic(file: string, content: Uint8Array | string | ((write: Write) => Promise<void>)): Promise<void> {
  const target = await realpath(file).catch(() => resolve(file));
  const temporary = temporaryName(target);
  let handle: FileHandle | undefined;
  live.add(temporary);
  try {
    await mkdir(dirname(target), { recursive: true });
    handle = await open(temporary, "wx");
    const write = writerTo(handle);
    await (typeof content === "function" ? content(write) : write(content));
    await handle.sync();
    await handle.close();
    handle = undefined;
    await rename(temporary, target);
    await syncFolder(dirname(target));
  } catch (cause) {
    await handle?.close().catch(() => undefined);
    await rm(temporary, { force: true }).catch(() => undefined);
    throw writeError(file, cause);
  } finally {
    live.delete(temporary);
  }
}

/**
 * Makes a folder so that it appears complete or not at all: `fill` writes into a temporary folder, which is then renamed.
 *
 * A folder of that name is replaced; if the machine dies between the two renames of a replacement, `cleanInterrupted` puts the old
 * one back. Throws as `writeFileAtomic`. Files should be written with `writeFileAtomic`, which flushes them.
 *
 * @example
 * await writeFolderAtomic("runs/a/checkpoint-100", async (folder) => writeFileAtomic(join(folder, "state.json"), "{}"));
 */
export async function writeFolderAtomic(folder: string, fill: (temporary: string) => Promise<void>): Promise<void> {
  const target = resolve(folder);
  const temporary = temporaryName(target);
  const replaced = temporary.replace(/\.tmp$/, ".old");
  live.add(temporary).add(replaced);
  try {
    await mkdir(temporary, { recursive: true });
    await fill(temporary);
    await syncFolder(temporary);
    const exists = await rename(target, replaced).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code !== "ENOENT") throw error;
        return false;
      },
    );
    try {
      await rename(temporary, target);
    } catch (error) {
      if (exists) await rename(replaced, target);
      throw error;
    }
    await syncFolder(dirname(target));
    if (exists) await rm(replaced, { recursive: true, force: true });
  } catch (cause) {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
    throw writeError(folder, cause);
  } finally {
    live.delete(temporary);
    live.delete(replaced);
  }
}

/**
 * Removes what writers that were killed left in a folder, and puts back a folder whose replacement was cut off. What a running
 * process is writing is left alone. Returns the names it removed or restored; a folder that does not exist has none.
 *
 * @example
 * await cleanInterrupted("runs/a");
 */
export async function cleanInterrupted(dir: string): Promise<string[]> {
  const names = await readdir(dir).catch(() => []);
  const present = new Set(names);
  const changed: string[] = [];
  for (const name of names) {
    const match = leftover.exec(name);
    if (match === null) continue;
    const path = join(resolve(dir), name);
    const [, target, pid, kind] = match;
    if (live.has(path) || (Number(pid) !== process.pid && isRunning(Number(pid)))) continue;
    if (kind === "old" && !present.has(target)) await rename(path, join(dir, target));
    else await rm(path, { recursive: true, force: true });
    changed.push(name);
  }
  return changed;
}

/** Names that this process is writing now: not leftovers, although they carry its process id. */
const live = new Set<string>();

const leftover = /^\.(.+)\.(\d+)-[0-9a-f]{8}\.(tmp|old)$/;

/** The name tells who writes it, so that the leftovers of a dead process can be told from the work of a running one. */
const temporaryName = (target: string): string => join(dirname(target), `.${basename(target)}.${process.pid}-${randomBytes(4).toString("hex")}.tmp`);

/** Whether there is a process of this number. */
export function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0); // signal 0 only asks
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"; // it runs and belongs to somebody else
  }
}

function writerTo(handle: FileHandle): Write {
  return async (content) => {
    const bytes = typeof content === "string" ? Buffer.from(content) : content;
    for (let done = 0; done < bytes.byteLength; ) {
      done += (await handle.write(bytes, done, Math.min(1 << 28, bytes.byteLength - done))).bytesWritten; // one write moves at most 2 GiB
    }
  };
}

/** Makes a rename durable. Not every system can flush a folder (Windows cannot); there the rename is still atomic. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r").catch(() => undefined);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}

function writeError(path: string, cause: unknown): Error {
  const { code, message } = cause as NodeJS.ErrnoException;
  if (code === undefined || cause instanceof GraftError) return cause as Error;
  const [problem, fix] =
    code === "ENOSPC" || code === "EDQUOT"
      ? ["the disk is full", "Free some space or choose another folder, then save again"]
      : code === "EACCES" || code === "EPERM" || code === "EROFS"
        ? ["writing is not permitted", "Choose a folder that you may write to"]
        : [message, "Check the path"];
  return new GraftError("file", `${path}: could not be written: ${problem} (${code}). Nothing was changed: what was there before is intact. ${fix}.`, { cause });
}
