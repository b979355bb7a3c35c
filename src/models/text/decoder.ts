import { GraftError } from "../../base/index.js";
import { isFloat, showShape, type Tensor } from "../../graph/index.js";
import { F } from "../../ops/index.js";
import { checkpoint } from "../../autograd/index.js";
import * as nn from "../../nn/index.js";
import { CausalLM, decoderMask, positionsOf, type CacheShape } from "./causal-lm.js";
import { initializeWeights } from "./initialize.js";
import type { TextConfig, TextInputs } from "./types.js";

/** One block of a decoder: [B, T, C] -> [B, T, C]. */
export type DecoderLayer = nn.Module & { forward(x: Tensor, context: nn.AttentionContext): Tensor };

/** What a decoder in the manner of Llama is made of. */
export interface DecoderParts {
  readonly vocabSize: number;
  readonly size: number;
  /** Row of the table that learns nothing. */
  readonly paddingIdx: number | null;
  readonly layers: readonly DecoderLayer[];
  readonly norm: nn.Layer;
  readonly rotary: nn.RotaryEmbedding;
  /** Tokens that each layer sees at most; undefined: all. */
  readonly windows?: readonly (number | undefined)[];
  /** The embeddings are multiplied with this. */
  readonly embeddingScale?: number;
  /** Probability of dropping an embedding in training. */
  readonly dropout?: number;
}

/** A table of embeddings, blocks with rotary attention and a last norm: token ids [B, T] -> hidden states [B, T, C]. The names are those of Llama. */
export class DecoderModel extends nn.Module {
  embed_tokens: nn.Embedding;
  layers: nn.ModuleList<DecoderLayer>;
  norm: nn.Layer;
  /** Blocks are not kept for the backward pass but computed again (see `checkpoint`). */
  gradientCheckpointing = false;
  private readonly dropout: nn.Dropout;

  constructor(private readonly parts: DecoderParts) {
    super();
    const { vocabSize, size, paddingIdx, layers, norm, dropout = 0 } = parts;
    this.embed_tokens = new nn.Embedding(vocabSize, size, paddingIdx === null ? {} : { paddingIdx });
    this.layers = new nn.ModuleList(layers);
    this.norm = norm;
    this.dropout = new nn.Dropout(dropout);
  }

  /** Turns queries and keys by their positions; one for all layers. */
  get rotary(): nn.RotaryEmbedding {
    return this.parts.rotary;
  }

  forward(inputIds: Tensor, inputs: TextInputs = {}): Tensor {
    const T = inputIds.shape[1];
    const { rotary, windows = [], embeddingScale } = this.parts;
    let x = F.cast(this.embed_tokens.forward(inputIds), "f32"); // whatever the weights are stored as
    if (embeddingScale !== undefined) x = F.mul(x, embeddingScale);
    x = this.dropout.forward(x);
    const masks = new Map<number | undefined, nn.AttentionMask>();
    const maskOf = (window: number | undefined): nn.AttentionMask => {
      if (!masks.has(window)) masks.set(window, decoderMask(T, inputs, window));
      return masks.get(window);
    };
    const shared = { rotary: rotary.tables(positionsOf(T, inputs)), cache: inputs.cache };
    [...this.layers].forEach((layer, i) => {
      const context = { ...shared, mask: maskOf(windows[i]), layer: i };
      x = this.gradientCheckpointing && this.training ? checkpoint((h) => layer.forward(h, context), x) : layer.forward(x, context);
    });
    return this.norm.forward(x);
  }
}

/** What {@link DecoderForCausalLM} needs to know besides its config. */
export interface DecoderHead {
  /** Logits l become c tanh(l / c). */
  readonly logitCap?: number | null;
  readonly tied: boolean;
  readonly initializerRange: number;
  readonly cache: CacheShape;
}

/** A {@link DecoderModel} as `model` and a projection to the vocabulary as `lm_head`, which may share its weight with the table. */
export abstract class DecoderForCausalLM<C extends TextConfig = TextConfig> extends CausalLM<C> {
  model: DecoderModel;
  lm_head: nn.Linear;

  constructor(
    config: C,
    parts: DecoderParts,
    private readonly options: DecoderHead,
  ) {
    super(config);
    this.model = new DecoderModel(parts);
    this.lm_head = new nn.Linear(parts.size, parts.vocabSize, { bias: false });
    initializeWeights(this, options.initializerRange);
    if (options.tied) this.lm_head.weight = this.model.embed_tokens.weight;
  }

  protected trunk(inputIds: Tensor, inputs: TextInputs): Tensor {
    if (isFloat(inputIds.dtype)) throw new GraftError("dtype", `${this.constructor.name}: inputIds are ${inputIds.dtype} ${showShape(inputIds.shape)}. Token ids are whole numbers: tensor(ids, { dtype: "i32" }).`);
    return this.model.forward(inputIds, inputs);
  }

  /** The rotary embedding of all layers. */
  get rotary(): nn.RotaryEmbedding {
    return this.model.rotary;
  }

  protected head(hidden: Tensor): Tensor {
    const logits = this.lm_head.forward(hidden);
    const { logitCap } = this.options;
    return logitCap ? F.mul(F.tanh(F.mul(logits, 1 / logitCap)), logitCap) : logits;
  }

  protected cacheShape(): CacheShape {
    return this.options.cache;
  }
}
