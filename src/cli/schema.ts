import { z } from "zod";
import { didYouMean, GraftError } from "../base/index.js";

/** An object of which every key must be known; an unknown one is answered with the nearest known one. */
export function strict<T extends z.ZodRawShape>(shape: T): z.ZodObject<T, z.core.$strict> {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code === "unrecognized_keys") return (issue.keys as string[]).map((key) => `unknown key "${key}".${didYouMean(key, known)} Known keys: ${known.join(", ")}.`).join(" ");
      return issue.code === "invalid_type" ? `is ${show(issue.input)}. It must have keys (${known.join(", ")}).` : undefined;
    },
  });
}

const show = (value: unknown): string => (value === undefined ? "missing" : JSON.stringify(value));

/** One of a few words; a wrong one is answered with the nearest. */
export function oneOf<const T extends readonly [string, ...string[]]>(words: T): z.ZodEnum<{ [K in T[number]]: K }> {
  return z.enum(words, { error: ({ input }) => `is ${show(input)}.${typeof input === "string" ? didYouMean(input, words) : ""} Use one of ${words.join(", ")}.` }) as never;
}

/** A number within bounds. */
export function number({ min, max, above, whole = false }: { readonly min?: number; readonly max?: number; readonly above?: number; readonly whole?: boolean } = {}): z.ZodNumber {
  const bounds = above !== undefined ? ` above ${above}` : min !== undefined && max !== undefined ? ` from ${min} to ${max}` : min !== undefined ? ` of ${min} or more` : max !== undefined ? ` of ${max} or less` : "";
  const error = ({ input }: { readonly input?: unknown }): string => `is ${show(input)}. Use a ${whole ? "whole " : ""}number${bounds}.`;
  let schema = z.number({ error });
  if (whole) schema = schema.int({ error });
  if (min !== undefined) schema = schema.min(min, { error });
  if (max !== undefined) schema = schema.max(max, { error });
  return above === undefined ? schema : schema.gt(above, { error });
}

export const whole = (min = 1): z.ZodNumber => number({ min, whole: true });
export const word = (): z.ZodString => z.string({ error: ({ input }) => `is ${show(input)}. Use a text.` }).min(1, { error: "is empty." });
export const flag = (): z.ZodBoolean => z.boolean({ error: ({ input }) => `is ${show(input)}. Use true or false.` });

/** The name of a run, which becomes a folder's. */
export const runName = (): z.ZodString => z.string({ error: ({ input }) => `is ${show(input)}. Use a text.` }).regex(/^[\w.-]+$/, { error: "must consist of letters, digits, points, - and _." });

/** A problem at a place of a document. */
export interface Problem {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** The problems that zod found, each at the key that it is about. */
export function problemsOf(error: z.ZodError): Problem[] {
  return error.issues.flatMap((issue): Problem[] => {
    const path = issue.path as (string | number)[];
    if (issue.code === "unrecognized_keys") return [{ path: [...path, issue.keys[0]], message: issue.message }];
    if (issue.code === "invalid_union") {
      // the reading that went furthest is the one that was meant
      const readings = issue.errors.map((issues) => problemsOf({ issues } as z.ZodError));
      const depth = (problems: readonly Problem[]): number => Math.max(0, ...problems.map((problem) => problem.path.length));
      const best = readings.reduce((a, b) => (depth(b) > depth(a) ? b : a), []);
      return best.length > 0 && depth(best) > 0 ? best.map(({ path: inner, message }) => ({ path: [...path, ...inner], message })) : [{ path, message: issue.message }];
    }
    return [{ path, message: issue.message }];
  });
}

/** Checks a value that did not come from a recipe (a saved config, an option). Throws `config` with all problems. */
export function check<T>(what: string, schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const problems = problemsOf(result.error).map(({ path, message }) => `${path.length > 0 ? `${path.join(".")} ` : ""}${message}`);
  throw new GraftError("config", `${what}: ${problems.join(" ")}`);
}
