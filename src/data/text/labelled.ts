import { checkChoice, checkNumber, checkOptions, GraftError } from "../../base/index.js";
import type { HostArray } from "../sample.js";
import type { Tokenizer } from "../tokenizers/index.js";
import { fieldText } from "./documents.js";
import { loadSplits, type SplitOptions } from "./instruction-folder.js";
import { padIds, type PadOptions } from "./pad.js";
import { placeOf, rows, type Row } from "./rows.js";

/** A text with its class. */
export interface LabelledText {
  readonly text: string;
  readonly label: string;
  /** Where it stands, for messages. */
  readonly place: string;
}

/** Texts for training, validation and testing, and the names of the classes. */
export interface LabelledSplits {
  readonly train: readonly LabelledText[];
  readonly valid: readonly LabelledText[];
  readonly test: readonly LabelledText[];
  /** In the order of their numbers, or of the alphabet. */
  readonly classes: readonly string[];
}

/** Options of {@link loadLabelled}. */
export interface LabelledOptions extends SplitOptions {
  /** The field with the text. Default: `text`, or else `sentence`. */
  readonly textField?: string;
  /** The field with the class, a word or a number. Default: `label`. */
  readonly labelField?: string;
}

/**
 * Loads texts with classes: one `.jsonl`, `.json`, `.csv`, `.tsv` or `.parquet` file, or a folder with `train`, `valid` and `test` files.
 *
 * Throws `file` when there is none, `format`, with file and line, for a row without text or class.
 * @example
 * const { train, valid, classes } = await data.text.loadLabelled("reviews.csv", { validFraction: 0.1 });
 */
export async function loadLabelled(path: string, options: LabelledOptions = {}): Promise<LabelledSplits> {
  checkOptions("loadLabelled", options, ["textField", "labelField", "validFraction", "seed"]);
  const splits = await loadSplits("loadLabelled", path, options, (file) => labelledRows(file, options), "row. Write one text with its class per row.");
  return { ...splits, classes: classesOf([...splits.train, ...splits.valid, ...splits.test]) };
}

/**
 * The texts with their classes of files of rows, streamed. Throws `format`, with file and line, for a row without text or class.
 * @example
 * for await (const { text, label } of data.text.labelledRows("reviews.csv")) console.log(label, text);
 */
export async function* labelledRows(files: string | readonly string[], options: Pick<LabelledOptions, "textField" | "labelField"> = {}): AsyncGenerator<LabelledText> {
  for await (const row of rows(files)) yield labelled(row, options);
}

function labelled(row: Row, { textField, labelField = "label" }: LabelledOptions): LabelledText {
  const text = fieldText(row, textField ?? (!Object.hasOwn(row.fields, "text") && Object.hasOwn(row.fields, "sentence") ? "sentence" : "text"));
  const value = Object.hasOwn(row.fields, labelField) ? row.fields[labelField] : undefined;
  const label = typeof value === "string" ? value.trim() : typeof value === "number" || typeof value === "bigint" || typeof value === "boolean" ? String(value) : "";
  if (label === "") throw new GraftError("format", `${placeOf(row)}: has no class in the field "${labelField}". Fields: ${Object.keys(row.fields).slice(0, 20).join(", ")}. Name the one with the class as labelField.`);
  return { text, label, place: placeOf(row) };
}

/** The classes of texts: numbers in their order, words in that of the alphabet. */
export function classesOf(texts: readonly { readonly label: string }[]): string[] {
  const names = [...new Set(texts.map(({ label }) => label))];
  return names.every((name) => /^-?\d+$/.test(name)) ? names.sort((a, b) => Number(a) - Number(b)) : names.sort();
}

/** Token ids of a text with the number of its class. */
export interface ClassSample {
  readonly inputIds: Int32Array;
  readonly label: number;
}

/** Options of {@link encodeLabelled}. */
export interface EncodeLabelledOptions {
  /** Names of the classes, by their numbers; a label that is such a number is taken as one where no class has it as its name. */
  readonly classes: readonly string[];
  /** Tokens at most. Default: no limit. */
  readonly maxLength?: number;
  /** What happens to longer texts: `truncate` (their end is cut off, the closing special token stays), `error` or `skip`. Default `truncate`. */
  readonly overLong?: "truncate" | "error" | "skip";
}

/** Samples to train a classifier on, and how many texts were too long. */
export interface EncodedTexts {
  readonly samples: ClassSample[];
  readonly overLong: number;
}

/**
 * Texts with classes as token ids with numbers. Throws `format`, with file and line, for a class that is none of `classes`, an empty text, and for texts that are too long where `overLong`
 * is `error`.
 * @example
 * const { samples } = data.text.encodeLabelled(train, tokenizer, { classes, maxLength: 128 });
 */
export function encodeLabelled(texts: readonly LabelledText[], tokenizer: Tokenizer, options: EncodeLabelledOptions): EncodedTexts {
  checkOptions("encodeLabelled", options, ["classes", "maxLength", "overLong"]);
  const { classes, maxLength = Infinity, overLong = "truncate" } = options;
  checkNumber("encodeLabelled", "maxLength", maxLength, { min: 3 });
  checkChoice("encodeLabelled", "overLong", overLong, ["truncate", "error", "skip"]);
  const numbers = new Map(classes.map((name, i) => [name, i]));
  const samples: ClassSample[] = [];
  let long = 0;
  for (const { text, label, place } of texts) {
    const number = numbers.get(label) ?? (/^\d+$/.test(label) && Number(label) < classes.length ? Number(label) : undefined);
    if (number === undefined) throw new GraftError("format", `${place}: the class is ${JSON.stringify(label)}, known are ${classes.slice(0, 20).join(", ")}. Use data with the classes of the model.`);
    const ids = tokenizer.encode(text);
    if (ids.length === 0) throw new GraftError("format", `${place}: the text has no token. Leave empty texts out.`);
    if (ids.length > maxLength) {
      long++;
      if (overLong === "error") throw new GraftError("format", `${place}: the text has ${ids.length} tokens, the limit is ${maxLength}. Shorten it, or set overLong to "truncate" or "skip".`);
      if (overLong === "skip") continue;
    }
    samples.push({ inputIds: Int32Array.from(shortened(ids, tokenizer, maxLength)), label: number });
  }
  return { samples, overLong: long };
}

/** The first ids; a closing special token (`[SEP]`) stays. */
function shortened(ids: readonly number[], tokenizer: Tokenizer, maxLength: number): readonly number[] {
  if (ids.length <= maxLength) return ids;
  const last = ids[ids.length - 1];
  const closes = last === tokenizer.specialId("sep") || last === tokenizer.eosId;
  return closes ? [...ids.slice(0, maxLength - 1), last] : ids.slice(0, maxLength);
}

/** Class samples filled up to one length. */
export interface PaddedTexts {
  /** [B, T] */
  readonly inputIds: HostArray;
  /** [B, T], 1 at tokens, 0 at padding. */
  readonly attentionMask: HostArray;
  /** [B] */
  readonly labels: HostArray;
}

/** Fills texts up at their ends to the longest one (or to a multiple of `multipleOf`). */
export function padTexts(samples: readonly ClassSample[], options: PadOptions = {}): PaddedTexts {
  const { length: T, inputIds, attentionMask } = padIds(samples.map((sample) => sample.inputIds), options);
  const field = (data: Int32Array, shape: readonly number[]): HostArray => ({ dtype: "i32", shape, data });
  const B = samples.length;
  return { inputIds: field(inputIds, [B, T]), attentionMask: field(attentionMask, [B, T]), labels: field(Int32Array.from(samples, ({ label }) => label), [B]) };
}
