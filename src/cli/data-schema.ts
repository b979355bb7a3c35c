import { z } from "zod";
import { flag, number, strict, whole, word } from "./schema.js";

const sources = ["name", "idx", "csv", "folder"] as const;

/** Where data come from, and how they are cut: the key `data` of a recipe. */
export const dataSchema = strict({
  /** A known data set: digits, mnist, fashion-mnist. */
  name: word().optional(),
  /** Folder with the files of a known data set. */
  root: word().optional(),
  /** digits: enlarges the 8x8 pictures this many times. */
  scale: whole().optional(),
  /** Whether a known data set that is missing may be fetched. Default: true. */
  download: flag().optional(),
  /** Files in the format of MNIST. */
  idx: strict({ images: word(), labels: word(), testImages: word().optional(), testLabels: word().optional() }).optional(),
  /** A table; its first line names the columns. */
  csv: word().optional(),
  /** A second table that is the test part. */
  testCsv: word().optional(),
  /** Column with the class. */
  label: word().optional(),
  /** Column (or columns) with the numbers to predict, instead of a class. */
  target: z.union([word(), z.array(word()).min(1)], { error: "must be a column, or a list of columns." }).optional(),
  /** Columns with the inputs. Default: all others. */
  features: z.array(word()).min(1).optional(),
  /** Brings each input column to mean 0 and standard deviation 1 (as in the training part). Default: true. */
  standardize: flag().optional(),
  /** A folder with one subfolder of pictures per class. */
  folder: word().optional(),
  /** A second such folder that is the test part. */
  testFolder: word().optional(),
  /** Side of the pictures of a folder, or [height, width]. Default: 64. */
  size: z.union([whole(), z.tuple([whole(), whole()])], { error: "must be a whole number, or [height, width]." }).optional(),
  /** 1: grey, 3: colour. Default: 3. */
  channels: z.union([z.literal(1), z.literal(3)], { error: "must be 1 (grey) or 3 (colour)." }).optional(),
  /** Names of the classes, or their number, where the data do not say. */
  classes: z.union([whole(), z.array(word()).min(1)], { error: "must be a list of names, or their number." }).optional(),
  /** Share of the training part that is kept for validation. Default: 0.1. */
  valid: number({ min: 0, max: 0.9 }).optional(),
  /** Share of the data that is kept for the test, where they have no test part of their own. Default: 0.2. */
  test: number({ min: 0, max: 0.9 }).optional(),
  /** Uses this many training samples only, spread over the classes. */
  limit: whole().optional(),
}).superRefine((data, context) => {
  const given = sources.filter((source) => data[source] !== undefined);
  const problem = (message: string, ...path: string[]): void => context.addIssue({ code: "custom", message, path });
  if (given.length !== 1) problem(`names ${given.length === 0 ? "no source" : `${given.length} sources (${given.join(", ")})`}. Give one of ${sources.join(", ")}.`);
  const only: Readonly<Record<string, readonly (keyof typeof data)[]>> = {
    name: ["root", "scale", "download"],
    csv: ["testCsv", "label", "target", "features", "standardize"],
    folder: ["testFolder", "size", "channels"],
  };
  for (const [source, keys] of Object.entries(only)) {
    for (const key of keys) if (data[key] !== undefined && given.length === 1 && given[0] !== source) problem(`is for data from ${source}, these come from ${given[0]}.`, key);
  }
  if (data.csv !== undefined && (data.label === undefined) === (data.target === undefined)) problem("needs the column to predict: label (a class) or target (a number).", "csv");
});

/** Where data come from, as plain JSON: `{ name: "digits", scale: 2 }`, `{ folder: "animals", size: 64 }`, `{ csv: "iris.csv", label: "species" }`, ... */
export type DataSource = z.infer<typeof dataSchema>;
