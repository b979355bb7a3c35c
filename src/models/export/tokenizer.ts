import { GraftError } from "../../base/index.js";
import type { tokenizers } from "../../data/index.js";
import type { GgufValue } from "../../io/index.js";

type Tokenizer = tokenizers.Tokenizer;

/** llama.cpp's kinds of tokens. */
const kinds = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

const bool = (value: boolean): GgufValue => ({ type: "bool", value });
const cannot = (name: string, problem: string): GraftError =>
  new GraftError("format", `GGUF: ${name}: ${problem}, which llama.cpp's tokenizers do not do. Export without the tokenizer (--no-tokenizer) and give llama.cpp token ids.`);

/** A part of tokenizer.json and the parts inside of it (`Sequence`). */
function partsOf(part: unknown): Readonly<Record<string, unknown>>[] {
  if (typeof part !== "object" || part === null) return [];
  const { pretokenizers, normalizers } = part as Readonly<Record<string, unknown>>;
  const inner = pretokenizers ?? normalizers;
  return Array.isArray(inner) ? inner.flatMap(partsOf) : [part as Readonly<Record<string, unknown>>];
}

/** llama.cpp knows pre-tokenizers by name; which one this is, its regular expression tells. */
function preTokenizer({ name, json }: Tokenizer): string {
  const parts = partsOf(json.pre_tokenizer);
  if (!parts.some(({ type }) => type === "ByteLevel")) throw cannot(name, "its BPE works on characters, without bytes");
  if (parts.some(({ type, add_prefix_space: prefix }) => type === "ByteLevel" && prefix === true)) throw cannot(name, "it puts a space in front of every text");
  const splits = parts.filter(({ type }) => type === "Split");
  if (splits.length === 0 && parts.length === 1 && parts[0].use_regex !== false) return "gpt-2";
  const regex = splits.length === 1 ? String((splits[0].pattern as { readonly Regex?: string }).Regex) : "";
  if (regex.startsWith("(?i:'s|'t|") && regex.includes("|\\p{N}{1,3}|")) return "llama-bpe";
  if (regex.startsWith("(?i:'s|'t|") && regex.includes("|\\p{N}|")) return "qwen2";
  throw cannot(name, `its pre-tokenizer splits text by ${regex === "" ? parts.map(({ type }) => String(type)).join(", ") : regex}`);
}

const mergeOf = (merge: unknown): readonly [string, string] => (typeof merge === "string" ? (merge.split(" ") as [string, string]) : (merge as readonly [string, string]));

/**
 * The metadata of a tokenizer for a model with `rows` embeddings. Byte-level BPE becomes llama.cpp's "gpt2", BPE with byte fallback (SentencePiece's) its "llama".
 * Throws `format` for other kinds.
 */
export function ggufTokenizer(tokenizer: Tokenizer, rows: number): Map<string, GgufValue> {
  const { name, json, config } = tokenizer;
  tokenizer.checkFits(rows);
  const { type, byte_fallback: fallback, merges: list, unk_token: unknown } = json.model;
  if (type !== "BPE") throw cannot(name, `it is of the kind ${type}`);
  const merges = (list as readonly unknown[]).map(mergeOf);
  const metadata = new Map<string, GgufValue>([["tokenizer.ggml.model", { type: "string", value: fallback === true ? "llama" : "gpt2" }]]);

  const tokens: string[] = Array.from({ length: rows }, (_, id) => tokenizer.idToToken(id) ?? `[PAD${id}]`);
  const types: number[] = tokens.map((token, id) => {
    if (tokenizer.idToToken(id) === undefined) return kinds.unused;
    if (fallback === true && token === unknown) return kinds.unknown;
    return fallback === true && /^<0x[0-9A-F]{2}>$/.test(token) ? kinds.byte : kinds.normal;
  });
  for (const { id, special } of json.added_tokens) if (types[id] !== kinds.unknown) types[id] = special ? kinds.control : kinds.userDefined;
  metadata.set("tokenizer.ggml.tokens", { type: "array", of: "string", value: tokens });
  metadata.set("tokenizer.ggml.token_type", { type: "array", of: "i32", value: types });

  if (fallback === true) {
    // SentencePiece joins the pair whose token has the highest score; the earlier a merge was learned, the higher.
    const scores = new Map<string, number>();
    merges.forEach(([a, b], rank) => {
      if (!scores.has(a + b)) scores.set(a + b, -rank);
    });
    metadata.set("tokenizer.ggml.scores", { type: "array", of: "f32", value: tokens.map((token, id) => (types[id] === kinds.normal ? (scores.get(token) ?? -merges.length) : 0)) });
    const prefix = [...partsOf(json.normalizer), ...partsOf(json.pre_tokenizer)];
    const prepends = prefix.some((part) => part.type === "Prepend" || (part.type === "Metaspace" && part.prepend_scheme !== "never" && part.add_prefix_space !== false));
    metadata.set("tokenizer.ggml.add_space_prefix", bool(prepends));
  } else {
    metadata.set("tokenizer.ggml.pre", { type: "string", value: preTokenizer(tokenizer) });
    metadata.set("tokenizer.ggml.merges", { type: "array", of: "string", value: merges.map((pair) => pair.join(" ")) });
  }

  const roles = [["bos", "bos"], ["eos", "eos"], ["unk", "unknown"], ["pad", "padding"], ["sep", "seperator"], ["mask", "mask"]] as const; // the misspelling is llama.cpp's
  for (const [role, word] of roles) {
    const id = tokenizer.specialId(role);
    if (id !== undefined) metadata.set(`tokenizer.ggml.${word}_token_id`, { type: "u32", value: id });
  }
  const [ids, bos, eos] = [tokenizer.encode("a"), tokenizer.bosId, tokenizer.eosId];
  metadata.set("tokenizer.ggml.add_bos_token", bool(bos !== undefined && ids[0] === bos));
  metadata.set("tokenizer.ggml.add_eos_token", bool(eos !== undefined && ids.length > 1 && ids.at(-1) === eos));
  const template = tokenizer.chatTemplate ?? config.chat_template;
  if (typeof template === "string") metadata.set("tokenizer.chat_template", { type: "string", value: template });
  return metadata;
}
