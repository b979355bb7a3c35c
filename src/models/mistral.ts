import type { JsonObject } from "../io/index.js";
import { LlamaLayer, llamaFields, LlamaLikeForCausalLM } from "./llama.js";
import { activationOf } from "./text/activation.js";
import { DecoderForSequenceClassification } from "./text/decoder-classifier.js";
import type { Family } from "./text/family.js";
import { nullable, readFields, type Fields } from "./text/fields.js";
import type { TextConfig } from "./text/types.js";
import { windowsOf } from "./text/windows.js";

const defaults = {
  ...llamaFields,
  intermediate_size: 14336,
  num_key_value_heads: nullable("number", 8),
  max_position_embeddings: 131072,
  sliding_window: nullable("number", 4096),
};

/** The keys of a Mistral config that are read. */
export type MistralConfig = Fields<typeof defaults> & TextConfig;

/**
 * Mistral (Jiang et al., "Mistral 7B", 2023): Llama whose tokens see the last `sliding_window` tokens only.
 * @example
 * const model = new MistralForCausalLM({ hidden_size: 64, intermediate_size: 172, num_hidden_layers: 2, num_attention_heads: 8, vocab_size: 512, sliding_window: 32 });
 */
export class MistralForCausalLM extends LlamaLikeForCausalLM<MistralConfig> {
  constructor(given: JsonObject) {
    const config = readFields("Mistral", { model_type: "mistral", ...given }, defaults);
    const { hidden_size: size, intermediate_size, rms_norm_eps, attention_dropout: dropout, num_hidden_layers, sliding_window } = config;
    const activation = activationOf("Mistral", "hidden_act", config.hidden_act);
    const windows = windowsOf("Mistral", num_hidden_layers, sliding_window, null, () => true);
    super("Mistral", config, (_, heads) => new LlamaLayer(size, intermediate_size, rms_norm_eps, { ...heads, dropout }, { activation }), { windows });
  }
}

/** Mistral that classifies whole sequences by their last token: logits [B, classes]. */
export class MistralForSequenceClassification extends DecoderForSequenceClassification<MistralConfig> {
  constructor(given: JsonObject) {
    super("Mistral", new MistralForCausalLM(given));
  }
}

export const mistral: Family = { models: { MistralForCausalLM, MistralForSequenceClassification }, trunk: "model", ignored: [/rotary_emb\.inv_freq$/] };
