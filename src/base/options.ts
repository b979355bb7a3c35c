import { GraftError } from "./errors.js";
import { didYouMean, nearest } from "./suggest.js";

/** A word whose spelling differs only in case and underscores is what was meant, however far its letters are (`keep_dim`, `keepDim`). */
const plain = (word: string): string => word.replace(/[_-]/g, "").toLowerCase();

/** An object literal, and not a value of a class (a tensor in the place of the options, say). */
function isPlain(value: unknown): value is object {
  if (value === null || typeof value !== "object") return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

/**
 * Throws unless `options` is an object (or absent) whose keys are all known: a mistyped option must not be ignored silently.
 *
 * @throws GraftError `argument`, with the nearest known option.
 * @example
 * checkOptions("sum", { keepdims: true }, ["dim", "keepdim"]);
 * // GraftError: sum: unknown option "keepdims". Did you mean "keepdim"? Options: dim, keepdim.
 */
export function checkOptions<T extends object>(op: string, options: T | undefined, known: readonly (keyof T & string)[]): void {
  if (options === undefined) return;
  if (!isPlain(options)) {
    const kind = options === null ? "null" : Array.isArray(options) ? "an array" : typeof options === "object" ? `a ${(options as object).constructor.name}` : `${typeof options} ${String(options)}`;
    throw new GraftError("argument", `${op}: the options are ${kind}, not an object. Write { ${known[0]}: ... }; options: ${known.join(", ")}.`);
  }
  const names: readonly string[] = known;
  for (const key of Object.keys(options)) {
    if (names.includes(key)) continue;
    const same = names.find((name) => plain(name) === plain(key));
    const hint = same === undefined ? didYouMean(key, names) : ` Did you mean "${same}"?`;
    throw new GraftError("argument", `${op}: unknown option "${key}".${hint} Options: ${known.join(", ")}.`);
  }
}

/**
 * Checks that a value is one of a few words and returns it.
 *
 * @throws GraftError `argument`, with the nearest known word.
 * @example
 * checkChoice("mseLoss", "reduction", "avg", ["none", "mean", "sum"]); // GraftError: mseLoss: reduction is "avg". ...
 */
export function checkChoice<T extends string>(op: string, name: string, value: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === value);
  if (found !== undefined) return found;
  const hint = typeof value === "string" ? nearest(value, choices) : undefined;
  const shown = typeof value === "string" ? `"${value}"` : String(value);
  throw new GraftError("argument", `${op}: ${name} is ${shown}.${hint === undefined ? "" : ` Did you mean "${hint}"?`} Use one of ${choices.map((choice) => `"${choice}"`).join(", ")}.`);
}

/** Bounds of {@link checkNumber}, all inclusive unless the name says otherwise. */
export interface NumberRange {
  readonly min?: number;
  readonly max?: number;
  /** The value must be greater than this. */
  readonly above?: number;
  readonly whole?: boolean;
}

/**
 * Checks that a value is a number within bounds (never NaN) and returns it.
 *
 * @throws GraftError `argument`.
 * @example
 * checkNumber("dropout", "p", 1.5, { min: 0, max: 1 }); // GraftError: dropout: p is 1.5. Use a number from 0 to 1.
 */
export function checkNumber(op: string, name: string, value: number, { min = -Infinity, max = Infinity, above, whole = false }: NumberRange = {}): number {
  const inside = typeof value === "number" && value >= min && value <= max && (above === undefined || value > above) && (!whole || Number.isInteger(value));
  if (inside) return value;
  const kind = whole ? "a whole number" : "a number";
  const bounds = above !== undefined ? ` above ${above}` : min > -Infinity && max < Infinity ? ` from ${min} to ${max}` : min > -Infinity ? ` of ${min} or more` : max < Infinity ? ` of ${max} or less` : "";
  throw new GraftError("argument", `${op}: ${name} is ${typeof value === "string" ? `"${value}"` : String(value)}. Use ${kind}${bounds}.`);
}
