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

/** Options of {@link loadExamples}. */
export interface LoadExamplesOptions extends ExampleOptions {
  /** Share of the examples taken for validation where the folder has no file for it (or the data are one file). Default 0. */
  readonly validFraction?: number;
  /** Seed of that choice. Default 0. */
  readonly seed?: number;
}

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
  const { validFraction = 0, seed = 0 } = options;
  checkNumber("loadExamples", "validFraction", validFraction, { min: 0, max: 0.9 });
  const found = await stat(path).catch((cause: unknown) => {
    throw readError(path, cause);
  });
  const files = found.isDirectory() ? await splitFiles(path) : { train: path, valid: undefined, test: undefined };
  const load = async (file: string | undefined): Promise<Example[]> => {
    const all: Example[] = [];
    if (file !== undefined) for await (const example of examples(file, options)) all.push(example);
    return all;
  };
  let train = await load(files.train);
  if (train.length === 0) throw new GraftError("format", `${files.train}: holds no example. Write one JSON object per line.`);
  let valid = await load(files.valid);
  if (files.valid === undefined && validFraction > 0) {
    const count = Math.min(train.length - 1, Math.max(1, Math.round(train.length * validFraction)));
    const order = new Random(seed, { purpose: "split" }).permutation(train.length);
    const chosen = new Set(order.subarray(0, count));
    valid = train.filter((_, i) => chosen.has(i));
    train = train.filter((_, i) => !chosen.has(i));
  }
  return { train, valid, test: await load(files.test) };
}

/** The files of a folder by what they are for. Throws `file` where there is none to train on. */
export async function splitFiles(folder: string): Promise<{ train: string; valid: string | undefined; test: string | undefined }> {
  const present = new Set(await readdir(folder));
  const find = (stems: readonly string[]): string | undefined => {
    const name = stems.flatMap((stem) => endings.map((ending) => `${stem}.${ending}`)).find((file) => present.has(file));
    return name === undefined ? undefined : join(folder, name);
  };
  const train = find(names.train);
  if (train === undefined) throw new GraftError("file", `${folder}: holds no train.jsonl (or .json, .csv, .parquet). Put train.jsonl, and valid.jsonl and test.jsonl if there are any, into it.`);
  return { train, valid: find(names.valid), test: find(names.test) };
}
