import { existsSync } from "node:fs";
import { join } from "node:path";
import { tokenizers } from "../data/index.js";
import { modelFolder } from "../io/index.js";
import { loadPeft } from "../tune/index.js";
import { adapterBase, isAdapter } from "./adapter-base.js";
import { openTextModel, type TextModelFolder } from "./open-text-model.js";

/** Loads a language model with its tokenizer; an adapter together with the model that it was made for. Throws as `openTextModel` and `tune.loadPeft`. */
export async function openTunedModel(name: string): Promise<TextModelFolder> {
  const folder = await modelFolder(name);
  return isAdapter(folder) ? openWithAdapter(folder, await adapterBase(folder)) : openTextModel(folder);
}

/** Loads a language model with an adapter, and the tokenizer that the adapter was trained with, or else the model's. Throws as {@link openTunedModel}. */
export async function openWithAdapter(folder: string, base: string): Promise<TextModelFolder> {
  const { model, tokenizer } = await openTextModel(base);
  await loadPeft(model, folder);
  if (!existsSync(join(folder, "tokenizer.json"))) return { model, tokenizer };
  const own = await tokenizers.Tokenizer.load(folder);
  own.checkFits(model.config.vocab_size as number, base);
  return { model, tokenizer: own };
}
