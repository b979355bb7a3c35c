import { createReadStream } from "node:fs";
import type { Readable } from "node:stream";
import { TextDecoder } from "node:util";
import { createGunzip } from "node:zlib";
import { GraftError, readError } from "../../base/index.js";

/** A part of a file, in bytes. */
export interface ByteRange {
  readonly start?: number;
  readonly end?: number;
}

/** The bytes of a file as a stream; `.gz` is unpacked. */
export function openStream(file: string, { start, end }: ByteRange = {}): Readable {
  const raw = createReadStream(file, { highWaterMark: 1 << 20, start, end: end === undefined ? undefined : end - 1 });
  if (!file.endsWith(".gz")) return raw;
  const unpacked = createGunzip();
  raw.on("error", (cause) => unpacked.destroy(cause));
  unpacked.on("close", () => raw.destroy());
  return raw.pipe(unpacked);
}

/** The text of a file in chunks that end anywhere between two characters. Throws `file` when it cannot be read, `format` where it is not UTF-8. */
export async function* readChunks(file: string, range: ByteRange = {}): AsyncGenerator<string> {
  if (range.end !== undefined && range.end <= (range.start ?? 0)) return;
  const stream = openStream(file, range);
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let line = 1;
  try {
    for await (const bytes of stream as AsyncIterable<Uint8Array>) {
      const text = decode(file, decoder, bytes, line);
      for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) line++;
      if (text !== "") yield text;
    }
    const rest = decode(file, decoder, undefined, line);
    if (rest !== "") yield rest;
  } catch (cause) {
    if (cause instanceof GraftError || (cause as NodeJS.ErrnoException).code === undefined) throw cause;
    if (String((cause as NodeJS.ErrnoException).code).startsWith("Z_")) {
      throw new GraftError("format", `${file}: is broken gzip: ${(cause as Error).message}. Write or download it again.`, { cause });
    }
    throw readError(file, cause);
  } finally {
    stream.destroy();
  }
}

function decode(file: string, decoder: TextDecoder, bytes: Uint8Array | undefined, line: number): string {
  try {
    return bytes === undefined ? decoder.decode() : decoder.decode(bytes, { stream: true });
  } catch (cause) {
    throw new GraftError("format", `${file}: is not UTF-8 text, somewhere behind line ${line}. Convert it to UTF-8, or leave it out.`, { cause });
  }
}

/** Lines longer than this are a mistake in files of rows, and would fill the memory. */
const maxLine = 1 << 28;

/** The lines of a file with their ends (`\n`), as many at once as a chunk holds. */
export async function* readLines(file: string, range: ByteRange = {}): AsyncGenerator<string[]> {
  let rest = "";
  for await (const chunk of readChunks(file, range)) {
    const text = rest === "" ? chunk : rest + chunk;
    const lines: string[] = [];
    let from = 0;
    for (let at = text.indexOf("\n", rest.length); at >= 0; at = text.indexOf("\n", from)) {
      lines.push(text.slice(from, at + 1));
      from = at + 1;
    }
    rest = text.slice(from);
    if (rest.length > maxLine) throw new GraftError("format", `${file}: has a line of more than ${maxLine} characters. Check that it is text with lines.`);
    if (lines.length > 0) yield lines;
  }
  if (rest !== "") yield [rest];
}
