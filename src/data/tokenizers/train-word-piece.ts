import { checkOptions } from "../../base/index.js";
import { assemble, usualRoles } from "./assemble.js";
import { countWords, type Texts } from "./count-words.js";
import { normalizerOf } from "./library.js";
import { splitBert } from "./split.js";
import type { Tokenizer } from "./tokenizer.js";
import { idsOf, mergeOptionNames, mergeSettings, vocabOf, type MergeTrainOptions } from "./train-bpe.js";
import { specialTokens } from "./train-options.js";
import { trainPieces } from "./train-pieces.js";

/** Options of {@link trainWordPiece}. */
export interface WordPieceOptions extends MergeTrainOptions {
  /** Turns text into lower case and takes accents off. Default true. */
  readonly lowercase?: boolean;
  /** Stands before tokens that do not begin a word. Default `##`. */
  readonly prefix?: string;
}

/**
 * Trains WordPiece, the kind of BERT (Devlin et al. 2019): words between white space and punctuation, pieces inside a word marked by `##`. The vocabulary is
 * learnt by merging the most frequent pairs, as Hugging Face's `tokenizers` does; texts are then cut into the longest pieces from the left.
 *
 * Special tokens: `[PAD]`, `[UNK]`, `[CLS]`, `[SEP]`, `[MASK]` unless others are given (`[UNK]` must be among them). Throws `argument` where there is no text.
 *
 * @example
 * const tokenizer = await data.tokenizers.trainWordPiece(sentences, { vocabSize: 8000 });
 * tokenizer.encode("a film"); // [CLS] a film [SEP]
 */
export async function trainWordPiece(texts: Texts, options: WordPieceOptions = {}): Promise<Tokenizer> {
  checkOptions("trainWordPiece", options, [...mergeOptionNames, "lowercase", "prefix"]);
  const { lowercase = true, prefix = "##" } = options;
  const normalizer = { type: "BertNormalizer", clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase };
  const special = [...new Set([...specialTokens(options, ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]), "[UNK]"])];
  const rules = { split: splitBert, prepare: await normalizerOf(normalizer) };
  const settings = { ...mergeSettings(options), special, prefix, suffix: "", spell: (word: string) => word };
  const { vocabulary } = trainPieces(await countWords(texts, rules), settings);
  const id = (token: string): number | undefined => vocabulary.id(token);
  const framed = special.includes("[CLS]") && special.includes("[SEP]");
  return assemble(
    {
      name: "WordPiece",
      model: { type: "WordPiece", unk_token: "[UNK]", continuing_subword_prefix: prefix, max_input_chars_per_word: 100, vocab: vocabOf(vocabulary) },
      special: idsOf(special, vocabulary),
      normalizer,
      preTokenizer: { type: "BertPreTokenizer" },
      postProcessor: framed ? { type: "BertProcessing", sep: ["[SEP]", id("[SEP]")], cls: ["[CLS]", id("[CLS]")] } : undefined,
      decoder: { type: "WordPiece", prefix, cleanup: true },
      roles: usualRoles({ unk: "[UNK]", sep: "[SEP]", pad: "[PAD]", cls: "[CLS]", mask: "[MASK]" }, special),
    },
    options,
  );
}
