import type { Command } from "commander";
import { endTokens, stream, type GenerateOptions } from "../models/index.js";
import { numberFlag, type TextModelFolder } from "./open-text-model.js";

/** Flags that say how tokens are chosen. */
export interface SamplingFlags {
  readonly temperature?: string;
  readonly topK?: string;
  readonly topP?: string;
  readonly maxTokens: string;
  readonly seed?: string;
}

/** Adds the options of {@link SamplingFlags} to a command. */
export const samplingOptions = (command: Command): Command =>
  command
    .option("--temperature <t>", "draw tokens; 1 is the model's own distribution (default: 0, the best token; 1 with --top-k or --top-p)")
    .option("--top-k <n>", "draw among the n best tokens")
    .option("--top-p <share>", "draw among the best tokens that have this share together")
    .option("--max-tokens <n>", "tokens at most", "128")
    .option("--seed <n>", "seed of what is drawn", "0");

/** Flags as options of `models.stream`. */
export function generateOptions({ temperature, topK, topP, maxTokens, seed }: SamplingFlags): GenerateOptions {
  const [k, p] = [numberFlag("--top-k", topK), numberFlag("--top-p", topP)];
  return {
    temperature: numberFlag("--temperature", temperature) ?? (k === undefined && p === undefined ? 0 : 1),
    maxNewTokens: numberFlag("--max-tokens", maxTokens),
    seed: numberFlag("--seed", seed ?? "0"),
    ...(k === undefined ? {} : { topK: k }),
    ...(p === undefined ? {} : { topP: p }),
  };
}

/**
 * The text after a prompt, in pieces as they come: what is decoded anew from all tokens so far, so that characters of several tokens and spaces between words come out right.
 */
export async function* textAfter({ model, tokenizer }: TextModelFolder, prompt: readonly number[], options: GenerateOptions): AsyncGenerator<string, void, undefined> {
  const eos = tokenizer.eosId;
  const all = [...prompt];
  let shown = tokenizer.decode(all, { skipSpecialTokens: true });
  const defaults = eos === undefined || endTokens(model).length > 0 ? {} : { eosTokenId: eos };
  for await (const { token, finish } of stream(model, prompt, { ...defaults, ...options })) {
    if (token < tokenizer.vocabSize) all.push(token); // embeddings may have more rows than there are tokens
    const text = tokenizer.decode(all, { skipSpecialTokens: true });
    if (text.endsWith("\ufffd") && finish === undefined) continue; // the rest of the character is still to come
    if (text.length > shown.length) yield text.slice(shown.length);
    shown = text;
  }
}
