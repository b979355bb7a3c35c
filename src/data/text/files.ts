import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { GraftError, readError } from "../../base/index.js";

/** Which files of a folder are read. */
export interface FileOptions {
  /** Endings of names, e.g. `[".d.ts"]`. Default: `.txt`, `.md`, `.jsonl`, `.json`, `.csv`, `.tsv`, `.parquet`, each also with `.gz`. */
  readonly extensions?: readonly string[];
}

const standard = [".txt", ".md", ".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet"];

/**
 * The files that a path (or several) means: a file itself, or all files of a folder and its subfolders, in the order of their names. Hidden ones and links
 * to folders are left out. Throws `file` when a path is missing or nothing fits.
 *
 * @example
 * await data.text.listFiles("node_modules", { extensions: [".d.ts"] });
 */
export async function listFiles(paths: string | readonly string[], { extensions }: FileOptions = {}): Promise<string[]> {
  const endings = extensions ?? standard.flatMap((ending) => [ending, `${ending}.gz`]);
  const all = typeof paths === "string" ? [paths] : paths;
  const files: string[] = [];
  for (const path of all) {
    const found = await stat(path).catch((cause: unknown) => {
      throw readError(path, cause);
    });
    if (found.isDirectory()) await walk(path, endings, files);
    else files.push(path);
  }
  if (files.length === 0) throw new GraftError("file", `${all.join(", ")}: holds no file whose name ends in ${endings.join(", ")}. Check the path, or set extensions.`);
  return files;
}

async function walk(folder: string, endings: readonly string[], files: string[]): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    throw readError(folder, cause);
  });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.name.startsWith(".")) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await walk(path, endings, files);
    else if (endings.some((ending) => entry.name.endsWith(ending)) && (entry.isFile() || (await stat(path).catch(() => undefined))?.isFile())) files.push(path);
  }
}
