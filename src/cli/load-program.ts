import { stat } from "node:fs/promises";
import { register } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { GraftError, readError } from "../base/index.js";

let ready = false;

/** Makes TypeScript files loadable, with "graftml" as the copy of the library that is running. */
async function prepare(): Promise<void> {
  if (ready) return;
  ready = true;
  const source = import.meta.url.endsWith(".ts"); // then tsx is already there
  if (!source) (await import("tsx/esm/api")).register();
  const entry = new URL(source ? "../index.ts" : "../index.js", import.meta.url).href;
  register(new URL("../../bin/resolve.js", import.meta.url), { data: { entry } }); // src/cli and dist/cli are equally deep
}

/**
 * Runs a program (.ts, .js, .mts, .mjs) and returns what it exports. Throws `file` when it is missing or does not compile; what the program itself throws passes.
 */
export async function loadProgram(file: string): Promise<Readonly<Record<string, unknown>>> {
  const path = resolve(file);
  const found = await stat(path).catch((cause: unknown) => {
    throw readError(file, cause);
  });
  if (!found.isFile()) throw new GraftError("file", `${file}: is a folder. Name a program in it.`);
  await prepare();
  try {
    return (await import(pathToFileURL(path).href)) as Record<string, unknown>;
  } catch (error) {
    const { name, message, code } = error as Error & { code?: string };
    // esbuild, which tsx uses, calls its error TransformError
    if (name === "TransformError" || name === "SyntaxError") throw new GraftError("format", `${file}: ${message.trim()}`, { cause: error });
    if (code === "ERR_MODULE_NOT_FOUND") throw new GraftError("file", `${file}: ${message.split(" imported from")[0]}. Install it, or correct the import.`, { cause: error });
    throw error;
  }
}
