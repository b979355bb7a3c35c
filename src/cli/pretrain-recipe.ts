import { readFile } from "node:fs/promises";
import { basename, extname } from "node:path";
import { LineCounter, parseDocument } from "yaml";
import type { z } from "zod";
import { GraftError, readError } from "../base/index.js";
import { check, number, oneOf, strict, whole, word } from "./schema.js";

const share = (): z.ZodNumber => number({ min: 0, max: 0.9 });

/** What a file for `graft pretrain` holds. */
export const pretrainSchema = strict({
  name: word().optional(),
  /** Text: a file or folder, its endings, and how much of it. */
  data: strict({ path: word(), extensions: word().array().optional(), field: word().optional(), maxBytes: whole().optional(), valid: share().default(0.1) }),
  tokenizer: strict({ kind: oneOf(["bytes", "characters"]).default("bytes"), vocabSize: whole(257).default(2048) }).prefault({}),
  model: strict({ layers: whole().default(4), heads: whole().default(4), size: whole().default(128), block: whole(2).default(128), dropout: share().default(0) }).prefault({}),
  training: strict({
    steps: whole().default(1000),
    batchSize: whole().default(12),
    accumulate: whole().default(1),
    lr: number({ above: 0 }).default(1e-3),
    beta2: number({ min: 0, max: 0.9999 }).default(0.95),
    weightDecay: number({ min: 0 }).default(0.1),
    schedule: oneOf(["cosine", "linear", "constant", "wsd"]).default("cosine"),
    warmupSteps: whole(0).default(100),
    evalEvery: whole().default(250),
    /** Blocks of validation text that are measured each time. */
    evalBlocks: whole().default(400),
    seed: whole(0).default(0),
  }).prefault({}),
  /** What the model writes at each evaluation. */
  sample: strict({ prompt: word().default("\n"), tokens: whole().default(60), temperature: number({ min: 0 }).default(0.8) }).prefault({}),
});

/** A checked recipe with its defaults. */
export type PretrainRecipe = z.infer<typeof pretrainSchema> & { readonly name: string };

/** Keys that flags replace, with points: `training.lr`. */
export type Changes = Readonly<Record<string, string | number | undefined>>;

/** Reads and checks a recipe. Throws `file`, `format` for what is no YAML, `config` for wrong keys and values. */
export async function readPretrainRecipe(file: string, changes: Changes): Promise<PretrainRecipe> {
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw readError(file, cause);
  });
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  if (document.errors.length > 0) {
    const { line, col } = lines.linePos(document.errors[0].pos[0]);
    throw new GraftError("format", `${file}:${line}:${col}: ${document.errors[0].message.split(" at line ")[0].split("\n")[0]}. Correct the YAML.`);
  }
  for (const [key, value] of Object.entries(changes)) if (value !== undefined) document.setIn(key.split("."), value);
  const recipe = check(file, pretrainSchema, document.toJS({ maxAliasCount: 100 }) ?? {});
  return { ...recipe, name: recipe.name ?? basename(file, extname(file)) };
}
