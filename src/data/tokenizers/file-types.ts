/** A merge of byte-pair encoding: two tokens that become one. */
export type Merge = readonly [string, string];

/** A part of `tokenizer.json` that is told apart by its `type`. */
export interface Component {
  readonly type: string;
  readonly [key: string]: unknown;
}

/** A token that is looked for in the text before anything else. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly single_word: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized: boolean;
  readonly special: boolean;
}

/** The content of `tokenizer.json`. */
export interface TokenizerJson {
  readonly version?: string;
  readonly truncation?: unknown;
  readonly padding?: unknown;
  readonly added_tokens: readonly AddedToken[];
  readonly normalizer: Component | null;
  readonly pre_tokenizer: Component | null;
  readonly post_processor: Component | null;
  readonly decoder: Component | null;
  readonly model: Component;
}

/** The content of `tokenizer_config.json`, as far as it is read here. */
export interface TokenizerConfig {
  readonly [key: string]: unknown;
}

/** The roles a special token can have. */
export const roles = ["bos", "eos", "unk", "pad", "sep", "cls", "mask"] as const;
/** A role of a special token: `<role>_token` in `tokenizer_config.json`. */
export type Role = (typeof roles)[number];
