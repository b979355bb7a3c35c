import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { checkNumber, checkOptions, GraftError, readError } from "../../base/index.js";
import { Random } from "../random.js";
import { examples, type Example, type ExampleOptions } from "./examples.js";

/** Examples for training, validation and testing. */
export interface ExampleSplits {
  readonly train: readonly Example[];
  readonly valid: readonly Example[];
  readonly test: readonly Example[];
}

/** How data that bring nothing to measure with are split. */
export interface SplitOptions {
  /** Share of the examples taken for validation where the folder has no file for it (or the data are one file). Default 0. */
  readonly validFraction?: number;
  /** Seed of that choice. Default 0. */
  readonly seed?: number;
}

/** Options of {@link loadExamples}. */
export interface LoadExamplesOptions extends ExampleOptions, SplitOptions {}

const endings = ["jsonl", "ndjson", "json", "csv", "tsv", "parquet"].flatMap((ending) => [ending, `${ending}.gz`]);
const names = { train: ["train"], valid: ["valid", "validation", "val", "dev"], test: ["test"] } as const;

/**
 * Loads instruction data: one file, or a folder with `train`, `valid` and `test` files (as mlx-lm lays them out) ending in `.jsonl`, `.json`, `.csv` or `.parquet`.
 *
 * Throws `file` when there is no such file or a folder has none for training, `format`, with file and line, for a broken or unknown record.
 *
 * @example
 * const { train, valid } = await data.text.loadExamples("chat.jsonl", { validFraction: 0.1 });
 */
export async function loadExamples(path: string, options: LoadExamplesOptions = {}): Promise<ExampleSplits> {
  checkOptions("loadExamples", options, ["format", "validFraction", "seed"]);
  return loadSplits("loadExamples", path, options, (file) => examples(file, options), "example. Write one JSON object per line.");
}

/** What `read` finds in one file, or in the `train`, `valid` and `test` files of a folder. `missing` completes the error for a training file that holds none. Throws `file`, `format`. */
export async function loadSplits<T>(op: string, path: string, options: SplitOptions, read: (file: string) => AsyncIterable<T>, missing: string): Promise<{ train: T[]; valid: T[]; test: T[] }> {
  const { validFraction = 0, seed = 0 } = options;
  checkNumber(op, "validFraction", validFraction, { min: 0, max: 0.9 });
  const found = await stat(path).catch((cause: unknown) => {
    throw readError(path, cause);
  });
  const files = found.isDirectory() ? await splitFiles(path) : { train: path, valid: undefined, test: undefined };
  const load = async (file: string | undefined): Promise<T[]> => {
    const all: T[] = [];
    if (file !== undefined) for await (const one of read(file)) all.push(one);
    return all;
  };
  const train = await load(files.train);
  if (train.length === 0) throw new GraftError("format", `${files.train}: holds no ${missing}`);
  const [valid, test] = [await load(files.valid), await load(files.test)];
  if (files.valid !== undefined || validFraction === 0) return { train, valid, test };
  const count = Math.min(train.length - 1, Math.max(1, Math.round(train.length * validFraction)));
  const chosen = new Set(new Random(seed, { purpose: "split" }).permutation(train.length).subarray(0, count));
  return { train: train.filter((_, i) => !chosen.has(i)), valid: train.filter((_, i) => chosen.has(i)), test };
}

/** The files of a folder by what they are for. Throws `file` where there is none to train on. */
async function splitFiles(folder: string): Promise<{ train: string; valid: string | undefined; test: string | undefined }> {
  const present = new Set(await readdir(folder));
  const find = (stems: readonly string[]): string | undefined => {
    const name = stems.flatMap((stem) => endings.map((ending) => `${stem}.${ending}`)).find((file) => present.has(file));
    return name === undefined ? undefined : join(folder, name);
  };
  const train = find(names.train);
  if (train === undefined) throw new GraftError("file", `${folder}: holds no train.jsonl (or .json, .csv, .parquet). Put train.jsonl, and valid.jsonl and test.jsonl if there are any, into it.`);
  return { train, valid: find(names.valid), test: find(names.test) };
}
