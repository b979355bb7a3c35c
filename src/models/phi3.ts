import type { Tensor } from "../graph/index.js";
import { F } from "../ops/index.js";
import type { JsonObject } from "../io/index.js";
import * as nn from "../nn/index.js";
import { llamaFields, LlamaLikeForCausalLM, type HeadSizes } from "./llama.js";
import { activationOf } from "./text/activation.js";
import { DecoderForSequenceClassification } from "./text/decoder-classifier.js";
import type { Family } from "./text/family.js";
import { nullable, readFields, type Fields } from "./text/fields.js";
import type { TextConfig } from "./text/types.js";
import { windowsOf } from "./text/windows.js";

const defaults = {
  ...llamaFields,
  vocab_size: 32064,
  hidden_size: 3072,
  intermediate_size: 8192,
  resid_pdrop: 0,
  embd_pdrop: 0,
  max_position_embeddings: 4096,
  original_max_position_embeddings: nullable("number", 4096),
  rms_norm_eps: 1e-5,
  pad_token_id: nullable("number", 32000),
  sliding_window: nullable("number"),
};

/** The keys of a Phi 3 config that are read. */
export type Phi3Config = Fields<typeof defaults> & TextConfig;

/** Attention with queries, keys and values from one projection. */
class Phi3Attention extends nn.Module {
  o_proj: nn.Linear;
  qkv_proj: nn.Linear;

  constructor(
    size: number,
    private readonly sizes: HeadSizes,
    private readonly dropoutP: number,
  ) {
    super();
    const { heads, keyHeads, headDim } = sizes;
    this.o_proj = new nn.Linear(heads * headDim, size, { bias: false });
    this.qkv_proj = new nn.Linear(size, (heads + 2 * keyHeads) * headDim, { bias: false });
  }

  forward(x: Tensor, context: nn.AttentionContext): Tensor {
    const { heads, keyHeads, headDim } = this.sizes;
    const parts = F.split(this.qkv_proj.forward(x), [heads * headDim, keyHeads * headDim, keyHeads * headDim], 2);
    const [q, k, v] = parts.map((part, i) => nn.splitHeads(part, i === 0 ? heads : keyHeads));
    return this.o_proj.forward(nn.joinHeads(nn.attendWith(q, k, v, context, { dropoutP: this.training ? this.dropoutP : 0 })));
  }
}

/** down(act(gate) * up) with gate and up from one projection. */
class Phi3MLP extends nn.Module {
  gate_up_proj: nn.Linear;
  down_proj: nn.Linear;

  constructor(
    size: number,
    hiddenSize: number,
    private readonly activation: (x: Tensor) => Tensor,
  ) {
    super();
    this.gate_up_proj = new nn.Linear(size, 2 * hiddenSize, { bias: false });
    this.down_proj = new nn.Linear(hiddenSize, size, { bias: false });
  }

  forward(x: Tensor): Tensor {
    const [gate, up] = F.chunk(this.gate_up_proj.forward(x), 2, -1);
    return this.down_proj.forward(F.mul(up, this.activation(gate)));
  }
}

class Phi3Layer extends nn.Module {
  self_attn: Phi3Attention;
  mlp: Phi3MLP;
  input_layernorm: nn.RMSNorm;
  post_attention_layernorm: nn.RMSNorm;
  private readonly dropout: nn.Dropout;

  constructor(config: Phi3Config, heads: HeadSizes) {
    super();
    const { hidden_size: size, rms_norm_eps: eps } = config;
    this.self_attn = new Phi3Attention(size, heads, config.attention_dropout);
    this.mlp = new Phi3MLP(size, config.intermediate_size, activationOf("Phi3", "hidden_act", config.hidden_act));
    this.input_layernorm = new nn.RMSNorm(size, { eps });
    this.post_attention_layernorm = new nn.RMSNorm(size, { eps });
    this.dropout = new nn.Dropout(config.resid_pdrop);
  }

  forward(x: Tensor, context: nn.AttentionContext): Tensor {
    x = F.add(x, this.dropout.forward(this.self_attn.forward(this.input_layernorm.forward(x), context)));
    return F.add(x, this.dropout.forward(this.mlp.forward(this.post_attention_layernorm.forward(x))));
  }
}

/**
 * Phi 3 (Abdin et al., "Phi-3 technical report", 2024): Llama with fused projections.
 * @example
 * const model = new Phi3ForCausalLM({ hidden_size: 64, intermediate_size: 172, num_hidden_layers: 2, num_attention_heads: 8, vocab_size: 512, pad_token_id: null });
 */
export class Phi3ForCausalLM extends LlamaLikeForCausalLM<Phi3Config> {
  constructor(given: JsonObject) {
    const config = readFields("Phi3", { model_type: "phi3", ...given }, defaults);
    const windows = windowsOf("Phi3", config.num_hidden_layers, config.sliding_window, null, () => true);
    super("Phi3", config, (_, heads) => new Phi3Layer(config, heads), { windows, dropout: config.embd_pdrop });
  }

  /** Behind this length LongRoPE has other frequencies, so that cached keys are of no use. */
  get cacheLimit(): number | undefined {
    const { scaling } = this.rotary;
    return scaling?.type === "longrope" ? scaling.originalMaxPositions : undefined;
  }
}

/** Phi 3 that classifies whole sequences by their last token: logits [B, classes]. */
export class Phi3ForSequenceClassification extends DecoderForSequenceClassification<Phi3Config> {
  constructor(given: JsonObject) {
    super("Phi3", new Phi3ForCausalLM(given));
  }
}

export const phi3: Family = { models: { Phi3ForCausalLM, Phi3ForSequenceClassification }, trunk: "model", ignored: [/rotary_emb\.inv_freq$/] };
