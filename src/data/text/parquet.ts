import { open } from "node:fs/promises";
import * as zlib from "node:zlib";
import { GraftError, readError } from "../../base/index.js";
import type { Row } from "./rows.js";

/** Rows that are decoded at once. */
const step = 4096;

/** The rows of a parquet file, by positional reads. Throws `format` for a broken file or a compression that is not there. */
export async function* parquetRows(file: string): AsyncGenerator<Row> {
  const { parquetMetadataAsync, parquetReadObjects } = await import("hyparquet");
  const handle = await open(file, "r").catch((cause: unknown) => {
    throw readError(file, cause);
  });
  try {
    const byteLength = (await handle.stat()).size;
    const slice = async (start: number, end = byteLength): Promise<ArrayBuffer> => {
      const bytes = new Uint8Array(end - start);
      for (let done = 0; done < bytes.length; ) {
        const { bytesRead } = await handle.read(bytes, done, bytes.length - done, start + done);
        if (bytesRead === 0) throw new Error("the file is cut off");
        done += bytesRead;
      }
      return bytes.buffer;
    };
    const buffer = { byteLength, slice };
    const metadata = await parquetMetadataAsync(buffer);
    let line = 0;
    let groupStart = 0;
    for (const group of metadata.row_groups) {
      const groupEnd = groupStart + Number(group.num_rows);
      for (let rowStart = groupStart; rowStart < groupEnd; rowStart += step) {
        const rowEnd = Math.min(groupEnd, rowStart + step);
        const found = await parquetReadObjects({ file: buffer, metadata, rowStart, rowEnd, compressors });
        for (const fields of found) yield { file, line: ++line, fields };
      }
      groupStart = groupEnd;
    }
  } catch (cause) {
    if (cause instanceof GraftError) throw cause;
    throw new GraftError("format", `${file}: is not a parquet file that can be read: ${(cause as Error).message}. Download it again, or convert it to .jsonl.`, { cause });
  } finally {
    await handle.close();
  }
}

type Decompress = (input: Uint8Array) => Uint8Array;
const { zstdDecompressSync } = zlib as { zstdDecompressSync?: Decompress }; // from Node 22.15 on

/** Snappy is hyparquet's own; these are Node's. */
const compressors = {
  GZIP: (input: Uint8Array): Uint8Array => zlib.gunzipSync(input),
  BROTLI: (input: Uint8Array): Uint8Array => zlib.brotliDecompressSync(input),
  ZSTD: (input: Uint8Array): Uint8Array => {
    if (zstdDecompressSync === undefined) throw new Error(`zstd needs Node 22.15 or newer, this is ${process.version}`);
    return zstdDecompressSync(input);
  },
};
