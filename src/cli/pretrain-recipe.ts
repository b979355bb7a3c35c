import type { z } from "zod";
import type { Override } from "./overrides.js";
import { readRecipeAs, type RecipeFile } from "./read-recipe.js";
import { number, oneOf, runName, strict, whole, word } from "./schema.js";
import { trainingShape } from "./training-keys.js";

const share = (): z.ZodNumber => number({ min: 0, max: 0.9 });

/** What a file for `graft pretrain` holds. */
export const pretrainSchema = strict({
  name: runName().optional(),
  /** What is learnt: the next token (a GPT-2), or hidden words (`mlm`, a BERT). */
  objective: oneOf(["clm", "mlm"]).default("clm"),
  /** Text: a file or folder, its endings, and how much of it. */
  data: strict({ path: word(), extensions: word().array().optional(), field: word().optional(), maxBytes: whole().optional(), valid: share().default(0.1) }),
  /** Default kind: bytes, for hidden words wordpiece. */
  tokenizer: strict({ kind: oneOf(["bytes", "characters", "wordpiece"]).optional(), vocabSize: whole(257).default(2048) }).prefault({}),
  model: strict({ layers: whole().default(4), heads: whole().default(4), size: whole().default(128), block: whole(2).default(128), dropout: share().default(0) })
    .superRefine(({ size, heads }, context) => {
      if (size % heads !== 0) context.addIssue({ code: "custom", path: ["heads"], message: `is ${heads}. It must divide the size, ${size}.` });
    })
    .prefault({}),
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
    ...trainingShape,
    logEvery: whole().default(10),
  }).prefault({}),
  /** What the model writes at each evaluation. */
  sample: strict({ prompt: word().default("\n"), tokens: whole().default(60), temperature: number({ min: 0 }).default(0.8) }).prefault({}),
});

/** A checked recipe with its defaults. */
export type PretrainRecipe = z.infer<typeof pretrainSchema>;

/** Reads and checks a recipe. Throws as `readRecipe`. */
export const readPretrainRecipe = (file: string, overrides: readonly Override[]): Promise<RecipeFile<PretrainRecipe>> => readRecipeAs(pretrainSchema, file, overrides);
