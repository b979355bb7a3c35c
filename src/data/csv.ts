import { CsvError } from "csv-parse";
import { parse } from "csv-parse/sync";
import { GraftError, didYouMean } from "../base/index.js";
import { allocate } from "../graph/index.js";
import { readBytes } from "./bytes.js";
import type { HostArray } from "./sample.js";

/** Options of {@link readCsv}. */
export interface CsvOptions {
  /** true (default): the first line holds the names; false: columns are called "0", "1", ...; a list: these are the names. */
  readonly header?: boolean | readonly string[];
  /** Default ",", or a tab for files ending in .tsv. */
  readonly delimiter?: string;
  /** Whether `"` encloses text (default true); false for text files where it is an ordinary character. */
  readonly quotes?: boolean;
}

/** Options of {@link Table.numbers}. */
export interface NumbersOptions {
  readonly dtype?: "f32" | "f64" | "i32";
  /** What an empty cell means; without it an empty cell is an error. */
  readonly missing?: number;
}

/** The cells of a CSV file. They are text until a column is asked for as numbers or as labels; problems name line and column. */
export class Table {
  constructor(
    /** Shown in messages. */
    readonly name: string,
    /** The columns' names. */
    readonly columns: readonly string[],
    private readonly cells: readonly (readonly string[])[],
    private readonly lines: readonly number[],
  ) {}

  /** Number of rows, without the header. */
  get length(): number {
    return this.cells.length;
  }

  /** A column as text. Throws `argument` when there is no such column. */
  text(column: string): string[] {
    const at = this.find(column);
    return this.cells.map((row) => row[at]);
  }

  /**
   * Columns as numbers, [rows, columns]; all of them when none are named. An empty cell becomes `missing`, where that is given.
   *
   * Throws `format`, with line and column, for a cell that is not a number.
   *
   * @example
   * const inputs = table.numbers(["age", "height"], { missing: NaN });
   */
  numbers(columns: readonly string[] = this.columns, { dtype = "f32", missing }: NumbersOptions = {}): HostArray {
    const places = columns.map((column) => this.find(column));
    const data = allocate(dtype, this.length * places.length);
    let i = 0;
    for (let row = 0; row < this.length; row++) {
      for (const at of places) {
        const cell = this.cells[row][at].trim();
        const value = cell === "" ? (missing ?? NaN) : Number(cell);
        const isNumber = cell === "" ? missing !== undefined : !Number.isNaN(value) || /^nan$/i.test(cell);
        if (!isNumber) throw this.problem(row, at, cell === "" ? "is empty" : `is ${show(cell)}, not a number`, "Correct it, or pass missing for empty cells");
        if (dtype === "i32" && (value | 0) !== value) throw this.problem(row, at, `is ${cell}, not a whole 32-bit number`, "Correct it, or ask for f32");
        data[i++] = value;
      }
    }
    return { dtype, shape: [this.length, places.length], data };
  }

  /**
   * A column as class labels. With `classes` as a list, cells are looked up in it; as a number, cells are whole numbers below it; without it, the
   * classes are the different cells, in order.
   *
   * Throws `index`, with the line, for a cell that is none of the classes.
   *
   * @example
   * const { labels, classes } = table.labels("species");
   */
  labels(column: string, { classes }: { readonly classes?: readonly string[] | number } = {}): { readonly labels: Int32Array; readonly classes: readonly string[] } {
    const at = this.find(column);
    const cells = this.cells.map((row) => row[at].trim());
    const names = typeof classes === "number" ? Array.from({ length: classes }, (_, i) => String(i)) : (classes ?? [...new Set(cells)].sort(naturally));
    const numbers = new Map(names.map((name, i) => [name, i]));
    const labels = Int32Array.from(cells, (cell, row) => {
      const label = numbers.get(cell);
      if (label !== undefined) return label;
      const known = typeof classes === "number" ? `labels are 0 to ${classes - 1}` : `the classes are ${names.slice(0, 20).join(", ")}`;
      const hint = typeof classes === "number" ? "" : didYouMean(cell, names);
      throw this.problem(row, at, `has the label ${show(cell)}, but ${known}`, `${hint.trim()} Correct it, or the classes`.trim(), "index");
    });
    return { labels, classes: names };
  }

  private find(column: string): number {
    const at = this.columns.indexOf(column);
    if (at < 0) {
      throw new GraftError(
        "argument",
        `csv: ${this.name}: there is no column "${column}".${didYouMean(column, this.columns)} Columns: ${this.columns.slice(0, 30).join(", ")}.`,
      );
    }
    return at;
  }

  private problem(row: number, at: number, problem: string, fix: string, code: "format" | "index" = "format"): GraftError {
    return new GraftError(code, `csv: ${this.name}: line ${this.lines[row]}, column "${this.columns[at]}" ${problem}. ${fix}.`);
  }
}

/**
 * Reads a CSV file (UTF-8, plain or gzip).
 *
 * Throws `file` when it cannot be read, `format` with the line where it is not CSV, a row is too short or too long, or a name appears twice.
 *
 * @example
 * const table = await readCsv("iris.csv");
 * const data = new TensorDataset(table.numbers(["length", "width"]), { data: table.labels("species").labels, shape: [table.length] });
 */
export async function readCsv(file: string, options: CsvOptions = {}): Promise<Table> {
  const delimiter = options.delimiter ?? (/\.tsv(\.gz)?$/.test(file) ? "\t" : ",");
  return parseCsv(await readBytes(file), { ...options, delimiter }, file);
}

/** Reads CSV from text or UTF-8 bytes; `name` is shown in errors. Throws as `readCsv`. */
export function parseCsv(content: string | Uint8Array, { header = true, delimiter = ",", quotes = true }: CsvOptions = {}, name = "text"): Table {
  const bad = (problem: string): GraftError => new GraftError("format", `csv: ${name}: ${problem}. Correct the file, or the delimiter and header options.`);
  let text: string;
  try {
    text = typeof content === "string" ? content : new TextDecoder("utf-8", { fatal: true }).decode(content);
  } catch {
    throw bad("is not UTF-8 text");
  }
  let records: { record: string[]; info: { lines: number } }[];
  try {
    const settings = { bom: true, delimiter, info: true, skip_empty_lines: true, quote: quotes ? '"' : null, relax_column_count: true };
    records = parse(text, settings) as unknown as typeof records;
  } catch (cause) {
    if (!(cause instanceof CsvError)) throw cause;
    throw bad(`line ${String((cause as CsvError & { lines?: number }).lines ?? "?")}: ${cause.message}`);
  }
  const first = header === true ? records.shift() : undefined;
  const numbered = (records[0]?.record ?? []).map((_, i) => String(i));
  const names = first?.record.map((cell) => cell.trim()) ?? (typeof header === "object" ? header : numbered);
  const twice = names.find((column, i) => names.indexOf(column) < i);
  if (twice !== undefined) throw bad(`the column ${show(twice)} appears twice`);
  for (const { record, info } of records) {
    if (record.length !== names.length) throw bad(`line ${info.lines}: has ${record.length} cells, there are ${names.length} columns`);
  }
  return new Table(name, names, records.map(({ record }) => record), records.map(({ info }) => info.lines));
}

const show = (cell: string): string => JSON.stringify(cell.length > 60 ? `${cell.slice(0, 57)}...` : cell);

/** Numbers by size, before text by alphabet (of code points, so that no machine's language matters). */
function naturally(a: string, b: string): number {
  const [x, y] = [a === "" ? NaN : Number(a), b === "" ? NaN : Number(b)];
  if (!Number.isNaN(x) && !Number.isNaN(y) && x !== y) return x - y;
  if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
  return a < b ? -1 : a > b ? 1 : 0;
}
