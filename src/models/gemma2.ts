import type { Tensor } from "../graph/index.js";
import { F } from "../ops/index.js";
import type { JsonObject } from "../io/index.js";
import * as nn from "../nn/index.js";
import { headsOf } from "./llama.js";
import { activationOf } from "./text/activation.js";
import { DecoderForCausalLM } from "./text/decoder.js";
import { DecoderForSequenceClassification } from "./text/decoder-classifier.js";
import type { Family } from "./text/family.js";
import { nullable, readFields, refuse, type Fields } from "./text/fields.js";
import { ropeFields, rotaryOf } from "./text/rope.js";
import type { TextConfig } from "./text/types.js";
import { windowsOf } from "./text/windows.js";

const defaults = {
  vocab_size: 256000,
  hidden_size: 2304,
  intermediate_size: 9216,
  num_hidden_layers: 26,
  num_attention_heads: 8,
  num_key_value_heads: nullable("number", 4),
  head_dim: nullable("number", 256),
  hidden_activation: nullable("string", "gelu_pytorch_tanh"),
  max_position_embeddings: 8192,
  initializer_range: 0.02,
  rms_norm_eps: 1e-6,
  pad_token_id: nullable("number", 0),
  tie_word_embeddings: true,
  attention_bias: false,
  attention_dropout: 0,
  query_pre_attn_scalar: 256,
  sliding_window: nullable("number", 4096),
  layer_types: nullable("list"),
  final_logit_softcapping: nullable("number", 30),
  attn_logit_softcapping: nullable("number", 50),
  ...ropeFields,
};

/** The keys of a Gemma 2 config that are read. */
export type Gemma2Config = Fields<typeof defaults> & TextConfig;

/** RMS norm with the scale 1 + weight, so that a weight of 0 changes nothing. */
export class GemmaRMSNorm extends nn.Module {
  weight: nn.Parameter;

  constructor(
    size: number,
    private readonly eps: number,
  ) {
    super();
    this.weight = new nn.Parameter(F.mul(new nn.RMSNorm(size).weight!.detach(), 0));
  }

  forward(x: Tensor): Tensor {
    return F.rmsNorm(x, F.add(F.cast(this.weight, "f32"), 1), { eps: this.eps });
  }
}

/** A block with norms before and behind attention and feed-forward: x + norm(attn(norm(x))), then x + norm(mlp(norm(x))). */
class Gemma2Layer extends nn.Module {
  self_attn: nn.SelfAttention;
  mlp: nn.GatedMLP;
  input_layernorm: GemmaRMSNorm;
  post_attention_layernorm: GemmaRMSNorm;
  pre_feedforward_layernorm: GemmaRMSNorm;
  post_feedforward_layernorm: GemmaRMSNorm;

  constructor(size: number, hiddenSize: number, eps: number, attention: nn.SelfAttentionOptions, mlp: nn.GatedMLPOptions) {
    super();
    this.self_attn = new nn.SelfAttention(size, attention);
    this.mlp = new nn.GatedMLP(size, hiddenSize, mlp);
    this.input_layernorm = new GemmaRMSNorm(size, eps);
    this.post_attention_layernorm = new GemmaRMSNorm(size, eps);
    this.pre_feedforward_layernorm = new GemmaRMSNorm(size, eps);
    this.post_feedforward_layernorm = new GemmaRMSNorm(size, eps);
  }

  forward(x: Tensor, context: nn.AttentionContext): Tensor {
    x = F.add(x, this.post_attention_layernorm.forward(this.self_attn.forward(this.input_layernorm.forward(x), context)));
    return F.add(x, this.post_feedforward_layernorm.forward(this.mlp.forward(this.pre_feedforward_layernorm.forward(x))));
  }
}

/**
 * Transformers leaves the cap of attention scores out unless its "eager" attention is chosen (its default attention, sdpa, has none), and we compute what it
 * computes: checkpoints that are tuned and compared with it must agree. `"attn_implementation": "eager"` in the config brings the cap back.
 */
const capsScores = (config: JsonObject): boolean => (config.attn_implementation ?? config._attn_implementation) === "eager";

/**
 * Gemma 2 (Gemma Team, "Gemma 2: improving open language models at a practical size", 2024): a soft cap on logits (and scores, see the config's `attn_implementation`), every other layer with a
 * sliding window, embeddings scaled by sqrt(hidden size).
 * @example
 * const model = new Gemma2ForCausalLM({ hidden_size: 64, intermediate_size: 128, num_hidden_layers: 2, num_attention_heads: 4, num_key_value_heads: 2, head_dim: 16, vocab_size: 512 });
 */
export class Gemma2ForCausalLM extends DecoderForCausalLM<Gemma2Config> {
  constructor(given: JsonObject) {
    const name = "Gemma2";
    const config = readFields(name, { model_type: "gemma2", ...given }, defaults);
    refuse(name, { use_bidirectional_attention: Boolean(given.use_bidirectional_attention) });
    const heads = headsOf(name, config);
    const { vocab_size: vocabSize, hidden_size: size, num_hidden_layers: layers, rms_norm_eps: eps } = config;
    const attention = {
      ...heads,
      bias: config.attention_bias,
      dropout: config.attention_dropout,
      scale: 1 / Math.sqrt(config.query_pre_attn_scalar),
      softCap: capsScores(given) ? (config.attn_logit_softcapping ?? undefined) : undefined,
    };
    const activation = activationOf(name, "hidden_activation", config.hidden_activation ?? "gelu_pytorch_tanh");
    super(
      config,
      {
        vocabSize,
        size,
        paddingIdx: config.pad_token_id,
        layers: Array.from({ length: layers }, () => new Gemma2Layer(size, config.intermediate_size, eps, attention, { activation })),
        norm: new GemmaRMSNorm(size, eps),
        rotary: rotaryOf(name, config, heads.headDim),
        windows: windowsOf(name, layers, config.sliding_window, config.layer_types, (i) => i % 2 === 0),
        embeddingScale: Math.fround(Math.sqrt(size)),
      },
      { tied: config.tie_word_embeddings, initializerRange: config.initializer_range, logitCap: config.final_logit_softcapping, cache: { layers, heads: heads.keyHeads, headDim: heads.headDim } },
    );
  }
}

/** Gemma 2 that classifies whole sequences by their last token: logits [B, classes]. */
export class Gemma2ForSequenceClassification extends DecoderForSequenceClassification<Gemma2Config> {
  constructor(given: JsonObject) {
    super("Gemma2", new Gemma2ForCausalLM(given));
  }
}

export const gemma2: Family = { models: { Gemma2ForCausalLM, Gemma2ForSequenceClassification }, trunk: "model", ignored: [/rotary_emb\.inv_freq$/] };
