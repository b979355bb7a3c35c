import { checkNumber, GraftError } from "../../base/index.js";
import type { AddedToken, Role } from "./file-types.js";

/** What all trainers of tokenizers can be told. */
export interface TokenizerTrainOptions {
  /** Tokens at most, special ones included. Default 30,000 (Unigram 8,000). */
  readonly vocabSize?: number;
  /** Tokens that are never cut and come first in the vocabulary. */
  readonly specialTokens?: readonly string[];
  /** Which of the special tokens has which role, e.g. `{ eos: "<|endoftext|>" }`; tokens named here are added to `specialTokens`. */
  readonly roles?: Partial<Record<Role, string>>;
  /** The longest text in tokens that the model will take, written to `tokenizer_config.json`. */
  readonly modelMaxLength?: number;
  /** Jinja source, or the name of a ready-made template. */
  readonly chatTemplate?: string;
}

/** The special tokens in order, each once. Throws `argument` for an empty one. */
export function specialTokens(options: TokenizerTrainOptions, standard: readonly string[] = []): readonly string[] {
  const all = [...new Set([...(options.specialTokens ?? standard), ...Object.values(options.roles ?? {})])];
  if (all.includes("")) throw new GraftError("argument", "training a tokenizer: a special token is empty. Give each a text.");
  return all;
}

/** Checks and returns the size of the vocabulary. */
export const vocabSizeOf = (options: TokenizerTrainOptions, standard: number): number =>
  checkNumber("training a tokenizer", "vocabSize", options.vocabSize ?? standard, { min: 1, max: 2 ** 24 - 1, whole: true });

/** A special token as an entry of `added_tokens`. */
export const addedToken = (content: string, id: number): AddedToken => ({ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true });
