import { readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { didYouMean, GraftError, readError } from "../../base/index.js";
import { roles, type Component, type Role, type TokenizerConfig, type TokenizerJson } from "./file-types.js";

/** Everything a tokenizer is made of. */
export interface TokenizerParts {
  /** Shown in messages: the file it came from. */
  readonly name: string;
  readonly json: TokenizerJson;
  readonly config: TokenizerConfig;
  /** A Jinja template, see `applyChatTemplate`. */
  readonly chatTemplate?: string;
}

/** Reads `tokenizer.json`, and what lies beside it, from a folder or by the file's own name. */
export async function readTokenizer(path: string): Promise<TokenizerParts> {
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => !path.endsWith(".json"),
  );
  const folder = isFolder ? path : dirname(path);
  const file = isFolder ? join(path, "tokenizer.json") : path;
  const text = await readOptional(file);
  if (text === undefined) throw new GraftError("file", `${file}: there is no such file. A tokenizer needs its tokenizer.json; download it with the model, or train one with data.tokenizers.`);
  const configFile = join(folder, "tokenizer_config.json");
  const configText = await readOptional(configFile);
  const config = configText === undefined ? {} : parseObject(configFile, configText);
  const template = await readOptional(join(folder, "chat_template.jinja"));
  return { name: file, json: checkTokenizer(file, parseObject(file, text)), config, chatTemplate: template ?? templateOf(configFile, config) };
}

/** The text of a file, or undefined when there is none. */
async function readOptional(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT" || (cause as NodeJS.ErrnoException).code === "ENOTDIR") return undefined;
    throw readError(file, cause);
  }
}

/** JSON of a vocabulary: its keys are tokens, so that every name is allowed (assigning one by name is not, and nothing here does). */
function parseObject(file: string, text: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new GraftError("format", `${file}: is not valid JSON: ${(cause as Error).message}. Repair the file or download it again.`, { cause });
  }
  if (!isObject(value)) throw new GraftError("format", `${file}: holds ${Array.isArray(value) ? "a list" : String(value)}, not an object. Check that it is the right file.`);
  return value;
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === "object" && value !== null && !Array.isArray(value);

/** The chat template in `tokenizer_config.json`: one, or several with names, of which `default` is taken. */
function templateOf(file: string, { chat_template: template }: TokenizerConfig): string | undefined {
  if (template === undefined || template === null) return undefined;
  if (typeof template === "string") return template;
  const named = Array.isArray(template) ? (template as readonly unknown[]).filter(isObject) : [];
  const chosen = named.find(({ name }) => name === "default") ?? named[0];
  if (typeof chosen?.template === "string") return chosen.template;
  throw new GraftError("format", `${file}: chat_template is neither a text nor a list of { name, template }. Correct it, or put the template into chat_template.jinja.`);
}

const models = ["BPE", "WordPiece", "Unigram", "WordLevel"];

/** Checks what the library would stumble over later, and fills in what older files leave out. Throws `format`. */
export function checkTokenizer(name: string, json: Readonly<Record<string, unknown>>): TokenizerJson {
  const bad = (problem: string, fix = "Repair the file or download it again"): GraftError => new GraftError("format", `${name}: ${problem}. ${fix}.`);
  const part = (key: string): Component | null => {
    const value = json[key] ?? null;
    if (value !== null && !(isObject(value) && typeof value.type === "string")) throw bad(`"${key}" is not an object with a type`);
    return value as Component | null;
  };
  const { model } = json;
  if (!isObject(model)) throw bad(`there is no "model"`, "Check that it is a tokenizer.json of the tokenizers package");
  const type = model.type ?? (Array.isArray(model.vocab) ? "Unigram" : "merges" in model ? "BPE" : "continuing_subword_prefix" in model ? "WordPiece" : "WordLevel");
  if (typeof type !== "string" || !models.includes(type)) {
    throw bad(`the model type ${JSON.stringify(type)} is unknown.${didYouMean(String(type), models)} Known are ${models.join(", ")}`, "Use another tokenizer");
  }
  const ids = new Set<number>();
  if (type === "Unigram") {
    const vocab = model.vocab;
    if (!Array.isArray(vocab) || vocab.length === 0) throw bad(`the vocabulary of a Unigram model must be a list of [token, score]`);
    vocab.forEach((entry: unknown, i) => {
      if (!Array.isArray(entry) || typeof entry[0] !== "string" || typeof entry[1] !== "number") throw bad(`entry ${i} of the vocabulary is not [token, score]`);
      ids.add(i);
    });
    const unknown = model.unk_id ?? null;
    if (unknown !== null && !ids.has(unknown as number)) throw bad(`unk_id is ${JSON.stringify(unknown)}, the vocabulary has ${ids.size} tokens`);
  } else {
    if (!isObject(model.vocab)) throw bad(`the vocabulary of a ${type} model must be an object of tokens and ids`);
    for (const [token, id] of Object.entries(model.vocab)) checkId(ids, token, id, bad);
  }
  if (type === "BPE") checkMerges(model, bad);
  const added = json.added_tokens ?? [];
  if (!Array.isArray(added)) throw bad(`"added_tokens" is not a list`);
  const tokens = added.map((token: unknown, i) => {
    if (!isObject(token) || typeof token.content !== "string" || token.content === "") throw bad(`added token ${i} has no content`);
    const id = token.id;
    if (!isId(id)) throw bad(`the added token ${show(token.content)} has the id ${JSON.stringify(id)}, not a whole number of 0 or more`);
    return { single_word: false, lstrip: false, rstrip: false, normalized: true, special: false, ...token, id, content: token.content };
  });
  const complete = { added_tokens: tokens, normalizer: part("normalizer"), pre_tokenizer: part("pre_tokenizer"), post_processor: part("post_processor"), decoder: part("decoder") };
  return { ...json, ...complete, model: { ...model, type } };
}

const show = (token: string): string => JSON.stringify(token.length > 40 ? `${token.slice(0, 37)}...` : token);

/** Ids index arrays; one that is far too large would fill the memory. */
const isId = (id: unknown): id is number => typeof id === "number" && Number.isInteger(id) && id >= 0 && id < 2 ** 24;

function checkId(ids: Set<number>, token: string, id: unknown, bad: (problem: string) => GraftError): void {
  if (!isId(id)) throw bad(`the token ${show(token)} has the id ${JSON.stringify(id)}, not a whole number from 0 to ${2 ** 24 - 1}`);
  if (ids.has(id)) throw bad(`the id ${id} of ${show(token)} is another token's too`);
  ids.add(id);
}

function checkMerges({ merges, vocab, continuing_subword_prefix: prefix }: Readonly<Record<string, unknown>>, bad: (problem: string) => GraftError): void {
  if (!Array.isArray(merges)) throw bad(`the merges of a BPE model must be a list`);
  const has = (token: string): boolean => Object.hasOwn(vocab as object, token);
  merges.forEach((merge: unknown, i) => {
    const pair: unknown = typeof merge === "string" ? merge.split(" ") : merge;
    if (!Array.isArray(pair) || pair.length !== 2 || typeof pair[0] !== "string" || typeof pair[1] !== "string") throw bad(`merge ${i} is not a pair of tokens`);
    const [a, b] = pair as [string, string];
    const tail = typeof prefix === "string" && prefix !== "" && b.startsWith(prefix) ? b.slice(prefix.length) : b;
    for (const token of [a, b, a + tail]) if (!has(token)) throw bad(`merge ${i} needs the token ${show(token)}, which is not in the vocabulary`);
  });
}

/** The special tokens by role, as `tokenizer_config.json` names them: text, or an object with the text as its content. */
export function readRoles(config: TokenizerConfig): Partial<Record<Role, string>> {
  const found: Partial<Record<Role, string>> = {};
  for (const role of roles) {
    const value = config[`${role}_token`];
    if (typeof value === "string") found[role] = value;
    else if (isObject(value) && typeof value.content === "string") found[role] = value.content;
  }
  return found;
}
