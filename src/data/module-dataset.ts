import { isAbsolute } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { GraftError, didYouMean } from "../base/index.js";
import type { Dataset } from "./dataset.js";
import type { Random } from "./random.js";

/** How to make a data set anywhere, in a worker thread too: call the `export` of `module` with `args`. */
export interface ModuleSpec {
  /** A URL (`new URL("./my-data.js", import.meta.url)`) or an absolute path. */
  readonly module: URL | string;
  /** Name of a function that returns a data set (or a promise of one), or of a data set. Default `default`. */
  readonly export?: string;
  /** Plain data for the function. */
  readonly args?: readonly unknown[];
}

/** A data set that knows how it was made, so that worker threads can make it again. See {@link fromModule}. */
export class ModuleDataset<S> implements Dataset<S> {
  constructor(
    private readonly dataset: Dataset<S>,
    readonly spec: { readonly module: string; readonly export: string; readonly args: readonly unknown[] },
  ) {}

  get length(): number {
    return this.dataset.length;
  }

  get(index: number, random?: Random): S | Promise<S> {
    return this.dataset.get(index, random);
  }
}

/**
 * Makes a data set from a module; a loader with `workers` needs it in this form, since functions cannot be sent to a thread.
 *
 * Throws `argument` for a relative path or when the module has no such export, `file` when it cannot be loaded.
 *
 * @example
 * // my-data.ts: export const make = (size: number) => map(images, augmentTo(size));
 * const dataset = await fromModule({ module: new URL("./my-data.ts", import.meta.url), export: "make", args: [32] });
 * const loader = new DataLoader(dataset, { batchSize: 64, workers: 2 });
 */
export async function fromModule<S>(spec: ModuleSpec): Promise<ModuleDataset<S>> {
  const { module, export: name = "default", args = [] } = spec;
  const text = String(module);
  if (!/^(file|data|node):/.test(text) && !isAbsolute(text)) {
    throw new GraftError("argument", `fromModule: "${text}" is neither a URL nor an absolute path. Use new URL("${text}", import.meta.url).`);
  }
  const url = isAbsolute(text) ? pathToFileURL(text).href : text;
  const loaded = (await import(/* @vite-ignore */ url).catch((cause: unknown) => {
    throw new GraftError("file", `fromModule: ${url.startsWith("file:") ? fileURLToPath(url) : url}: could not be loaded: ${(cause as Error).message}. Check the path and the module.`, { cause });
  })) as Record<string, unknown>;
  if (!(name in loaded)) {
    throw new GraftError(
      "argument",
      `fromModule: ${text} has no export "${name}".${didYouMean(name, Object.keys(loaded))} Export a function that returns a data set.`,
    );
  }
  const found = loaded[name];
  const dataset: unknown = typeof found === "function" ? await (found as (...args: readonly unknown[]) => unknown)(...args) : found;
  if (!isDataset<S>(dataset)) {
    throw new GraftError("argument", `fromModule: "${name}" of ${text} does not give a data set. Return an object with length and get(index).`);
  }
  return new ModuleDataset(dataset, { module: url, export: name, args });
}

const isDataset = <S>(value: unknown): value is Dataset<S> =>
  typeof value === "object" && value !== null && typeof (value as Dataset).length === "number" && typeof (value as Dataset).get === "function";
