import { didYouMean, GraftError } from "../../base/index.js";
import { listFiles, type FileOptions } from "./files.js";
import { readChunks, readLines, type ByteRange } from "./read-lines.js";
import { hasRows, placeOf, rows, type Row } from "./rows.js";

/** Options of {@link documents} and {@link texts}. */
export interface TextOptions extends FileOptions {
  /** The field of a row that holds its text. Default `text`. */
  readonly field?: string;
  /** Reads plain-text files only in part. */
  readonly range?: ByteRange;
}

/** A piece of a document: a row's text, or a plain-text file, which comes in several pieces when it is long. */
export interface DocumentPiece {
  readonly text: string;
  readonly file: string;
  /** Whether the document ends here. */
  readonly last: boolean;
}

/** Characters after which a piece of a long file ends. */
const pieceLength = 1 << 18;

/**
 * The documents of files and folders, streamed: each plain-text file is one, each row of `.jsonl`, `.csv`, `.parquet` is one.
 *
 * Long files come in pieces that end before a line break, where no tokenizer of words looks across. Throws `file` and `format` with file and line.
 *
 * @example
 * for await (const { text } of data.text.documents("node_modules", { extensions: [".d.ts"] })) console.log(text.length);
 */
export async function* documents(paths: string | readonly string[], options: TextOptions = {}): AsyncGenerator<DocumentPiece> {
  for (const file of await listFiles(paths, options)) {
    if (hasRows(file)) {
      for await (const row of rows(file)) yield { file, text: fieldText(row, options.field), last: true };
      continue;
    }
    let rest = "";
    for await (const chunk of readChunks(file, options.range)) {
      rest += chunk;
      if (rest.length < pieceLength) continue;
      const cut = lastBreak(rest);
      if (cut <= 0) continue; // one endless line
      yield { file, text: rest.slice(0, cut), last: false };
      rest = rest.slice(cut);
    }
    yield { file, text: rest, last: true };
  }
}

/** The last line break that is followed by a character which is not white space, and the character before which belongs to the piece. */
function lastBreak(text: string): number {
  const limit = Math.max(0, text.length - (1 << 16)); // breaks are close to each other in text
  for (let at = text.lastIndexOf("\n"); at > limit; at = text.lastIndexOf("\n", at - 1)) if (at + 1 < text.length && /\S/.test(text[at + 1])) return at;
  if (text.length < 16 * pieceLength) return -1;
  const middle = text.length - 2; // an endless line is cut anywhere but within a character
  return text.charCodeAt(middle) >= 0xdc00 && text.charCodeAt(middle) <= 0xdfff ? middle - 1 : middle;
}

/**
 * Texts to train a tokenizer on: the lines of plain-text files with their ends (as the `tokenizers` package reads files), and the texts of rows.
 *
 * @example
 * const tokenizer = await data.tokenizers.trainByteLevelBpe(data.text.texts("corpus"), { vocabSize: 4096 });
 */
export async function* texts(paths: string | readonly string[], options: TextOptions = {}): AsyncGenerator<string> {
  for (const file of await listFiles(paths, options)) {
    if (hasRows(file)) for await (const row of rows(file)) yield fieldText(row, options.field);
    else for await (const lines of readLines(file, options.range)) yield* lines;
  }
}

/** The text in a row's field. Throws `format` with file and line where there is none. */
export function fieldText(row: Row, field = "text"): string {
  const value = Object.hasOwn(row.fields, field) ? row.fields[field] : undefined;
  if (typeof value === "string") return value;
  const names = Object.keys(row.fields);
  const problem = value === undefined ? `has no field "${field}".${didYouMean(field, names)} Fields: ${names.slice(0, 20).join(", ")}` : `has the field "${field}", which is not text`;
  throw new GraftError("format", `${placeOf(row)}: ${problem}. Set field to the one that holds the text.`);
}
