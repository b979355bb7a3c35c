import { readFile } from "node:fs/promises";
import { basename, extname } from "node:path";
import { isNode, LineCounter, parse, parseDocument, type Document } from "yaml";
import type { z } from "zod";
import { GraftError, readError } from "../base/index.js";
import type { Override } from "./overrides.js";
import { recipeSchema, type Recipe } from "./recipe.js";
import { problemsOf, type Problem } from "./schema.js";

/** Keys and positions, from the outside in. */
type Path = readonly (string | number)[];

/** A recipe with the means to say where in its file a problem is. */
export interface RecipeFile<R = Recipe> {
  readonly file: string;
  readonly text: string;
  readonly recipe: R;
  readonly name: string;
  /** Runs `body`; what it throws (or rejects with) is told with the line of the key that it is about. */
  at<T>(path: Path, body: () => T): T;
}

/** Reads and checks a recipe of `graft train`. Throws `file`, `format` for what is no YAML, `config` with all problems, each with its line. */
export const readRecipe = (file: string, overrides: readonly Override[]): Promise<RecipeFile> => readRecipeAs(recipeSchema, file, overrides);

/** Reads a file and checks it by a schema. Throws as {@link readRecipe}. */
export async function readRecipeAs<R extends { readonly name?: string }>(schema: z.ZodType<R>, file: string, overrides: readonly Override[]): Promise<RecipeFile<R>> {
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw readError(file, cause);
  });
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  if (document.errors.length > 0) {
    const [{ message, pos }] = document.errors;
    const { line, col } = lines.linePos(pos[0]);
    throw new GraftError("format", `${file}:${line}:${col}: ${message.split(" at line ")[0].split("\n")[0]}. Correct the YAML.`);
  }
  for (const override of overrides) apply(document, override, file);
  const place = (path: Path): string => placeOf(document, lines, file, path, overrides);
  const result = schema.safeParse(document.toJS({ maxAliasCount: 100 }) ?? {});
  if (!result.success) throw problems(problemsOf(result.error), place);
  return {
    file,
    text,
    recipe: result.data,
    name: result.data.name ?? basename(file, extname(file)),
    at(path, body) {
      const told = (error: unknown): unknown => {
        if (!(error instanceof GraftError)) return error;
        const exact = refine(document, path, error.message);
        return new GraftError(error.code, `${place(exact)}: ${exact.join(".")}: ${error.message}`, { cause: error });
      };
      try {
        const result = body();
        return result instanceof Promise ? (result.catch((error: unknown) => Promise.reject(told(error) as Error)) as typeof result) : result;
      } catch (error) {
        throw told(error);
      }
    },
  };
}

/** The key inside `path` that a message names, as in `unknown key "hiden"`, `hidden is -1` or `layers[2]`. */
function refine(document: Document, path: Path, message: string): Path {
  const node = document.getIn(path) as { items?: readonly { key: unknown; value: unknown }[] } | undefined;
  const keys = (node?.items ?? []).map((item) => String(item.key));
  const [, position] = /layers\[(\d+)\]/.exec(message) ?? [];
  if (position !== undefined && keys.includes("layers")) return [...path, "layers", Number(position)];
  const named = keys.find((key) => message.includes(`"${key}"`) || message.includes(`${key} is `));
  const valued = (node?.items ?? []).find(({ value }) => message.includes(`"${String(value)}"`));
  const key = named ?? (valued === undefined ? undefined : String(valued.key));
  return key === undefined ? path : [...path, key];
}

function problems(found: readonly Problem[], place: (path: Path) => string): GraftError {
  const line = (path: Path): number => Number(/:(\d+):\d+$/.exec(place(path))?.[1] ?? 0);
  const ordered = [...found].sort((a, b) => line(a.path) - line(b.path));
  const texts = ordered.map(({ path, message }) => `${place(path)}: ${path.length === 0 ? "the recipe" : path.join(".")} ${says(message)}`);
  return new GraftError("config", texts.join("\n"));
}

/** "is 3." needs no colon before it, "unknown key" does. */
const says = (message: string): string => (/^(is|must|has|needs|names) /.test(message) ? message : `: ${message}`).replace(/^: Invalid input: expected (\w+), received undefined/, "is missing").replace(/^: /, "- ");

/** Puts a flag's value into the document. */
function apply(document: Document, { key, value, flag }: Override, file: string): void {
  const path = key.split(".").map((part) => (/^\d+$/.test(part) ? Number(part) : part));
  if (path.some((part) => part === "")) throw new GraftError("config", `${flag}: "${key}" is not a key. Write it as in ${file}, with points: optimizer.lr=0.01.`);
  try {
    document.setIn(path, parse(value));
  } catch {
    throw new GraftError("config", `${flag}: "${key}" cannot be set in ${file}: a part of it is no list of keys there.`);
  }
}

/** `file:line:column` of a key, or of the nearest one around it that is there. */
function placeOf(document: Document, lines: LineCounter, file: string, path: Path, overrides: readonly Override[]): string {
  const own = overrides.find(({ key }) => path.join(".") === key || path.join(".").startsWith(`${key}.`));
  if (own !== undefined) return own.flag;
  for (let length = path.length; length > 0; length--) {
    const parent = length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true);
    const key = path[length - 1];
    const items = (parent as { items?: readonly unknown[] } | undefined)?.items;
    const item = typeof key === "number" ? items?.[key] : items?.find((pair) => String((pair as { key: unknown }).key) === key);
    const node = (typeof key === "number" ? item : (item as { key?: unknown } | undefined)?.key) as { range?: readonly number[] } | undefined;
    if (isNode(node) && node.range) {
      const { line, col } = lines.linePos(node.range[0]);
      return `${file}:${line}:${col}`;
    }
  }
  return file;
}
