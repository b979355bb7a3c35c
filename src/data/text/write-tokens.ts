import { createHash } from "node:crypto";
import { mkdir, open, stat } from "node:fs/promises";
import { join } from "node:path";
import { checkNumber, checkOptions, GraftError } from "../../base/index.js";
import { Random } from "../random.js";
import type { Tokenizer } from "../tokenizers/index.js";
import { documents, type DocumentPiece, type TextOptions } from "./documents.js";
import { listFiles } from "./files.js";
import { hasRows } from "./rows.js";
import { writeTokenFile, type TokenHeader } from "./token-file.js";

/** Options of {@link writeTokens}. */
export interface WriteTokensOptions {
  /** Ends every document. Default: the tokenizer's `eos` token; null for none. */
  readonly endToken?: string | null;
  /** Called from time to time with the text bytes done so far. */
  readonly onProgress?: (bytes: number, tokens: number) => void;
  /** Chooses documents by their number. */
  readonly keep?: (document: number) => boolean;
}

/**
 * Encodes documents into a token file, streamed. Returns its header.
 *
 * Throws `argument` when `endToken` is not in the vocabulary or the documents give no token.
 *
 * @example
 * await data.text.writeTokens("train.bin", data.text.documents("corpus"), tokenizer);
 */
export async function writeTokens(
  file: string,
  pieces: AsyncIterable<DocumentPiece> | Iterable<DocumentPiece>,
  tokenizer: Tokenizer,
  options: WriteTokensOptions = {},
): Promise<TokenHeader> {
  checkOptions("writeTokens", options, ["endToken", "onProgress", "keep"]);
  const { endToken = tokenizer.specialTokens.eos ?? null, onProgress, keep } = options;
  const end = endToken === null ? undefined : tokenizer.tokenToId(endToken);
  if (endToken !== null && end === undefined) throw new GraftError("argument", `writeTokens: the endToken ${JSON.stringify(endToken)} is not in the vocabulary of ${tokenizer.name}. Use one that is, or null.`);
  const info = { tokenizer: fingerprint(tokenizer), endToken };
  return writeTokenFile(file, { vocabSize: tokenizer.vocabSize, info }, async (sink) => {
    let document = 0;
    let bytes = 0;
    let tokens = 0;
    let reported = 0;
    for await (const { text, last } of pieces) {
      if (keep?.(document) !== false) {
        const ids = text === "" ? [] : tokenizer.encode(text, { addSpecialTokens: false });
        const size = Buffer.byteLength(text);
        await sink.write(ids, size);
        bytes += size;
        tokens += ids.length;
        if (last) {
          if (end !== undefined) await sink.write([end]);
          sink.endDocument();
        }
      }
      if (last) document++;
      if (bytes - reported > 1 << 20) onProgress?.((reported = bytes), tokens);
    }
    if (tokens === 0) throw new GraftError("argument", `writeTokens: ${file} would be empty: the documents give no token. Check the files, and the part kept.`);
    onProgress?.(bytes, tokens);
  });
}

/** A short hash that tells tokenizers apart. */
export const fingerprint = (tokenizer: Tokenizer): string => createHash("sha256").update(JSON.stringify(tokenizer.json)).digest("hex").slice(0, 16);

/** Options of {@link prepareTokens}. */
export interface PrepareOptions extends Omit<TextOptions, "range">, Pick<WriteTokensOptions, "endToken" | "onProgress"> {
  /** Share of the text for validation. Default 0.1. */
  readonly validFraction?: number;
  /** Seed of the choice of documents. Default 0. */
  readonly seed?: number;
}

/**
 * Writes `train.bin` and `valid.bin` into a folder. Of several documents a random choice goes to validation (by seed and number, whatever their order);
 * of one plain-text file its end does.
 *
 * @example
 * const { train, valid } = await data.text.prepareTokens("input.txt", tokenizer, "tokens", { validFraction: 0.1 });
 */
export async function prepareTokens(
  paths: string | readonly string[],
  tokenizer: Tokenizer,
  folder: string,
  options: PrepareOptions = {},
): Promise<{ readonly train: TokenHeader; readonly valid: TokenHeader }> {
  checkOptions("prepareTokens", options, ["validFraction", "seed", "field", "extensions", "endToken", "onProgress"]);
  const { validFraction = 0.1, seed = 0, endToken, onProgress } = options;
  checkNumber("prepareTokens", "validFraction", validFraction, { above: 0, max: 0.9 });
  await mkdir(folder, { recursive: true });
  const files = await listFiles(paths, options);
  const single = files.length === 1 && !hasRows(files[0]) && !files[0].endsWith(".gz");
  const cut = single ? await characterStart(files[0], Math.floor((await stat(files[0])).size * (1 - validFraction))) : 0;
  const part = (valid: boolean): Promise<TokenHeader> => {
    const range = single ? (valid ? { start: cut } : { end: cut }) : undefined;
    const isValid = (document: number): boolean => new Random(seed, { purpose: "split", index: document }).uniform() < validFraction;
    const keep = single ? undefined : (document: number) => isValid(document) === valid;
    const file = join(folder, valid ? "valid.bin" : "train.bin");
    return writeTokens(file, documents(files, { ...options, range }), tokenizer, { endToken, onProgress, keep });
  };
  return { train: await part(false), valid: await part(true) };
}

/** The first position from `at` on where a UTF-8 character begins. */
async function characterStart(file: string, at: number): Promise<number> {
  const handle = await open(file, "r");
  try {
    const bytes = new Uint8Array(4);
    const { bytesRead } = await handle.read(bytes, 0, 4, at);
    let skip = 0;
    while (skip < bytesRead && (bytes[skip] & 0xc0) === 0x80) skip++;
    return at + skip;
  } finally {
    await handle.close();
  }
}
