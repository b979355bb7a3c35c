import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, rename, rm, stat, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { GraftError } from "../../base/index.js";
import { reasonOf } from "./problems.js";
import { hubSettings } from "./settings.js";

/** A file on the hub. */
export interface RemoteFile {
  readonly path: string;
  readonly size: number;
  /** SHA-256 of a large file (64 digits), git's SHA-1 of a small one (40): its name among the blobs. */
  readonly checksum: string;
}

/** Opens a file on the hub from a byte on. `ranged` is false where the server began at 0 all the same. */
export type OpenRemote = (file: RemoteFile, from: number, signal: AbortSignal) => Promise<{ readonly bytes: AsyncIterable<Uint8Array>; readonly ranged: () => boolean }>;

/** So often nothing may come before it is given up. */
const attempts = 4;

/**
 * Fetches a file and gives it its place once size and checksum are right. What has come stays beside it as `.incomplete`, from which this call (after a broken connection) or the next one
 * (after an error or Ctrl-C) goes on.
 *
 * Throws `network` when no more comes, or for content that is not what it should be, which is then removed; `file` when it cannot be written.
 */
export async function download(name: string, file: RemoteFile, blob: string, openRemote: OpenRemote, onBytes: (received: number) => void): Promise<void> {
  const partial = `${blob}.incomplete`;
  for (let failures = 0; ; ) {
    const before = await sizeOf(partial);
    try {
      await receive(file, partial, before, openRemote, onBytes);
      break;
    } catch (cause) {
      if (cause instanceof GraftError) throw cause;
      const received = await sizeOf(partial);
      failures = received > before ? 1 : failures + 1;
      if (failures >= attempts) throw new GraftError("network", `${name}: ${file.path} broke off after ${received} of ${file.size} bytes: ${reasonOf(cause)}. What came is kept: the same command goes on from there.`, { cause });
      await pause(250 * 2 ** failures);
    }
  }
  const found = await checksumOf(partial, file);
  if (found !== file.checksum) {
    await rm(partial, { force: true });
    throw new GraftError("network", `${name}: ${file.path} came damaged: its checksum is ${found.slice(0, 12)}..., ${file.checksum.slice(0, 12)}... was expected. It was removed; fetch it again.`);
  }
  await written(partial, () => rename(partial, blob));
}

const sizeOf = (file: string): Promise<number> =>
  stat(file).then(
    ({ size }) => size,
    () => 0,
  );

/** Adds what is missing to a partial file. */
async function receive(file: RemoteFile, partial: string, present: number, openRemote: OpenRemote, onBytes: (received: number) => void): Promise<void> {
  const handle = await written(partial, async () => {
    await mkdir(dirname(partial), { recursive: true });
    return open(partial, "a");
  });
  try {
    if (present > file.size) await written(partial, () => handle.truncate(0));
    let received = present > file.size ? 0 : present;
    if (received === file.size) return;
    const controller = new AbortController();
    const watch = setTimeout(() => controller.abort(new Error(`nothing came for ${hubSettings.dataTimeout / 1000} s`)), hubSettings.dataTimeout);
    try {
      const { bytes, ranged } = await openRemote(file, received, controller.signal);
      let first = true;
      for await (const chunk of bytes) {
        watch.refresh();
        if (first && received > 0 && !ranged()) {
          await written(partial, () => handle.truncate(0));
          received = 0;
        }
        first = false;
        received += chunk.byteLength;
        if (received > file.size) break; // not this file: the checksum will say so
        await written(partial, () => append(handle, chunk));
        onBytes(received);
      }
      if (received < file.size) throw new Error("the connection was closed");
    } finally {
      clearTimeout(watch);
      controller.abort();
    }
    await written(partial, () => handle.sync());
  } finally {
    await handle.close();
  }
}

async function append(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let done = 0; done < chunk.byteLength; ) done += (await handle.write(chunk, done)).bytesWritten;
}

/** Runs what writes; its errors say so. */
async function written<T>(file: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (cause) {
    throw new GraftError("file", `${file}: could not be written: ${(cause as Error).message}. Free some space, or choose another cache with HF_HUB_CACHE.`, { cause });
  }
}

/** The checksum of a file in the kind that is expected of it. Git's is of its size and content. */
async function checksumOf(path: string, { checksum }: RemoteFile): Promise<string> {
  const hash = createHash(checksum.length === 64 ? "sha256" : "sha1");
  if (checksum.length === 40) hash.update(`blob ${await sizeOf(path)}\0`);
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Uint8Array);
  return hash.digest("hex");
}
