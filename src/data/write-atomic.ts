import { randomBytes } from "node:crypto";
import { open, rename, rm, type FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { GraftError } from "../base/index.js";

/** Writes a file so that a reader finds the old content or the whole new one. Throws `file`; an error of `content` itself is passed on. */
export async function writeAtomic(file: string, content: string | Uint8Array | ((handle: FileHandle) => Promise<void>)): Promise<void> {
  const temporary = join(dirname(file), `.${basename(file)}.${process.pid}-${randomBytes(4).toString("hex")}.tmp`);
  let handle: FileHandle | undefined;
  try {
    handle = await open(temporary, "wx");
    if (typeof content === "function") await content(handle);
    else await handle.writeFile(content);
    await handle.sync();
    await handle.close();
    handle = undefined;
    await rename(temporary, file);
  } catch (cause) {
    await handle?.close().catch(() => undefined);
    await rm(temporary, { force: true }).catch(() => undefined);
    if (cause instanceof GraftError || (cause as NodeJS.ErrnoException).code === undefined) throw cause;
    throw new GraftError("file", `${file}: could not be written: ${(cause as Error).message}. Check the folder, its permissions and the free space.`, { cause });
  }
}
