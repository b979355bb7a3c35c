import type { Component, Role, TokenizerConfig, TokenizerJson } from "./file-types.js";
import { chatTemplates } from "./chat.js";
import { Tokenizer } from "./tokenizer.js";
import { addedToken, type TokenizerTrainOptions } from "./train-options.js";

/** The parts of a trained tokenizer. */
export interface Assembly {
  readonly name: string;
  readonly model: Component;
  /** Special tokens with their ids. */
  readonly special: readonly (readonly [string, number])[];
  readonly normalizer?: Component;
  readonly preTokenizer?: Component;
  readonly postProcessor?: Component;
  readonly decoder?: Component;
  readonly roles: Partial<Record<Role, string>>;
}

/** The tokenizer that was trained, ready to encode and to be saved. */
export function assemble(parts: Assembly, options: TokenizerTrainOptions): Promise<Tokenizer> {
  const json: TokenizerJson = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: parts.special.map(([token, id]) => addedToken(token, id)),
    normalizer: parts.normalizer ?? null,
    pre_tokenizer: parts.preTokenizer ?? null,
    post_processor: parts.postProcessor ?? null,
    decoder: parts.decoder ?? null,
    model: parts.model,
  };
  const roles = { ...parts.roles, ...options.roles };
  const config: TokenizerConfig = {
    tokenizer_class: "PreTrainedTokenizerFast",
    ...Object.fromEntries(Object.entries(roles).map(([role, token]) => [`${role}_token`, token])),
    ...(options.modelMaxLength === undefined ? {} : { model_max_length: options.modelMaxLength }),
    clean_up_tokenization_spaces: false,
  };
  const { chatTemplate: template } = options;
  const chatTemplate = template !== undefined && Object.hasOwn(chatTemplates, template) ? chatTemplates[template as keyof typeof chatTemplates] : template;
  return Tokenizer.from({ name: parts.name, json, config, chatTemplate });
}

/** Those of the usual roles whose token is among the special ones. */
export function usualRoles(usual: Partial<Record<Role, string>>, special: readonly string[]): Partial<Record<Role, string>> {
  return Object.fromEntries(Object.entries(usual).filter(([, token]) => special.includes(token)));
}
