import { z } from "zod";

/** The schema inside of what makes it optional, and its default. */
function inner(schema: z.core.$ZodType): { readonly schema: z.core.$ZodType; readonly fallback: unknown } {
  if (schema instanceof z.ZodOptional) return inner(schema.unwrap());
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) return { schema: inner(schema.unwrap()).schema, fallback: schema.def.defaultValue };
  return { schema, fallback: undefined };
}

/** The keys of a schema by sections with their defaults, for help texts: `training  steps=1000 lr=0.001`. */
export function describeKeys(schema: z.ZodObject): string {
  const sections = new Map<string, string[]>();
  for (const [name, value] of Object.entries(schema.shape as Record<string, z.core.$ZodType>)) {
    const { schema: own, fallback } = inner(value);
    if (own instanceof z.ZodObject) sections.set(name, Object.entries(own.shape as Record<string, z.core.$ZodType>).map(([key, part]) => entry(key, inner(part).fallback)));
    else sections.set(entry(name, fallback), []);
  }
  const width = Math.max(...[...sections.keys()].map((name) => name.length));
  return [...sections].map(([name, keys]) => `  ${name.padEnd(width)}  ${keys.join(" ")}`.trimEnd()).join("\n");
}

const entry = (key: string, fallback: unknown): string => (fallback === undefined ? key : `${key}=${typeof fallback === "string" ? (/^\w+$/.test(fallback) ? fallback : JSON.stringify(fallback)) : String(fallback as number)}`);
