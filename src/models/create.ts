import { checkOptions } from "../base/index.js";
import type { JsonObject, ModelConfig } from "../io/index.js";
import type { Module } from "../nn/index.js";
import { create as createRegistered } from "./registry.js";
import { isHuggingFace, makeText, type HeadOptions } from "./text/hugging-face.js";
import type { TextModel } from "./text/types.js";

/**
 * Builds a model with fresh weights from a config: one of a registered `architecture` at once; a text model, whose config is Hugging Face's with a
 * `model_type`, as a promise, because its file is imported when it is needed first.
 *
 * Throws `config` for an unknown architecture or unknown keys, each with the nearest known word.
 * @example
 * const net = models.create({ architecture: "SimpleCNN", input_shape: [1, 28, 28], classes: 10 });
 * const gpt = await models.create({ model_type: "gpt2", n_layer: 4, n_head: 4, n_embd: 128, n_positions: 64, vocab_size: 65 });
 */
export function create(config: ModelConfig): Module;
export function create<M extends Module = TextModel>(config: JsonObject & { readonly model_type: string }, options?: HeadOptions): Promise<M>;
export function create(config: JsonObject, options: HeadOptions = {}): Module | Promise<Module> {
  if (!isHuggingFace(config)) return createRegistered(config as ModelConfig);
  checkOptions("models.create", options, ["task", "classes"]);
  return makeText(config, options).then(({ model }) => model);
}
