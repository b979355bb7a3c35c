import { CsvError, parse } from "csv-parse";
import { GraftError } from "../../base/index.js";
import { parquetRows } from "./parquet.js";
import { openStream, readChunks, readLines } from "./read-lines.js";

/** A record of a file, with where it stands. */
export interface Row {
  readonly file: string;
  /** From 1; in parquet files and JSON lists the number of the record. */
  readonly line: number;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Where a row stands, for messages. */
export const placeOf = ({ file, line }: Pick<Row, "file" | "line">): string => `${file}, line ${line}`;

const kindOf = (file: string): string => /\.([a-z0-9]+)(\.gz)?$/i.exec(file)?.[1].toLowerCase() ?? "";

/**
 * Whether a file holds rows with fields, by its ending; the others hold plain text.
 * @example
 * data.text.hasRows("chat.jsonl"); // true
 */
export const hasRows = (file: string): boolean => ["jsonl", "ndjson", "json", "csv", "tsv", "parquet"].includes(kindOf(file));

/**
 * The records of `.jsonl`, `.json` (a list), `.csv`, `.tsv` and `.parquet` files, one after the other, without holding a file in memory (JSON lists excepted).
 *
 * Throws `format`, with file and line, for what is not a record.
 *
 * @example
 * for await (const { fields, line } of data.text.rows("chat.jsonl")) console.log(line, fields);
 */
export async function* rows(files: string | readonly string[]): AsyncGenerator<Row> {
  for (const file of typeof files === "string" ? [files] : files) {
    const kind = kindOf(file);
    if (kind === "jsonl" || kind === "ndjson") yield* jsonLines(file);
    else if (kind === "json") yield* jsonList(file);
    else if (kind === "csv" || kind === "tsv") yield* csvRows(file, kind === "csv" ? "," : "\t");
    else if (kind === "parquet") yield* parquetRows(file);
    else throw new GraftError("argument", `${file}: a file of rows ends in .jsonl, .json, .csv, .tsv or .parquet. Rename it, or read it as text.`);
  }
}

async function* jsonLines(file: string): AsyncGenerator<Row> {
  let line = 0;
  for await (const lines of readLines(file)) {
    for (const text of lines) {
      line++;
      if (text.trim() !== "") yield { file, line, fields: record(parseJson(text, file, line), file, line) };
    }
  }
}

async function* jsonList(file: string): AsyncGenerator<Row> {
  let text = "";
  for await (const chunk of readChunks(file)) text += chunk;
  const value = parseJson(text, file, 1);
  if (!Array.isArray(value)) throw new GraftError("format", `${file}: is not a list of records. Write [{...}, {...}], or one record per line as .jsonl.`);
  for (let i = 0; i < value.length; i++) yield { file, line: i + 1, fields: record(value[i], file, i + 1) };
}

function parseJson(text: string, file: string, line: number): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new GraftError("format", `${placeOf({ file, line })}: is not valid JSON: ${(cause as Error).message}. Each line must be one complete object.`, { cause });
  }
}

function record(value: unknown, file: string, line: number): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Readonly<Record<string, unknown>>;
  const kind = Array.isArray(value) ? "a list" : value === null ? "null" : `a ${typeof value}`;
  throw new GraftError("format", `${placeOf({ file, line })}: is ${kind}, not an object with fields. Write {"text": "..."} or another known form.`);
}

async function* csvRows(file: string, delimiter: string): AsyncGenerator<Row> {
  const settings = { bom: true, delimiter, info: true, skip_empty_lines: true, columns: (names: string[]) => names.map((name) => name.trim()), encoding: "utf8" as const };
  const source = openStream(file);
  const parser = source.pipe(parse(settings));
  source.on("error", (cause) => parser.destroy(cause));
  try {
    for await (const { record: fields, info } of parser as AsyncIterable<{ record: Record<string, string>; info: { lines: number } }>) yield { file, line: info.lines, fields };
  } catch (cause) {
    if (cause instanceof CsvError) {
      const at = (cause as CsvError & { lines?: number }).lines ?? 1;
      throw new GraftError("format", `${placeOf({ file, line: at })}: ${cause.message.replace(/\.$/, "")}. Correct the file.`, { cause });
    }
    if (cause instanceof GraftError) throw cause;
    throw new GraftError("file", `${file}: could not be read: ${(cause as Error).message}. Check the path and its permissions.`, { cause });
  } finally {
    source.destroy();
    parser.destroy();
  }
}
