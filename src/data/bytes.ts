import { readFile } from "node:fs/promises";
import { createGunzip } from "node:zlib";
import { GraftError, readError } from "../base/index.js";

/** How many bytes a file may unpack to, judged by its first ones (a `GraftError` thrown here is passed on). */
export type Limit = (head: Uint8Array) => number;

const anyFile: Limit = () => 2 ** 31;

/** The bytes of a file; gzip is unpacked. Throws `file` when it cannot be read, `format` when it is broken or unpacks to more than `limit` allows. */
export async function readBytes(file: string, limit?: Limit): Promise<Uint8Array> {
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw readError(file, cause);
  });
  return unpack(file, bytes, limit);
}

/** Unpacks bytes if they are gzip. `name` is shown in messages. */
export async function unpack(name: string, bytes: Uint8Array, limit: Limit = anyFile): Promise<Uint8Array> {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const stream = createGunzip();
  const chunks: Uint8Array[] = [];
  let size = 0;
  let most: number | undefined;
  stream.end(bytes);
  try {
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      most ??= limit(chunk);
      size += chunk.length;
      if (size > most) throw new GraftError("format", `${name}: unpacks to more than ${most} bytes. Check that it is the right file.`);
      chunks.push(chunk);
    }
  } catch (cause) {
    if (cause instanceof GraftError) throw cause;
    throw new GraftError("format", `${name}: is broken gzip: ${(cause as Error).message}. Download it again.`, { cause });
  }
  return Buffer.concat(chunks);
}
