import { checkNumber, checkOptions } from "../../base/index.js";
import { assemble, usualRoles } from "./assemble.js";
import { countWords, sortedWords, type Texts } from "./count-words.js";
import { normalizerOf } from "./library.js";
import { splitMetaspace } from "./split.js";
import type { Tokenizer } from "./tokenizer.js";
import { metaspaceComponent, toMetaspace } from "./train-bpe.js";
import { specialTokens, vocabSizeOf, type TokenizerTrainOptions } from "./train-options.js";
import { learnPieces } from "./unigram-pieces.js";

/** Options of {@link trainUnigram}. */
export interface UnigramOptions extends TokenizerTrainOptions {
  /** Stands for characters that the texts lack. Default `<unk>`. */
  readonly unkToken?: string;
  /** Substrings to begin with. Default 1,000,000. */
  readonly seedSize?: number;
  /** Share of the pieces that stays in each round. Default 0.75. */
  readonly shrinkingFactor?: number;
  /** Rounds of EM before pieces are dropped. Default 2. */
  readonly subIterations?: number;
  /** Characters (UTF-16 units) of a piece at most. Default 16. */
  readonly maxPieceLength?: number;
  /** Brings characters into their compatible standard form (Unicode NFKC). Default true. */
  readonly nfkc?: boolean;
}

/** Words longer than this are left out of training: they are no words, and the graph's places are 16-bit numbers. */
const longest = 1024;

/**
 * Trains a unigram tokenizer, the kind of SentencePiece and T5 (Kudo 2018): text is cut into the most probable pieces; spaces become U+2581.
 *
 * Special tokens: `<unk>`, `<s>`, `</s>` unless others are given. Throws `argument` where there is no text.
 *
 * @example
 * const tokenizer = await data.tokenizers.trainUnigram(data.text.texts("corpus"), { vocabSize: 8000 });
 */
export async function trainUnigram(texts: Texts, options: UnigramOptions = {}): Promise<Tokenizer> {
  checkOptions("trainUnigram", options, [
    "vocabSize", "specialTokens", "roles", "modelMaxLength", "chatTemplate", "unkToken", "seedSize", "shrinkingFactor", "subIterations", "maxPieceLength", "nfkc",
  ]);
  const { unkToken = "<unk>", nfkc = true } = options;
  const number = (name: "seedSize" | "shrinkingFactor" | "subIterations" | "maxPieceLength", standard: number, range: { min?: number; max?: number; whole?: boolean }): number =>
    checkNumber("trainUnigram", name, options[name] ?? standard, range);
  const special = [...new Set([...specialTokens(options, [unkToken, "<s>", "</s>"]), unkToken])];
  const settings = {
    size: Math.max(1, vocabSizeOf(options, 8000) - special.length),
    seedSize: number("seedSize", 1_000_000, { min: 1, whole: true }),
    shrinkingFactor: number("shrinkingFactor", 0.75, { min: 0.1, max: 0.99 }),
    subIterations: number("subIterations", 2, { min: 1, whole: true }),
    maxPieceLength: number("maxPieceLength", 16, { min: 1, max: 64, whole: true }),
  };
  const normalizer = nfkc ? { type: "NFKC" } : undefined;
  const normal = normalizer === undefined ? (text: string) => text : await normalizerOf(normalizer);
  const table = await countWords(texts, { split: splitMetaspace, prepare: (text) => toMetaspace(normal(text)) });
  const words = sortedWords(table).filter(({ word }) => word.length <= longest);
  const pieces = learnPieces(words, settings).filter(([piece]) => !special.includes(piece));
  return assemble(
    {
      name: "Unigram",
      model: { type: "Unigram", unk_id: special.indexOf(unkToken), vocab: [...special.map((token) => [token, 0]), ...pieces], byte_fallback: false },
      special: special.map((token, id) => [token, id] as const),
      normalizer,
      preTokenizer: metaspaceComponent,
      decoder: metaspaceComponent,
      roles: usualRoles({ bos: "<s>", eos: "</s>", unk: unkToken }, special),
    },
    options,
  );
}
