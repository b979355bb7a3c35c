import type { JsonObject } from "../io/index.js";
import { LlamaLayer, llamaFields, LlamaLikeForCausalLM } from "./llama.js";
import { activationOf } from "./text/activation.js";
import { DecoderForSequenceClassification } from "./text/decoder-classifier.js";
import type { Family } from "./text/family.js";
import { nullable, readFields, type Fields } from "./text/fields.js";
import type { TextConfig } from "./text/types.js";
import { windowsOf } from "./text/windows.js";

/** Keys of Qwen 2 and 3, with their defaults. */
export const qwenFields = {
  ...llamaFields,
  vocab_size: 151936,
  intermediate_size: 22016,
  num_key_value_heads: nullable("number", 32),
  max_position_embeddings: 32768,
  use_sliding_window: false,
  sliding_window: nullable("number", 4096),
  max_window_layers: 28,
  layer_types: nullable("list"),
};

/** The keys of a Qwen 2 config that are read. */
export type Qwen2Config = Fields<typeof qwenFields> & TextConfig;

/** The window of each layer: the upper ones slide where the config says so. */
export const qwenWindows = (name: string, config: Fields<typeof qwenFields>): (number | undefined)[] =>
  windowsOf(name, config.num_hidden_layers, config.use_sliding_window ? config.sliding_window : null, config.layer_types, (i) => i >= config.max_window_layers);

/**
 * Qwen 2 and 2.5 (Yang et al., "Qwen2 technical report", 2024): Llama with a bias on queries, keys and values.
 * @example
 * const model = new Qwen2ForCausalLM({ hidden_size: 64, intermediate_size: 172, num_hidden_layers: 2, num_attention_heads: 8, num_key_value_heads: 2, vocab_size: 512 });
 */
export class Qwen2ForCausalLM extends LlamaLikeForCausalLM<Qwen2Config> {
  constructor(given: JsonObject) {
    const config = readFields("Qwen2", { model_type: "qwen2", ...given }, qwenFields);
    const { hidden_size: size, intermediate_size, rms_norm_eps, attention_dropout: dropout } = config;
    const activation = activationOf("Qwen2", "hidden_act", config.hidden_act);
    const attention = { bias: true, outputBias: false, dropout };
    super("Qwen2", config, (_, heads) => new LlamaLayer(size, intermediate_size, rms_norm_eps, { ...heads, ...attention }, { activation }), { windows: qwenWindows("Qwen2", config) });
  }
}

/** Qwen 2 that classifies whole sequences by their last token: logits [B, classes]. */
export class Qwen2ForSequenceClassification extends DecoderForSequenceClassification<Qwen2Config> {
  constructor(given: JsonObject) {
    super("Qwen2", new Qwen2ForCausalLM(given));
  }
}

export const qwen2: Family = { models: { Qwen2ForCausalLM, Qwen2ForSequenceClassification }, trunk: "model", ignored: [/rotary_emb\.inv_freq$/] };
