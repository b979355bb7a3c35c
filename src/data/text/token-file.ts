import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { endianness } from "node:os";
import { GraftError, readError } from "../../base/index.js";
import { writeAtomic } from "../write-atomic.js";

/** What a token file says about itself. */
export interface TokenHeader {
  readonly version: 1;
  readonly dtype: "u16" | "u32";
  readonly tokens: number;
  readonly documents: number;
  /** UTF-8 bytes of the text that the tokens stand for: bits per byte are computed with it. */
  readonly bytes: number;
  readonly vocabSize: number;
  /** Anything else that the writer noted. */
  readonly info?: Readonly<Record<string, unknown>>;
}

// A token file is 4096 bytes of header (8 bytes magic, then JSON filled up with spaces), then the ids as little-endian u16 or u32.
const headerBytes = 4096;
const magic = "GRAFTTOK";

/** Appends tokens to a file that is being written. */
export interface TokenSink {
  /** Adds tokens and the number of text bytes they stand for. Throws `index` for an id outside the vocabulary. */
  write(ids: ArrayLike<number>, bytes?: number): Promise<void>;
  /** Counts a document as complete. */
  endDocument(): void;
}

/**
 * Writes a token file: it appears complete or not at all. Ids are stored in 2 bytes where the vocabulary allows, otherwise in 4.
 *
 * Throws `file` when it cannot be written.
 *
 * @example
 * await data.text.writeTokenFile("train.bin", { vocabSize: 65 }, async (sink) => sink.write(ids));
 */
export async function writeTokenFile(
  file: string,
  { vocabSize, info }: { readonly vocabSize: number; readonly info?: Readonly<Record<string, unknown>> },
  fill: (sink: TokenSink) => Promise<void>,
): Promise<TokenHeader> {
  const dtype = vocabSize <= 1 << 16 ? "u16" : "u32";
  let tokens = 0;
  let documents = 0;
  let bytes = 0;
  let header: TokenHeader | undefined;
  await writeAtomic(file, async (handle) => {
    await handle.write(new Uint8Array(headerBytes), 0, headerBytes, 0);
    const room = dtype === "u16" ? new Uint16Array(1 << 18) : new Uint32Array(1 << 17);
    let used = 0;
    let at = headerBytes;
    const flush = async (): Promise<void> => {
      at += await writeAll(handle, littleEndian(room.subarray(0, used)), at);
      used = 0;
    };
    await fill({
      async write(ids, count = 0) {
        for (let i = 0; i < ids.length; i++) {
          const id = ids[i];
          if (!(Number.isInteger(id) && id >= 0 && id < vocabSize)) throw new GraftError("index", `${file}: the token id ${id} is outside the vocabulary of ${vocabSize}. Use the tokenizer's own vocabSize.`);
          room[used++] = id;
          if (used === room.length) await flush();
        }
        tokens += ids.length;
        bytes += count;
      },
      endDocument() {
        documents++;
      },
    });
    await flush();
    header = { version: 1, dtype, tokens, documents, bytes, vocabSize, ...(info === undefined ? {} : { info }) };
    const text = Buffer.from(magic + JSON.stringify(header));
    if (text.length >= headerBytes) throw new GraftError("argument", `${file}: the info for its header takes ${text.length} bytes, there is room for ${headerBytes}. Note less.`);
    await writeAll(handle, Buffer.concat([text, Buffer.alloc(headerBytes - text.length, " ")]), 0);
  });
  return header!;
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, at: number): Promise<number> {
  for (let done = 0; done < bytes.length; ) done += (await handle.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
  return bytes.length;
}

/** The bytes of ids in the file's order, on any machine. */
function littleEndian(ids: Uint16Array | Uint32Array): Uint8Array {
  const bytes = new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength);
  if (endianness() === "LE") return bytes;
  const swapped = Buffer.from(bytes);
  return ids instanceof Uint16Array ? swapped.swap16() : swapped.swap32();
}

/**
 * A token file, read at any position without holding it in memory.
 *
 * Throws `file` when it cannot be read, `format` when it is not a token file or is cut off.
 *
 * @example
 * const file = data.text.TokenFile.open("train.bin");
 * file.read(0, 64); // Int32Array of 64 ids
 * file.close();
 */
export class TokenFile {
  private closed = false;

  private constructor(
    readonly path: string,
    readonly header: TokenHeader,
    private readonly descriptor: number,
  ) {}

  static open(path: string): TokenFile {
    let descriptor: number;
    try {
      descriptor = openSync(path, "r");
    } catch (cause) {
      throw readError(path, cause);
    }
    try {
      return new TokenFile(path, readHeader(path, descriptor), descriptor);
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
  }

  /** Number of tokens. */
  get length(): number {
    return this.header.tokens;
  }

  /** The ids of `count` tokens from `start` on. Throws `index` when they are not all there. */
  read(start: number, count: number): Int32Array {
    const { dtype, tokens } = this.header;
    if (!(Number.isInteger(start) && Number.isInteger(count) && start >= 0 && count >= 0 && start + count <= tokens)) {
      throw new GraftError("index", `${this.path}: has ${tokens} tokens, ${count} from ${start} on are not all there. Read within the file.`);
    }
    if (this.closed) throw new GraftError("state", `${this.path}: was closed. Open it again.`);
    const width = dtype === "u16" ? 2 : 4;
    const bytes = Buffer.alloc(count * width);
    for (let done = 0; done < bytes.length; ) {
      const got = readSync(this.descriptor, bytes, done, bytes.length - done, headerBytes + start * width + done);
      if (got === 0) throw new GraftError("file", `${this.path}: became shorter while it was read. Write it again.`);
      done += got;
    }
    const ids = new Int32Array(count);
    if (dtype === "u16") for (let i = 0; i < count; i++) ids[i] = bytes.readUInt16LE(2 * i);
    else for (let i = 0; i < count; i++) ids[i] = bytes.readUInt32LE(4 * i);
    return ids;
  }

  close(): void {
    if (!this.closed) closeSync(this.descriptor);
    this.closed = true;
  }
}

function readHeader(path: string, descriptor: number): TokenHeader {
  const bad = (problem: string): GraftError => new GraftError("format", `${path}: ${problem}. Write it again with data.text.writeTokens.`);
  const bytes = Buffer.alloc(headerBytes);
  const { size } = fstatSync(descriptor);
  if (readSync(descriptor, bytes, 0, headerBytes, 0) < headerBytes || bytes.toString("latin1", 0, magic.length) !== magic) throw bad("is not a token file");
  let header: TokenHeader;
  try {
    header = JSON.parse(bytes.toString("utf8", magic.length)) as TokenHeader;
  } catch {
    throw bad("has a broken header");
  }
  const { version, dtype, tokens, vocabSize } = header;
  if (version !== 1) throw bad(`is of version ${String(version)}, known is 1`);
  if ((dtype !== "u16" && dtype !== "u32") || !Number.isSafeInteger(tokens) || tokens < 0 || !Number.isSafeInteger(vocabSize)) throw bad("has a header that makes no sense");
  const expected = headerBytes + tokens * (dtype === "u16" ? 2 : 4);
  if (size !== expected) throw bad(`has ${size} bytes, its header promises ${expected}: it is cut off or damaged`);
  return header;
}
