import type { Tensor } from "../graph/index.js";
import { F } from "../ops/index.js";
import type { JsonObject } from "../io/index.js";
import * as nn from "../nn/index.js";
import { activationOf } from "./text/activation.js";
import { DecoderForCausalLM, type DecoderLayer, type DecoderParts } from "./text/decoder.js";
import { DecoderForSequenceClassification } from "./text/decoder-classifier.js";
import type { Family } from "./text/family.js";
import { checkSizes, nullable, readFields, type Fields } from "./text/fields.js";
import { ropeFields, rotaryOf } from "./text/rope.js";
import type { TextConfig } from "./text/types.js";

/** Keys that Llama and its relatives (Qwen, Mistral, Mixtral) share, with Llama's defaults. */
export const llamaFields = {
  vocab_size: 32000,
  hidden_size: 4096,
  intermediate_size: 11008,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  num_key_value_heads: nullable("number"),
  head_dim: nullable("number"),
  hidden_act: "silu",
  max_position_embeddings: 2048,
  initializer_range: 0.02,
  rms_norm_eps: 1e-6,
  pad_token_id: nullable("number"),
  tie_word_embeddings: false,
  attention_dropout: 0,
  ...ropeFields,
};

const defaults = { ...llamaFields, attention_bias: false, mlp_bias: false };

/** The keys of a Llama config that are read. */
export type LlamaConfig = Fields<typeof defaults> & TextConfig;

/** Typed keys of a relative of Llama. */
export type LlamaFields = Fields<typeof llamaFields>;

/** Number and size of attention heads. */
export interface HeadSizes {
  readonly heads: number;
  readonly keyHeads: number;
  readonly headDim: number;
}

/** Sizes of the attention heads, with the defaults that Hugging Face gives them. Throws `config` where they do not fit. */
export function headsOf(name: string, config: Pick<LlamaFields, "vocab_size" | "hidden_size" | "intermediate_size" | "num_hidden_layers" | "num_attention_heads" | "num_key_value_heads" | "head_dim">): HeadSizes {
  const { hidden_size, num_attention_heads: heads, vocab_size, intermediate_size, num_hidden_layers } = config;
  const keyHeads = config.num_key_value_heads ?? heads;
  const headDim = config.head_dim ?? Math.floor(hidden_size / heads);
  checkSizes(name, { vocab_size, hidden_size, intermediate_size, num_hidden_layers, head_dim: headDim });
  checkSizes(name, { num_attention_heads: heads, num_key_value_heads: keyHeads }, ["num_attention_heads", "num_key_value_heads"]);
  return { heads, keyHeads, headDim };
}

/** A block with norms before attention and feed-forward, each with a residual: x + attn(norm(x)), then x + mlp(norm(x)). */
export class LlamaLayer extends nn.Module {
  self_attn: nn.SelfAttention;
  mlp: nn.GatedMLP;
  input_layernorm: nn.RMSNorm;
  post_attention_layernorm: nn.RMSNorm;

  constructor(size: number, hiddenSize: number, eps: number, attention: nn.SelfAttentionOptions, mlp: nn.GatedMLPOptions) {
    super();
    this.self_attn = new nn.SelfAttention(size, attention);
    this.mlp = new nn.GatedMLP(size, hiddenSize, mlp);
    this.input_layernorm = new nn.RMSNorm(size, { eps });
    this.post_attention_layernorm = new nn.RMSNorm(size, { eps });
  }

  forward(x: Tensor, context: nn.AttentionContext): Tensor {
    x = F.add(x, this.self_attn.forward(this.input_layernorm.forward(x), context));
    return F.add(x, this.mlp.forward(this.post_attention_layernorm.forward(x)));
  }
}

/** A causal model whose config has Llama's keys; `layer` makes its blocks. */
export abstract class LlamaLikeForCausalLM<C extends LlamaFields & TextConfig> extends DecoderForCausalLM<C> {
  constructor(name: string, config: C, layer: (index: number, heads: HeadSizes) => DecoderLayer, more: Partial<DecoderParts> = {}) {
    const fields: LlamaFields = config;
    const heads = headsOf(name, fields);
    const { vocab_size: vocabSize, hidden_size: size, pad_token_id: paddingIdx, num_hidden_layers: layers } = fields;
    const parts = {
      vocabSize,
      size,
      paddingIdx,
      layers: Array.from({ length: layers }, (_, i) => layer(i, heads)),
      norm: new nn.RMSNorm(size, { eps: fields.rms_norm_eps }),
      rotary: rotaryOf(name, fields, heads.headDim),
    };
    const cache = { layers, heads: heads.keyHeads, headDim: heads.headDim };
    super(config, { ...parts, ...more }, { tied: fields.tie_word_embeddings, initializerRange: fields.initializer_range, cache });
  }
}

/**
 * Llama 2, 3 and 3.1 (Touvron et al., "Llama 2", 2023; Grattafiori et al., "The Llama 3 herd of models", 2024).
 * @example
 * const model = new LlamaForCausalLM({ hidden_size: 64, intermediate_size: 172, num_hidden_layers: 2, num_attention_heads: 8, vocab_size: 512 });
 * model.forward(tokens, { labels: tokens }).loss!.backward(); // tokens [B, T]
 */
export class LlamaForCausalLM extends LlamaLikeForCausalLM<LlamaConfig> {
  constructor(given: JsonObject) {
    const config = readFields("Llama", { model_type: "llama", ...given }, defaults);
    const { hidden_size: size, intermediate_size, rms_norm_eps, attention_bias: bias, attention_dropout: dropout } = config;
    const activation = activationOf("Llama", "hidden_act", config.hidden_act);
    super("Llama", config, (_, heads) => new LlamaLayer(size, intermediate_size, rms_norm_eps, { ...heads, bias, dropout }, { activation, bias: config.mlp_bias }));
  }
}

/** Llama that classifies whole sequences by their last token: logits [B, classes]. */
export class LlamaForSequenceClassification extends DecoderForSequenceClassification<LlamaConfig> {
  constructor(given: JsonObject) {
    super("Llama", new LlamaForCausalLM(given));
  }
}

export const llama: Family = { models: { LlamaForCausalLM, LlamaForSequenceClassification }, trunk: "model", ignored: [/rotary_emb\.inv_freq$/] };
