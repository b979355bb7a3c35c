import { GraftError } from "../base/index.js";
import { tokenizers } from "../data/index.js";
import { modelFolder } from "../io/index.js";
import { contextLength, isCausal, load, type CausalModel, type LoadTextOptions, type TextModel } from "../models/index.js";
import type { Module } from "../nn/index.js";
import { UsageError } from "./exit.js";

/** A language model and its tokenizer. */
export interface TextModelFolder {
  readonly model: CausalModel;
  readonly tokenizer: tokenizers.Tokenizer;
}

/**
 * Loads a model that predicts next tokens, and its tokenizer, from a Hugging Face folder or by its name on the hub.
 *
 * Throws as `models.load` and `Tokenizer.load`, `state` where the two do not fit, `config` for another kind of model.
 */
export async function openTextModel(dir: string, options: LoadTextOptions = {}): Promise<TextModelFolder> {
  const folder = await modelFolder(dir);
  const [model, tokenizer] = [await load<Module>(folder, options), await tokenizers.Tokenizer.load(folder)];
  if (!isCausal(model)) throw new GraftError("config", `${dir}: ${model.constructor.name} does not predict next tokens. Name the folder of a causal language model (GPT-2, Llama, Qwen, ...).`);
  tokenizer.checkFits(model.config.vocab_size as number, dir);
  return { model, tokenizer };
}

/** Tokens of a sample at most: what `--max-length` says, or what the model has positions for. Throws `argument` for more than that. */
export function lengthLimit(command: string, model: TextModel, given: number | undefined): number | undefined {
  const room = contextLength(model);
  if (given !== undefined && room !== undefined && given > room) throw new GraftError("argument", `${command}: --max-length is ${given}, the model has positions for ${room}.`);
  return given ?? room;
}

/** The number that a flag gives. Throws `UsageError`. */
export function numberFlag(flag: string, value: string): number;
export function numberFlag(flag: string, value: string | undefined): number | undefined;
export function numberFlag(flag: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const number = Number(value);
  if (value.trim() === "" || !Number.isFinite(number)) throw new UsageError(`${flag} is "${value}". Use a number.`);
  return number;
}
