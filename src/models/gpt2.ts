import { GraftError } from "../base/index.js";
import type { Tensor } from "../graph/index.js";
import { checkpoint } from "../autograd/index.js";
import { F } from "../ops/index.js";
import type { JsonObject } from "../io/index.js";
import * as nn from "../nn/index.js";
import { activationOf } from "./text/activation.js";
import { CausalLM, decoderMask, positionsOf, type CacheShape } from "./text/causal-lm.js";
import { SequenceClassifier } from "./text/decoder-classifier.js";
import type { Family } from "./text/family.js";
import { checkSizes, nullable, readFields, refuse, type Fields } from "./text/fields.js";
import { initializeWeights } from "./text/initialize.js";
import type { TextConfig, TextInputs } from "./text/types.js";

const defaults = {
  vocab_size: 50257,
  n_positions: 1024,
  n_embd: 768,
  n_layer: 12,
  n_head: 12,
  n_inner: nullable("number"),
  activation_function: "gelu_new",
  resid_pdrop: 0.1,
  embd_pdrop: 0.1,
  attn_pdrop: 0.1,
  layer_norm_epsilon: 1e-5,
  initializer_range: 0.02,
  scale_attn_weights: true,
  scale_attn_by_inverse_layer_idx: false,
  tie_word_embeddings: true,
};

/** The keys of a GPT-2 config that are read. */
export type GPT2Config = Fields<typeof defaults> & TextConfig;

class GPT2Attention extends nn.Module {
  c_attn: nn.TransposedLinear;
  c_proj: nn.TransposedLinear;
  private readonly scale: number;
  private readonly dropout: nn.Dropout;

  constructor(
    private readonly config: GPT2Config,
    layer: number,
  ) {
    super();
    const { n_embd: C, n_head: H } = config;
    this.c_attn = new nn.TransposedLinear(C, 3 * C);
    this.c_proj = new nn.TransposedLinear(C, C);
    this.scale = (config.scale_attn_weights ? 1 / Math.sqrt(C / H) : 1) / (config.scale_attn_by_inverse_layer_idx ? layer + 1 : 1);
    this.dropout = new nn.Dropout(config.resid_pdrop);
  }

  forward(x: Tensor, context: nn.AttentionContext): Tensor {
    const { n_embd: C, n_head: H, attn_pdrop } = this.config;
    const [q, k, v] = F.split(this.c_attn.forward(x), C, 2).map((part) => nn.splitHeads(part, H)); // [B, H, T, D] each
    const mixed = nn.attendWith(q, k, v, context, { scale: this.scale, dropoutP: this.training ? attn_pdrop : 0 });
    return this.dropout.forward(this.c_proj.forward(nn.joinHeads(mixed)));
  }
}

class GPT2MLP extends nn.Module {
  c_fc: nn.TransposedLinear;
  c_proj: nn.TransposedLinear;
  private readonly activation: (x: Tensor) => Tensor;
  private readonly dropout: nn.Dropout;

  constructor({ n_embd: C, n_inner, activation_function, resid_pdrop }: GPT2Config) {
    super();
    this.c_fc = new nn.TransposedLinear(C, n_inner ?? 4 * C);
    this.c_proj = new nn.TransposedLinear(n_inner ?? 4 * C, C);
    this.activation = activationOf("GPT2", "activation_function", activation_function);
    this.dropout = new nn.Dropout(resid_pdrop);
  }

  forward(x: Tensor): Tensor {
    return this.dropout.forward(this.c_proj.forward(this.activation(this.c_fc.forward(x))));
  }
}

/** x + attn(norm(x)), then x + mlp(norm(x)). */
class GPT2Block extends nn.Module {
  ln_1: nn.LayerNorm;
  attn: GPT2Attention;
  ln_2: nn.LayerNorm;
  mlp: GPT2MLP;

  constructor(config: GPT2Config, layer: number) {
    super();
    const eps = config.layer_norm_epsilon;
    this.ln_1 = new nn.LayerNorm(config.n_embd, { eps });
    this.attn = new GPT2Attention(config, layer);
    this.ln_2 = new nn.LayerNorm(config.n_embd, { eps });
    this.mlp = new GPT2MLP(config);
  }

  forward(x: Tensor, context: nn.AttentionContext): Tensor {
    x = F.add(x, this.attn.forward(this.ln_1.forward(x), context));
    return F.add(x, this.mlp.forward(this.ln_2.forward(x)));
  }
}

/** Tables of tokens and positions, blocks, a last norm. */
class GPT2Model extends nn.Module {
  wte: nn.Embedding;
  wpe: nn.Embedding;
  drop: nn.Dropout;
  h: nn.ModuleList<GPT2Block>;
  ln_f: nn.LayerNorm;
  /** Blocks are not kept for the backward pass but computed again (see `checkpoint`). */
  gradientCheckpointing = false;

  constructor(config: GPT2Config) {
    super();
    this.wte = new nn.Embedding(config.vocab_size, config.n_embd);
    this.wpe = new nn.Embedding(config.n_positions, config.n_embd);
    this.drop = new nn.Dropout(config.embd_pdrop);
    this.h = new nn.ModuleList(Array.from({ length: config.n_layer }, (_, i) => new GPT2Block(config, i)));
    this.ln_f = new nn.LayerNorm(config.n_embd, { eps: config.layer_norm_epsilon });
  }

  forward(inputIds: Tensor, inputs: TextInputs = {}): Tensor {
    const T = inputIds.shape[1];
    const places = this.wpe.forward(positionsOf(T, inputs)); // [T, C] or [B, T, C]
    let x = this.drop.forward(F.add(F.cast(this.wte.forward(inputIds), "f32"), F.cast(places, "f32")));
    const shared = { mask: decoderMask(T, inputs), cache: inputs.cache };
    [...this.h].forEach((block, layer) => {
      const context = { ...shared, layer };
      x = this.gradientCheckpointing && this.training ? checkpoint((h) => block.forward(h, context), x) : block.forward(x, context);
    });
    return this.ln_f.forward(x);
  }
}

/** Throws `shape` for a sequence that there are no positions for. */
function checkLength(last: number, { n_positions: positions }: GPT2Config, { positionIds }: TextInputs): void {
  if (positionIds === undefined && last > positions) throw new GraftError("shape", `GPT2: the sequence has ${last} tokens, the model has positions for ${positions}. Shorten it.`);
}

/**
 * GPT-2 (Radford et al., "Language models are unsupervised multitask learners", 2019).
 * @example
 * const model = new GPT2LMHeadModel({ n_layer: 4, n_head: 4, n_embd: 128, n_positions: 64, vocab_size: 65, resid_pdrop: 0, embd_pdrop: 0, attn_pdrop: 0 });
 * model.forward(tokens, { labels: tokens }).loss!.backward(); // tokens [B, T]
 */
export class GPT2LMHeadModel extends CausalLM<GPT2Config> {
  transformer: GPT2Model;
  lm_head: nn.Linear;

  constructor(given: JsonObject) {
    const config = readFields("GPT2", { model_type: "gpt2", ...given }, defaults);
    const { vocab_size, n_positions, n_embd, n_layer, n_head, initializer_range: std } = config;
    checkSizes("GPT2", { vocab_size, n_positions, n_embd, n_layer, n_head }, ["n_embd", "n_head"]);
    refuse("GPT2", { add_cross_attention: Boolean(given.add_cross_attention) });
    super(config);
    this.transformer = new GPT2Model(config);
    this.lm_head = new nn.Linear(n_embd, vocab_size, { bias: false });
    // What is added to the residual stream starts smaller the more blocks add to it.
    initializeWeights(this, std, (path) => (path.endsWith("c_proj.weight") ? std / Math.sqrt(2 * n_layer) : undefined));
    if (config.tie_word_embeddings) this.lm_head.weight = this.transformer.wte.weight;
  }

  override get maxPositions(): number {
    return this.config.n_positions;
  }

  protected trunk(inputIds: Tensor, inputs: TextInputs): Tensor {
    checkLength(inputIds.shape[1] + (inputs.cache?.length ?? 0), this.config, inputs);
    return this.transformer.forward(inputIds, inputs);
  }

  protected head(hidden: Tensor): Tensor {
    return this.lm_head.forward(hidden);
  }

  protected cacheShape(): CacheShape {
    const { n_layer, n_head, n_embd } = this.config;
    return { layers: n_layer, heads: n_head, headDim: n_embd / n_head };
  }
}

/** GPT-2 that classifies whole sequences by their last token: logits [B, classes]. */
export class GPT2ForSequenceClassification extends SequenceClassifier<GPT2Config> {
  transformer: GPT2Model;

  constructor(given: JsonObject) {
    const { config, transformer } = new GPT2LMHeadModel(given);
    super("GPT2", config, config.n_embd, config.initializer_range);
    this.transformer = transformer;
  }

  /** Longest sequence that there are positions for. */
  get maxPositions(): number {
    return this.config.n_positions;
  }

  protected trunk(inputIds: Tensor, inputs: TextInputs): Tensor {
    checkLength(inputIds.shape[1], this.config, inputs);
    return this.transformer.forward(inputIds, inputs);
  }
}

export const gpt2: Family = { models: { GPT2LMHeadModel, GPT2ForSequenceClassification }, trunk: "transformer", ignored: [/attn\.(bias|masked_bias)$/] };
