import { toByteCharacters } from "./byte-level.js";
import type { TokenizerJson } from "./file-types.js";
import type { LibraryTokenizer } from "./library.js";
import { splitGpt2 } from "./split.js";
import { WordTable } from "./word-table.js";

const maxWords = 1 << 19;

/**
 * Encodes for byte-level tokenizers of GPT-2's kind what the library would, some five times as fast: each different word goes through it once, and then only
 * its number is looked up, without a string being made.
 */
export class DirectEncoder {
  private words = new WordTable();
  private ids: (readonly number[])[] = [];
  private readonly special: RegExp | undefined;
  private readonly prefixSpace: boolean;

  private constructor(
    private readonly library: LibraryTokenizer,
    json: TokenizerJson,
  ) {
    const contents = json.added_tokens.map(({ content }) => content.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&"));
    this.special = contents.length === 0 ? undefined : new RegExp(contents.join("|"));
    this.prefixSpace = json.pre_tokenizer!.add_prefix_space === true;
  }

  /** An encoder, where the tokenizer is of the kind. */
  static for(library: LibraryTokenizer, json: TokenizerJson): DirectEncoder | undefined {
    const { normalizer, pre_tokenizer: pre, model } = json;
    const fits = model.type === "BPE" && normalizer === null && pre?.type === "ByteLevel" && pre.use_regex !== false;
    return fits ? new DirectEncoder(library, json) : undefined;
  }

  /** The ids of a text, without what is put around texts; undefined where only the library knows: added tokens in the text, tokens without an id. */
  encode(text: string): number[] | undefined {
    if (this.special?.test(text)) return undefined;
    const whole = this.prefixSpace && !text.startsWith(" ") && text !== "" ? ` ${text}` : text;
    if (this.words.size > maxWords) {
      this.words = new WordTable();
      this.ids = [];
    }
    const result: number[] = [];
    let complete = true;
    splitGpt2(whole, 0, whole.length, (from, to) => {
      const word = this.words.add(whole, from, to);
      const ids = (this.ids[word] ??= this.encodeWord(whole.slice(from, to)));
      if (ids.length === 0) complete = false;
      for (let i = 0; i < ids.length; i++) result.push(ids[i]);
    });
    return complete ? result : undefined;
  }

  private encodeWord(word: string): readonly number[] {
    const ids = this.library.model.encode([toByteCharacters(word)]).map((token) => this.library.token_to_id(token));
    return ids.every((id) => id !== undefined) ? (ids as number[]) : [];
  }
}
