import { GraftError } from "../base/index.js";

/** What JSON can hold. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** A JSON object. */
export type JsonObject = { readonly [key: string]: Json };

/** Names that reach an object's prototype when somebody assigns by name. */
const reserved = new Set(["__proto__", "constructor", "prototype"]);

/** Whether a name, or a dotted part of it, would touch an object's prototype. */
export const isReservedName = (name: string): boolean => name.split(".").some((part) => reserved.has(part));

/** Whether a JSON value is an object (not null, not a list). */
export const isJsonObject = (value: Json | undefined): value is JsonObject => typeof value === "object" && value !== null && !Array.isArray(value);

/** Deeper text is an attack on whoever walks it by recursion (as `JSON.stringify` does). */
export const maxDepth = 500;

/**
 * Parses JSON of unknown origin: duplicate keys (of which `JSON.parse` silently keeps the last), prototype names and nesting deeper than 500 are errors.
 *
 * Throws `format`, with `what` in front of the message.
 *
 * @example
 * const config = parseJson("config.json", '{"hidden": 64}');
 */
export function parseJson(what: string, text: string): Json {
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch (cause) {
    throw new GraftError("format", `${what}: is not valid JSON: ${(cause as Error).message}. Repair the file or write it again.`, { cause });
  }
  checkKeysOf(what, text);
  return value;
}

/** Walks text that is known to be valid JSON and looks at the keys only. Iterative, so that deep nesting cannot overflow the stack. */
function checkKeysOf(what: string, text: string): void {
  const open: (Set<string> | undefined)[] = []; // the keys seen in each open object; undefined for a list
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (open.length > maxDepth) throw new GraftError("format", `${what}: is nested more than ${maxDepth} deep. Repair the file or write it again.`);
    if (c === "{") open.push(new Set());
    else if (c === "[") open.push(undefined);
    else if (c === "}" || c === "]") open.pop();
    else if (c === '"') {
      const start = i++;
      while (text[i] !== '"') i += text[i] === "\\" ? 2 : 1;
      let after = i + 1;
      while (" \t\n\r".includes(text[after] ?? "x")) after++;
      const keys = open.at(-1);
      if (keys === undefined || text[after] !== ":") continue; // a value, not a key
      const key = JSON.parse(text.slice(start, i + 1)) as string;
      if (keys.has(key)) throw new GraftError("format", `${what}: the key "${shorten(key)}" appears twice. Keep one of them.`);
      if (isReservedName(key)) throw new GraftError("format", `${what}: the key "${shorten(key)}" is not allowed, it would reach an object's prototype. Rename it.`);
      keys.add(key);
    }
  }
}

/** A name from a file, cut to a length that fits a message. */
export const shorten = (name: string): string => (name.length > 120 ? `${name.slice(0, 117)}...` : name);
