import { GraftError } from "../base/index.js";
import { isReservedName, maxDepth } from "./json.js";

/**
 * Text for a state that must come back exactly: JSON, with the numbers that JSON lacks (NaN, the infinities, -0) as
 * `{"$number": "NaN"}`.
 *
 * Throws `state` (with the path) for what JSON cannot hold: functions, undefined in a list, bigint, symbols, typed arrays, class
 * instances, cycles, nesting deeper than 500.
 *
 * @example
 * encodeState({ best: Infinity }); // '{"best":{"$number":"Infinity"}}'
 */
export function encodeState(state: unknown): string {
  return JSON.stringify(plain(state, "state", new Set()));
}

/** The state that `encodeState` wrote. Throws nothing of its own: parse the text first. */
export function decodeState(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(decodeState);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value);
  if (entries.length === 1 && entries[0][0] === marker && typeof entries[0][1] === "string") return Number(entries[0][1]);
  return Object.fromEntries(entries.map(([key, inner]) => [key, decodeState(inner)]));
}

const marker = "$number";

function plain(value: unknown, path: string, parents: Set<object>): unknown {
  const bad = (problem: string): GraftError => new GraftError("state", `checkpoint: ${path} ${problem}. Keep plain JSON in the state, tensors beside it.`);
  if (value === null || typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number") return Number.isFinite(value) && !Object.is(value, -0) ? value : { [marker]: Object.is(value, -0) ? "-0" : String(value) };
  if (typeof value !== "object") throw bad(`is a ${typeof value}, which JSON cannot hold`);
  if (parents.has(value)) throw bad("contains itself");
  if (parents.size >= maxDepth - 1) throw bad(`is nested more than ${maxDepth} deep, which could not be read back`); // 1 for the file around it
  parents.add(value);
  try {
    if (Array.isArray(value)) return value.map((item, i) => plain(item, `${path}[${i}]`, parents));
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) throw bad(`is a ${value.constructor.name}, which JSON cannot hold`);
    if (marker in value) throw bad(`has the key ${marker}, which is reserved`);
    const reserved = Object.keys(value).find(isReservedName);
    if (reserved !== undefined) throw bad(`has the key "${reserved}", which would reach an object's prototype`);
    const kept = Object.entries(value).filter(([, inner]) => inner !== undefined); // as JSON.stringify does
    return Object.fromEntries(kept.map(([key, inner]) => [key, plain(inner, `${path}.${key}`, parents)]));
  } finally {
    parents.delete(value);
  }
}
