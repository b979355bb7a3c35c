import type { Tensor } from "../graph/index.js";
import { F, topk } from "../ops/index.js";
import type { JsonObject } from "../io/index.js";
import * as nn from "../nn/index.js";
import { llamaFields, LlamaLikeForCausalLM, type HeadSizes } from "./llama.js";
import { activationOf } from "./text/activation.js";
import { DecoderForSequenceClassification } from "./text/decoder-classifier.js";
import type { Family } from "./text/family.js";
import { checkSizes, nullable, readFields, refuse, type Fields } from "./text/fields.js";
import type { TextConfig } from "./text/types.js";
import { windowsOf } from "./text/windows.js";

const defaults = {
  ...llamaFields,
  intermediate_size: 14336,
  num_key_value_heads: nullable("number", 8),
  max_position_embeddings: 131072,
  rms_norm_eps: 1e-5,
  sliding_window: nullable("number"),
  num_experts_per_tok: 2,
  num_local_experts: 8,
  router_jitter_noise: 0,
};

/** The keys of a Mixtral config that are read. */
export type MixtralConfig = Fields<typeof defaults> & TextConfig;

/** w2(act(w1 x) * w3 x). */
class MixtralExpert extends nn.Module {
  w1: nn.Linear;
  w2: nn.Linear;
  w3: nn.Linear;

  constructor(
    size: number,
    hiddenSize: number,
    private readonly activation: (x: Tensor) => Tensor,
  ) {
    super();
    this.w1 = new nn.Linear(size, hiddenSize, { bias: false });
    this.w2 = new nn.Linear(hiddenSize, size, { bias: false });
    this.w3 = new nn.Linear(size, hiddenSize, { bias: false });
  }

  forward(x: Tensor): Tensor {
    return this.w2.forward(F.mul(this.activation(this.w1.forward(x)), this.w3.forward(x)));
  }
}

/**
 * A router that gives each token to its `perToken` best experts (Shazeer et al., "Outrageously large neural networks", 2017). Every expert sees every token
 * and the router's weights, 0 for experts that were not chosen, mix the results: shapes do not depend on values, and gradients are exact.
 */
class MixtralMoE extends nn.Module {
  gate: nn.Linear;
  experts: nn.ModuleList<MixtralExpert>;

  constructor(
    size: number,
    experts: number,
    private readonly perToken: number,
    expert: () => MixtralExpert,
  ) {
    super();
    this.gate = new nn.Linear(size, experts, { bias: false });
    this.experts = new nn.ModuleList(Array.from({ length: experts }, expert));
  }

  forward(x: Tensor): Tensor {
    const [chosen, which] = topk(F.softmax(this.gate.forward(x), -1), this.perToken); // [B, T, k] each
    const shares = F.div(chosen, F.sum(chosen, { dim: -1, keepdim: true }));
    let mixed: Tensor | undefined;
    [...this.experts].forEach((expert, e) => {
      const share = F.sum(F.where(F.eq(which, e), shares, 0), { dim: -1, keepdim: true }); // [B, T, 1]
      const part = F.mul(expert.forward(x), share);
      mixed = mixed === undefined ? part : F.add(mixed, part);
    });
    return mixed!;
  }
}

class MixtralLayer extends nn.Module {
  self_attn: nn.SelfAttention;
  block_sparse_moe: MixtralMoE;
  input_layernorm: nn.RMSNorm;
  post_attention_layernorm: nn.RMSNorm;

  constructor(config: MixtralConfig, heads: HeadSizes) {
    super();
    const { hidden_size: size, intermediate_size, rms_norm_eps: eps } = config;
    const activation = activationOf("Mixtral", "hidden_act", config.hidden_act);
    this.self_attn = new nn.SelfAttention(size, { ...heads, dropout: config.attention_dropout });
    this.block_sparse_moe = new MixtralMoE(size, config.num_local_experts, config.num_experts_per_tok, () => new MixtralExpert(size, intermediate_size, activation));
    this.input_layernorm = new nn.RMSNorm(size, { eps });
    this.post_attention_layernorm = new nn.RMSNorm(size, { eps });
  }

  forward(x: Tensor, context: nn.AttentionContext): Tensor {
    x = F.add(x, this.self_attn.forward(this.input_layernorm.forward(x), context));
    return F.add(x, this.block_sparse_moe.forward(this.post_attention_layernorm.forward(x)));
  }
}

/**
 * Mixtral (Jiang et al., "Mixtral of experts", 2024): Mistral with several feed-forward networks per layer, of which a router picks two for each token.
 * @example
 * const model = new MixtralForCausalLM({ hidden_size: 64, intermediate_size: 96, num_hidden_layers: 2, num_attention_heads: 8, num_local_experts: 4, vocab_size: 512 });
 */
export class MixtralForCausalLM extends LlamaLikeForCausalLM<MixtralConfig> {
  constructor(given: JsonObject) {
    const config = readFields("Mixtral", { model_type: "mixtral", ...given }, defaults);
    const { num_local_experts, num_experts_per_tok } = config;
    checkSizes("Mixtral", { num_local_experts, num_experts_per_tok });
    refuse("Mixtral", { [`num_experts_per_tok ${num_experts_per_tok} of ${num_local_experts} experts`]: num_experts_per_tok > num_local_experts, router_jitter_noise: config.router_jitter_noise > 0 });
    const windows = windowsOf("Mixtral", config.num_hidden_layers, config.sliding_window, null, () => true);
    super("Mixtral", config, (_, heads) => new MixtralLayer(config, heads), { windows });
  }
}

/** Mixtral that classifies whole sequences by their last token: logits [B, classes]. */
export class MixtralForSequenceClassification extends DecoderForSequenceClassification<MixtralConfig> {
  constructor(given: JsonObject) {
    super("Mixtral", new MixtralForCausalLM(given));
  }
}

export const mixtral: Family = { models: { MixtralForCausalLM, MixtralForSequenceClassification }, trunk: "model", ignored: [/rotary_emb\.inv_freq$/] };
