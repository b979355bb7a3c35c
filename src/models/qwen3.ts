import type { JsonObject } from "../io/index.js";
import { LlamaLayer, LlamaLikeForCausalLM } from "./llama.js";
import { qwenFields, qwenWindows } from "./qwen2.js";
import { activationOf } from "./text/activation.js";
import { DecoderForSequenceClassification } from "./text/decoder-classifier.js";
import type { Family } from "./text/family.js";
import { nullable, readFields, type Fields } from "./text/fields.js";
import type { TextConfig } from "./text/types.js";

const defaults = { ...qwenFields, head_dim: nullable("number", 128), attention_bias: false };

/** The keys of a Qwen 3 config that are read. */
export type Qwen3Config = Fields<typeof defaults> & TextConfig;

/**
 * Qwen 3 (Yang et al., "Qwen3 technical report", 2025): Llama whose queries and keys are normalised per head.
 * @example
 * const model = new Qwen3ForCausalLM({ hidden_size: 64, intermediate_size: 172, num_hidden_layers: 2, num_attention_heads: 8, num_key_value_heads: 2, head_dim: 16, vocab_size: 512 });
 */
export class Qwen3ForCausalLM extends LlamaLikeForCausalLM<Qwen3Config> {
  constructor(given: JsonObject) {
    const config = readFields("Qwen3", { model_type: "qwen3", ...given }, defaults);
    const { hidden_size: size, intermediate_size, rms_norm_eps: normEps, attention_bias: bias, attention_dropout: dropout } = config;
    const activation = activationOf("Qwen3", "hidden_act", config.hidden_act);
    super("Qwen3", config, (_, heads) => new LlamaLayer(size, intermediate_size, normEps, { ...heads, bias, dropout, normEps }, { activation }), { windows: qwenWindows("Qwen3", config) });
  }
}

/** Qwen 3 that classifies whole sequences by their last token: logits [B, classes]. */
export class Qwen3ForSequenceClassification extends DecoderForSequenceClassification<Qwen3Config> {
  constructor(given: JsonObject) {
    super("Qwen3", new Qwen3ForCausalLM(given));
  }
}

export const qwen3: Family = { models: { Qwen3ForCausalLM, Qwen3ForSequenceClassification }, trunk: "model", ignored: [/rotary_emb\.inv_freq$/] };
