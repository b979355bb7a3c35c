import { GraftError } from "../../base/index.js";
import { BpeEncoder } from "./bpe-encoder.js";
import { joinBytes } from "./byte-fallback.js";
import { toByteCharacters } from "./byte-level.js";
import type { Component, Merge, TokenizerConfig, TokenizerJson } from "./file-types.js";
import { gpt2Pattern, metaspace, splitBert, splitGpt2, splitMetaspace, splitWhitespace, splitWords, type Splitter } from "./split.js";

/** What is used of the library. (Its own types do not resolve in Node's module system.) */
export interface LibraryTokenizer {
  readonly normalizer: { normalize(text: string): string } | null;
  readonly pre_tokenizer: PreTokenizer | null;
  readonly model: Model;
  readonly decoder: Decoder | null;
  encode(text: string, options: { readonly add_special_tokens: boolean; readonly text_pair: string | null }): { readonly ids: (number | null | undefined)[] };
  decode(ids: readonly number[], options: { readonly skip_special_tokens: boolean; readonly clean_up_tokenization_spaces: boolean }): string;
  token_to_id(token: string): number | undefined;
  id_to_token(id: number): string | undefined;
}
interface PreTokenizer {
  pattern?: RegExp;
  readonly tokenizers?: readonly PreTokenizer[];
  pre_tokenize_text(text: string, options?: unknown): string[];
}
interface Decoder {
  readonly decoders?: readonly Decoder[];
  decode_chain(tokens: string[]): string[];
}
interface Model {
  readonly vocab: readonly string[];
  encode(words: readonly string[]): string[];
  bpe?: (word: string) => readonly string[];
  tokenize?: (word: string) => string[];
}

const maxCached = 1 << 16;

/**
 * The library's tokenizer for the content of `tokenizer.json`.
 *
 * Its slow parts are replaced by our own (byte-level words, merges), and so are the splitters that mean something else by white space and word characters
 * than the Rust package of the same files. Throws `format` for a kind of part that it does not know.
 */
export async function buildLibrary(name: string, json: TokenizerJson, config: TokenizerConfig): Promise<LibraryTokenizer> {
  const { Tokenizer } = (await import("@huggingface/tokenizers")) as unknown as { Tokenizer: new (json: TokenizerJson, config: TokenizerConfig) => LibraryTokenizer };
  let library: LibraryTokenizer;
  try {
    library = new Tokenizer(json, config);
  } catch (cause) {
    const problem = (cause as Error).message.replace(/\.$/, "");
    throw new GraftError("format", `${name}: this tokenizer cannot be built: ${problem}. Check that the file is whole and of a kind that the tokenizers package writes.`, { cause });
  }
  if (json.pre_tokenizer !== null) improve(library.pre_tokenizer!, json.pre_tokenizer);
  improveModel(library.model, json.model);
  if (json.decoder !== null) improveDecoder(library.decoder!, json.decoder);
  return library;
}

/** What a normaliser of `tokenizer.json` does to text: training must see what encoding will. */
export async function normalizerOf(config: Component): Promise<(text: string) => string> {
  const model = { type: "WordLevel", vocab: {}, unk_token: "" };
  const json: TokenizerJson = { added_tokens: [], normalizer: config, pre_tokenizer: null, post_processor: null, decoder: null, model };
  const { normalizer } = await buildLibrary("normalizer", json, {});
  return (text) => normalizer!.normalize(text);
}

function improve(pre: PreTokenizer, config: Component): void {
  const split = (splitter: Splitter): ((text: string) => string[]) => (text) => {
    const words: string[] = [];
    splitter(text, 0, text.length, (from, to) => void words.push(text.slice(from, to)));
    return words;
  };
  if (config.type === "Sequence") (config.pretokenizers as readonly Component[]).forEach((part, i) => improve(pre.tokenizers![i], part));
  else if (config.type === "Whitespace") pre.pre_tokenize_text = split(splitWords);
  else if (config.type === "WhitespaceSplit") pre.pre_tokenize_text = split(splitWhitespace);
  else if (config.type === "BertPreTokenizer") pre.pre_tokenize_text = split(splitBert);
  else if (config.type === "Metaspace" && config.split !== false && (config.replacement ?? metaspace) === metaspace) {
    const whole = pre.pre_tokenize_text.bind(pre);
    pre.pre_tokenize_text = (text, options) => whole(text, options).flatMap(split(splitMetaspace));
  } else if (config.type === "ByteLevel") {
    pre.pattern = gpt2Pattern;
    const words = config.use_regex === false ? (text: string) => [text] : split(splitGpt2);
    const bytes = remember(toByteCharacters);
    pre.pre_tokenize_text = (text) => words(config.add_prefix_space === true && !text.startsWith(" ") ? ` ${text}` : text).map(bytes);
  }
}

function improveModel(model: Model, config: Component): void {
  if (model.bpe !== undefined) {
    const merges = (config.merges as readonly (Merge | string)[]).map((merge) => (typeof merge === "string" ? (merge.split(" ", 2) as unknown as Merge) : merge));
    const text = (value: unknown): string => (typeof value === "string" ? value : "");
    const encoder = new BpeEncoder(merges, text(config.continuing_subword_prefix), text(config.end_of_word_suffix));
    model.bpe = (word) => encoder.encode(word);
  } else if (model.tokenize !== undefined) {
    model.tokenize = remember(model.tokenize.bind(model)); // Unigram: the best path through a lattice
  }
}

function improveDecoder(decoder: Decoder, config: Component): void {
  if (config.type === "Sequence") (config.decoders as readonly Component[]).forEach((part, i) => improveDecoder(decoder.decoders![i], part));
  else if (config.type === "ByteFallback") decoder.decode_chain = joinBytes;
}

/** `compute` with its results for short words kept. */
function remember<T>(compute: (word: string) => T): (word: string) => T {
  let cache = new Map<string, T>();
  return (word) => {
    const known = cache.get(word);
    if (known !== undefined) return known;
    const result = compute(word);
    if (word.length <= 64) {
      if (cache.size >= maxCached) cache = new Map();
      cache.set(word, result);
    }
    return result;
  };
}
