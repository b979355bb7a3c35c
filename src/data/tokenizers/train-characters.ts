import { checkOptions } from "../../base/index.js";
import { assemble } from "./assemble.js";
import { countWords, type Texts } from "./count-words.js";
import { splitNothing } from "./split.js";
import { Vocabulary } from "./learn-merges.js";
import type { Tokenizer } from "./tokenizer.js";
import { idsOf, vocabOf } from "./train-bpe.js";
import { specialTokens, type TokenizerTrainOptions } from "./train-options.js";

/** Options of {@link trainCharacters}. */
export interface CharacterOptions extends Pick<TokenizerTrainOptions, "specialTokens" | "roles" | "modelMaxLength" | "chatTemplate"> {
  /** Stands for characters that the texts lack. Default: none; such characters are then left out when text is encoded. */
  readonly unkToken?: string;
}

/**
 * A token for every character (code point) of the texts, in the order of their code points, after the special tokens (none by default). Written as BPE
 * without merges, which every reader of `tokenizer.json` understands.
 *
 * @example
 * const tokenizer = await data.tokenizers.trainCharacters([shakespeare]);
 * tokenizer.vocabSize; // 65
 */
export async function trainCharacters(texts: Texts, options: CharacterOptions = {}): Promise<Tokenizer> {
  checkOptions("trainCharacters", options, ["specialTokens", "roles", "modelMaxLength", "chatTemplate", "unkToken"]);
  const { unkToken } = options;
  const special = [...new Set([...specialTokens(options), ...(unkToken === undefined ? [] : [unkToken])])];
  const seen = new Set<string>();
  const characters = {
    prepare: (text: string) => {
      for (const character of text) seen.add(character);
      return text === "" ? "" : "x"; // the words themselves are not needed
    },
    split: splitNothing,
  };
  await countWords(texts, characters);
  const vocabulary = new Vocabulary();
  for (const token of special) vocabulary.add(token);
  for (const character of [...seen].sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!)) vocabulary.add(character);
  return assemble(
    {
      name: "character tokenizer",
      model: {
        type: "BPE", dropout: null, unk_token: unkToken ?? null, continuing_subword_prefix: null, end_of_word_suffix: null, fuse_unk: false, byte_fallback: false,
        ignore_merges: false, vocab: vocabOf(vocabulary), merges: [],
      },
      special: idsOf(special, vocabulary),
      decoder: { type: "Fuse" },
      roles: unkToken === undefined ? {} : { unk: unkToken },
    },
    options,
  );
}
