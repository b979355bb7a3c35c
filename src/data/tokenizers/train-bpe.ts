import { checkChoice, checkNumber, checkOptions } from "../../base/index.js";
import { assemble, usualRoles } from "./assemble.js";
import { byteCharacters, toByteCharacters } from "./byte-level.js";
import { countWords, type Texts, type WordRules } from "./count-words.js";
import type { Component } from "./file-types.js";
import type { Vocabulary } from "./learn-merges.js";
import { metaspace, splitBert, splitGpt2, splitMetaspace, splitNothing, splitWhitespace, splitWords } from "./split.js";
import type { Tokenizer } from "./tokenizer.js";
import { specialTokens, vocabSizeOf, type TokenizerTrainOptions } from "./train-options.js";
import { trainPieces } from "./train-pieces.js";

/** Options of the trainers that merge pairs. */
export interface MergeTrainOptions extends TokenizerTrainOptions {
  /** Pairs that occur less often are not merged. Default 0. */
  readonly minFrequency?: number;
  /** Tokens have fewer characters than this. Default: no limit. */
  readonly maxTokenLength?: number;
  /** Keeps only so many different characters, the most frequent ones. Default: all. */
  readonly limitAlphabet?: number;
  /** Characters that are tokens even if the texts lack them. */
  readonly initialAlphabet?: Iterable<string>;
}

export const mergeOptionNames = [
  "vocabSize", "specialTokens", "roles", "modelMaxLength", "chatTemplate", "minFrequency", "maxTokenLength", "limitAlphabet", "initialAlphabet",
] as const satisfies readonly (keyof MergeTrainOptions)[];

/** The options all merging trainers share, checked and with their defaults. */
export const mergeSettings = (options: MergeTrainOptions) => ({
  vocabSize: vocabSizeOf(options, 30_000),
  minFrequency: checkNumber("training a tokenizer", "minFrequency", options.minFrequency ?? 0, { min: 0 }),
  maxTokenLength: checkNumber("training a tokenizer", "maxTokenLength", options.maxTokenLength ?? Infinity, { min: 1 }),
  limitAlphabet: checkNumber("training a tokenizer", "limitAlphabet", options.limitAlphabet ?? Infinity, { min: 1 }),
  alphabet: options.initialAlphabet ?? [],
});

/** Ids of special tokens. */
export const idsOf = (special: readonly string[], vocabulary: Vocabulary): (readonly [string, number])[] => special.map((token) => [token, vocabulary.id(token)!] as const);

/** The vocabulary as `tokenizer.json` has it. */
export const vocabOf = (vocabulary: Vocabulary): Readonly<Record<string, number>> => Object.fromEntries(vocabulary.tokens.map((token, id) => [token, id]));

/** Options of {@link trainByteLevelBpe}. */
export interface ByteLevelBpeOptions extends MergeTrainOptions {
  /** Puts a space before each text that has none. Default false. */
  readonly addPrefixSpace?: boolean;
}

/**
 * Trains byte-level BPE, the kind of GPT-2 (Radford et al. 2019): words by its regular expression, their UTF-8 bytes as characters, so that every text has
 * tokens and comes back unchanged. The special token `<|endoftext|>` (id 0) ends texts unless other special tokens are given.
 *
 * The merges are those of Hugging Face's `tokenizers` on the same texts and settings. Throws `argument` where there is no text.
 *
 * @example
 * const tokenizer = await data.tokenizers.trainByteLevelBpe(data.text.texts("corpus"), { vocabSize: 4096, minFrequency: 2 });
 * await tokenizer.save("my-tokenizer");
 */
export async function trainByteLevelBpe(texts: Texts, options: ByteLevelBpeOptions = {}): Promise<Tokenizer> {
  checkOptions("trainByteLevelBpe", options, [...mergeOptionNames, "addPrefixSpace"]);
  const { addPrefixSpace = false } = options;
  const special = specialTokens(options, ["<|endoftext|>"]);
  const rules: WordRules = { split: splitGpt2, prepare: addPrefixSpace ? (text) => (text.startsWith(" ") ? text : ` ${text}`) : undefined };
  const settings = { ...mergeSettings(options), alphabet: options.initialAlphabet ?? byteCharacters, special, prefix: "", suffix: "", spell: toByteCharacters };
  const { vocabulary, merges } = trainPieces(await countWords(texts, rules), settings);
  const byteLevel: Component = { type: "ByteLevel", add_prefix_space: addPrefixSpace, trim_offsets: true, use_regex: true };
  return assemble(
    {
      name: "byte-level BPE",
      model: bpeModel(vocabulary, merges),
      special: idsOf(special, vocabulary),
      preTokenizer: byteLevel,
      decoder: byteLevel,
      roles: usualRoles({ bos: "<|endoftext|>", eos: "<|endoftext|>" }, special),
    },
    options,
  );
}

const bpeModel = (vocabulary: Vocabulary, merges: readonly (readonly [string, string])[], unknown?: string, suffix = ""): Component => ({
  type: "BPE",
  dropout: null,
  unk_token: unknown ?? null,
  continuing_subword_prefix: null,
  end_of_word_suffix: suffix === "" ? null : suffix,
  fuse_unk: false,
  byte_fallback: false,
  ignore_merges: false,
  vocab: vocabOf(vocabulary),
  merges,
});

/** How BPE on characters cuts text into words. */
export type BpeWords = "metaspace" | "whitespace" | "whitespaceSplit" | "bert" | "none";

/** Options of {@link trainBpe}. */
export interface BpeOptions extends MergeTrainOptions {
  /**
   * Where words begin: `metaspace` at spaces, which become U+2581 and belong to the word after them; `whitespace` also between word characters and others;
   * `whitespaceSplit` only at white space; `bert` as `whitespaceSplit` with punctuation alone; `none` takes each text whole. Default `metaspace`.
   */
  readonly words?: BpeWords;
  /** Stands for characters that the texts lack. Default `<unk>`. */
  readonly unkToken?: string;
  /** Marks the last token of a word (`</w>`), so that the spaces can be found again. Default: none. */
  readonly endOfWordSuffix?: string;
}

/**
 * Trains BPE on characters (Sennrich et al. 2016). Special tokens: `<unk>`, `<s>`, `</s>` unless others are given.
 *
 * The merges are those of Hugging Face's `tokenizers` on the same texts and settings. Throws `argument` where there is no text.
 *
 * @example
 * const tokenizer = await data.tokenizers.trainBpe(["low lower lowest"], { vocabSize: 20, words: "whitespaceSplit" });
 */
export async function trainBpe(texts: Texts, options: BpeOptions = {}): Promise<Tokenizer> {
  checkOptions("trainBpe", options, [...mergeOptionNames, "words", "unkToken", "endOfWordSuffix"]);
  const { endOfWordSuffix: suffix = "", unkToken = "<unk>" } = options;
  const words = checkChoice("trainBpe", "words", options.words ?? "metaspace", ["metaspace", "whitespace", "whitespaceSplit", "bert", "none"]);
  const special = [...new Set([...specialTokens(options, [unkToken, "<s>", "</s>"]), unkToken])];
  const settings = { ...mergeSettings(options), special, prefix: "", suffix, spell: (word: string) => word };
  const { rules, preTokenizer, decoder } = wordKinds[words];
  const { vocabulary, merges } = trainPieces(await countWords(texts, rules), settings);
  return assemble(
    {
      name: "BPE",
      model: bpeModel(vocabulary, merges, unkToken, suffix),
      special: idsOf(special, vocabulary),
      preTokenizer,
      decoder: suffix === "" ? decoder : { type: "BPEDecoder", suffix },
      roles: usualRoles({ bos: "<s>", eos: "</s>", unk: unkToken }, special),
    },
    options,
  );
}

/** Spaces as marks, with one before the first word. */
export const toMetaspace = (text: string): string => {
  const marked = text.replaceAll(" ", metaspace);
  return marked.startsWith(metaspace) ? marked : metaspace + marked;
};

export const metaspaceComponent: Component = { type: "Metaspace", replacement: metaspace, prepend_scheme: "always", split: true };

const wordKinds: Readonly<Record<BpeWords, { readonly rules: WordRules; readonly preTokenizer?: Component; readonly decoder?: Component }>> = {
  metaspace: { rules: { split: splitMetaspace, prepare: toMetaspace }, preTokenizer: metaspaceComponent, decoder: metaspaceComponent },
  whitespace: { rules: { split: splitWords }, preTokenizer: { type: "Whitespace" } },
  whitespaceSplit: { rules: { split: splitWhitespace }, preTokenizer: { type: "WhitespaceSplit" } },
  bert: { rules: { split: splitBert }, preTokenizer: { type: "BertPreTokenizer" } },
  none: { rules: { split: splitNothing }, decoder: { type: "Fuse" } },
};
