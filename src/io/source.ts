import { open } from "node:fs/promises";
import { GraftError, readError } from "../base/index.js";

/** Bytes that can be read in pieces: a file, or memory. */
export interface ByteSource {
  /** Shown in messages. */
  readonly name: string;
  /** Size in bytes when it was opened. */
  readonly size: number;
  /** A copy of `length` bytes from `offset`, starting at the beginning of its own buffer (so that any element type is aligned). */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  close(): Promise<void>;
}

/** One read() moves at most 2 GiB on Linux; smaller pieces also keep other work flowing. */
const piece = 1 << 28;

/** Bytes in memory as a source. */
export function memorySource(name: string, bytes: Uint8Array): ByteSource {
  return {
    name,
    size: bytes.byteLength,
    read: (offset, length) => Promise.resolve(new Uint8Array(bytes.subarray(offset, offset + length))),
    close: () => Promise.resolve(),
  };
}

/** Opens a regular file for reading in pieces. Throws `file` when it is missing, not a regular file, or shrinks while it is read. */
export async function fileSource(file: string): Promise<ByteSource> {
  const handle = await open(file, "r").catch((cause: unknown) => {
    throw readError(file, cause);
  });
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) throw new GraftError("file", `${file}: is not a regular file. Give the path of a file.`);
    return {
      name: file,
      size: stat.size,
      close: () => handle.close(),
      async read(offset, length) {
        const bytes = new Uint8Array(length);
        for (let done = 0; done < length; ) {
          const { bytesRead } = await handle.read(bytes, done, Math.min(piece, length - done), offset + done).catch((cause: unknown) => {
            throw readError(file, cause);
          });
          if (bytesRead === 0) throw new GraftError("file", `${file}: ends at byte ${offset + done}, it was ${stat.size} bytes when it was opened. Do not write it while it is read.`);
          done += bytesRead;
        }
        return bytes;
      },
    };
  } catch (error) {
    await handle.close();
    throw error instanceof GraftError ? error : readError(file, error);
  }
}

/** Runs `use` on a source and closes it whatever happens. */
export async function using<T>(source: ByteSource, use: (source: ByteSource) => Promise<T>): Promise<T> {
  try {
    return await use(source);
  } finally {
    await source.close();
  }
}
