import type { Template } from "@huggingface/jinja";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { checkOptions, GraftError } from "../../base/index.js";
import { writeAtomic } from "../write-atomic.js";
import { chatTemplates, parseTemplate, renderTemplate, type ChatTemplateOptions, type Message } from "./chat.js";
import { DirectEncoder } from "./direct-encoder.js";
import { roles, type Role, type TokenizerConfig, type TokenizerJson } from "./file-types.js";
import { buildLibrary, type LibraryTokenizer } from "./library.js";
import { checkTokenizer, readRoles, readTokenizer, type TokenizerParts } from "./read-tokenizer.js";

/** Options of {@link Tokenizer.encode}. */
export interface EncodeOptions {
  /** Adds what the tokenizer puts around every text (`[CLS]`, `<s>`). Default true. */
  readonly addSpecialTokens?: boolean;
  /** A second text, for models that compare two. */
  readonly pair?: string;
}

/** Options of {@link Tokenizer.decode}. */
export interface DecodeOptions {
  /** Leaves out special tokens. Default false. */
  readonly skipSpecialTokens?: boolean;
}

/**
 * Text to token ids and back, as a Hugging Face `tokenizer.json` says, and conversations to text by a chat template.
 *
 * @example
 * const tokenizer = await data.tokenizers.Tokenizer.load("models/stories260k");
 * const ids = tokenizer.encode("Once upon a time");
 * tokenizer.decode(ids, { skipSpecialTokens: true }); // "Once upon a time"
 */
export class Tokenizer {
  /** Ids run from 0 to `vocabSize - 1`; a model needs at least as many rows in its embedding. */
  readonly vocabSize: number;
  /** The special tokens by role, as far as the tokenizer has them. */
  readonly specialTokens: Readonly<Partial<Record<Role, string>>>;
  private readonly direct: DirectEncoder | undefined;

  private constructor(
    /** Where it came from, for messages. */
    readonly name: string,
    readonly json: TokenizerJson,
    readonly config: TokenizerConfig,
    /** The Jinja source of its chat template. */
    readonly chatTemplate: string | undefined,
    private readonly library: LibraryTokenizer,
    private readonly template: Template | undefined,
  ) {
    this.vocabSize = library.model.vocab.length;
    const known = Object.entries(readRoles(config)).filter(([, token]) => library.token_to_id(token) !== undefined);
    this.specialTokens = Object.fromEntries(known);
    this.direct = DirectEncoder.for(library, json);
  }

  /**
   * Reads a tokenizer from a folder with `tokenizer.json`, or from such a file; `tokenizer_config.json` and `chat_template.jinja` beside it are read too.
   *
   * Throws `file` when there is none, `format` for broken JSON, ids that clash, merges without their tokens, or a kind of model that is unknown.
   */
  static async load(path: string): Promise<Tokenizer> {
    return Tokenizer.build(await readTokenizer(path));
  }

  /** A tokenizer from the content of its files. Throws as `load`. */
  static async from({ json, config = {}, chatTemplate, name = "tokenizer" }: Partial<TokenizerParts> & { readonly json: TokenizerJson }): Promise<Tokenizer> {
    return Tokenizer.build({ name, config, chatTemplate, json: checkTokenizer(name, json as unknown as Readonly<Record<string, unknown>>) });
  }

  private static async build({ name, json, config, chatTemplate }: TokenizerParts): Promise<Tokenizer> {
    const [library, template] = await Promise.all([buildLibrary(name, json, config), chatTemplate === undefined ? undefined : parseTemplate(name, chatTemplate)]);
    return new Tokenizer(name, json, config, chatTemplate, library, template);
  }

  /** The same tokenizer with another chat template: Jinja source, or the name of a ready-made one (`"chatml"`, `"plain"`). */
  async withChatTemplate(template: string): Promise<Tokenizer> {
    const source = Object.hasOwn(chatTemplates, template) ? chatTemplates[template as keyof typeof chatTemplates] : template;
    return Tokenizer.build({ name: this.name, json: this.json, config: this.config, chatTemplate: source });
  }

  /** The token ids of a text. Throws `argument` for what is not text, and for text that the tokenizer has no tokens for. */
  encode(text: string, options: EncodeOptions = {}): number[] {
    checkOptions("encode", options, ["addSpecialTokens", "pair"]);
    if (typeof text !== "string") throw new GraftError("argument", `encode: the text is ${text === null ? "null" : typeof text}. Pass a string, or use encodeBatch for a list.`);
    const { addSpecialTokens = true, pair } = options;
    const bare = !addSpecialTokens || this.json.post_processor === null || this.json.post_processor.type === "ByteLevel"; // ByteLevel changes offsets only
    const direct = bare && pair === undefined ? this.direct?.encode(text) : undefined;
    if (direct !== undefined) return direct;
    const { ids } = this.library.encode(text, { add_special_tokens: addSpecialTokens, text_pair: pair ?? null });
    const unknown = ids.findIndex((id) => id === undefined || id === null);
    if (unknown >= 0) throw new GraftError("argument", `encode: ${this.name} has no token for a part of the text and no token for unknown text. Train it on text with all characters, or give it an unkToken.`);
    return ids as number[];
  }

  /** The token ids of several texts. */
  encodeBatch(texts: readonly string[], options: EncodeOptions = {}): number[][] {
    return texts.map((text) => this.encode(text, options));
  }

  /** The text of token ids. Throws `index` for an id that is not in the vocabulary. */
  decode(ids: ArrayLike<number>, options: DecodeOptions = {}): string {
    checkOptions("decode", options, ["skipSpecialTokens"]);
    if (ids.length === 0) return "";
    const list = Array.from(ids);
    const wrong = list.find((id) => !(Number.isInteger(id) && id >= 0 && id < this.vocabSize));
    if (wrong !== undefined) throw new GraftError("index", `decode: the id ${wrong} is not in the vocabulary of ${this.name}, which has ids 0 to ${this.vocabSize - 1}. Use the tokenizer of the model.`);
    const cleanUp = this.config.clean_up_tokenization_spaces === true;
    return this.library.decode(list, { skip_special_tokens: options.skipSpecialTokens ?? false, clean_up_tokenization_spaces: cleanUp });
  }

  /** The text of several lists of ids. */
  decodeBatch(lists: readonly ArrayLike<number>[], options: DecodeOptions = {}): string[] {
    return lists.map((ids) => this.decode(ids, options));
  }

  tokenToId(token: string): number | undefined {
    return this.library.token_to_id(token);
  }

  idToToken(id: number): string | undefined {
    return this.library.id_to_token(id);
  }

  /** The id of the special token of a role. */
  specialId(role: Role): number | undefined {
    const token = this.specialTokens[role];
    return token === undefined ? undefined : this.tokenToId(token);
  }

  /** The id that ends a text, if there is one. */
  get eosId(): number | undefined {
    return this.specialId("eos");
  }

  /** The id that begins a text, if there is one. */
  get bosId(): number | undefined {
    return this.specialId("bos");
  }

  /** The id that fills up short samples; where there is none, the one that ends a text. */
  get padId(): number | undefined {
    return this.specialId("pad") ?? this.eosId;
  }

  /**
   * A conversation as one text, by the chat template.
   *
   * Throws `config` when the tokenizer has none, `format` when the template refuses the messages.
   *
   * @example
   * const prompt = tokenizer.applyChatTemplate([{ role: "user", content: "Hi" }], { addGenerationPrompt: true });
   * const ids = tokenizer.encode(prompt, { addSpecialTokens: false }); // the template has put them in
   */
  applyChatTemplate(messages: readonly Message[], options: ChatTemplateOptions = {}): string {
    checkOptions("applyChatTemplate", options, ["addGenerationPrompt", "tools", "variables"]);
    if (this.template === undefined) {
      throw new GraftError(
        "config",
        `${this.name}: has no chat template. Put one into chat_template.jinja beside tokenizer.json, or give one: await tokenizer.withChatTemplate("chatml" | "plain" | Jinja source).`,
      );
    }
    const tokens = Object.fromEntries(roles.flatMap((role) => (this.specialTokens[role] === undefined ? [] : [[`${role}_token`, this.specialTokens[role]]])));
    return renderTemplate(this.name, this.template, messages, { bos_token: "", eos_token: "", ...tokens }, options);
  }

  /** Throws `state` unless every id has a row in a model's embedding of `rows` rows. */
  checkFits(rows: number, model = "the model"): void {
    if (this.vocabSize <= rows) return;
    throw new GraftError(
      "state",
      `${this.name}: has ${this.vocabSize} tokens, ${model} has a vocabulary of ${rows}: ids from ${rows} on (${JSON.stringify(this.idToToken(rows))}) have no embedding. Use the tokenizer of this model.`,
    );
  }

  /** Writes `tokenizer.json` and `tokenizer_config.json` (and `chat_template.jinja`) into a folder, in the form that Python's packages read. */
  async save(folder: string): Promise<void> {
    await mkdir(folder, { recursive: true }).catch((cause: unknown) => {
      throw new GraftError("file", `${folder}: could not be made: ${(cause as Error).message}. Choose another folder.`, { cause });
    });
    await writeAtomic(join(folder, "tokenizer.json"), `${JSON.stringify(this.json, null, 2)}\n`);
    const { chat_template: _, ...config } = this.config;
    await writeAtomic(join(folder, "tokenizer_config.json"), `${JSON.stringify({ tokenizer_class: "PreTrainedTokenizerFast", ...config }, null, 2)}\n`);
    if (this.chatTemplate !== undefined) await writeAtomic(join(folder, "chat_template.jinja"), this.chatTemplate);
  }
}
