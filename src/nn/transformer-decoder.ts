import { checkOptions } from "../base/index.js";
import type { Tensor } from "../graph/index.js";
import { MultiheadAttention } from "./attention.js";
import { ModuleList, type Layer } from "./containers.js";
import { Dropout } from "./dropout.js";
import { Module } from "./module.js";
import { LayerNorm } from "./norm.js";
import { repeatLayer, TransformerLayer, type TransformerLayerOptions } from "./transformer.js";

/** Masks of a decoder; see `MultiheadAttention`. */
export interface DecoderMasks {
  /** [T, T], true where a target position must not look, or floats that are added. */
  readonly tgtMask?: Tensor | null;
  /** [T, S], the same for the encoder's output. */
  readonly memoryMask?: Tensor | null;
  /** [B, T], true at padding. */
  readonly tgtKeyPaddingMask?: Tensor | null;
  /** [B, S], true at padding. */
  readonly memoryKeyPaddingMask?: Tensor | null;
  /** Target position i looks at 0..i only. */
  readonly tgtIsCausal?: boolean;
  readonly memoryIsCausal?: boolean;
}

/**
 * Self attention, attention over the encoder's output and a feed-forward network, each with a residual and layer norm (Vaswani et al. 2017).
 * @example
 * new nn.TransformerDecoderLayer(64, 8, { batchFirst: true }).forward(target, memory, { tgtIsCausal: true }); // [B, T, E], [B, S, E] -> [B, T, E]
 */
export class TransformerDecoderLayer extends TransformerLayer {
  declare multihead_attn: MultiheadAttention;
  declare norm1: LayerNorm;
  declare norm2: LayerNorm;
  declare norm3: LayerNorm;
  declare dropout1: Dropout;
  declare dropout2: Dropout;
  declare dropout3: Dropout;

  constructor(dModel: number, nhead: number, options: TransformerLayerOptions = {}) {
    super("TransformerDecoderLayer", dModel, nhead, options);
    this.multihead_attn = new MultiheadAttention(dModel, nhead, this.attention);
    this.addFeedForward("TransformerDecoderLayer", options);
    const norm = (): LayerNorm => new LayerNorm(dModel, { eps: options.layerNormEps ?? 1e-5, bias: options.bias ?? true });
    [this.norm1, this.norm2, this.norm3] = [norm(), norm(), norm()];
    [this.dropout1, this.dropout2, this.dropout3] = [new Dropout(this.rate), new Dropout(this.rate), new Dropout(this.rate)];
  }

  forward(tgt: Tensor, memory: Tensor, masks: DecoderMasks = {}): Tensor {
    const own = { attnMask: masks.tgtMask, keyPaddingMask: masks.tgtKeyPaddingMask, isCausal: masks.tgtIsCausal, needWeights: false };
    const cross = { attnMask: masks.memoryMask, keyPaddingMask: masks.memoryKeyPaddingMask, isCausal: masks.memoryIsCausal, needWeights: false };
    const first = this.residual(tgt, this.norm1, (x) => this.dropout1.forward(this.self_attn.forward(x, x, x, own)[0]));
    const second = this.residual(first, this.norm2, (x) => this.dropout2.forward(this.multihead_attn.forward(x, memory, memory, cross)[0]));
    return this.residual(second, this.norm3, (x) => this.dropout3.forward(this.feedForward(x)));
  }
}

/** A stack of copies of a decoder layer. As in PyTorch all copies begin with the same weights; pass a function to make each layer afresh. */
export class TransformerDecoder extends Module {
  layers: ModuleList<TransformerDecoderLayer>;
  norm: Layer | null;

  constructor(layer: TransformerDecoderLayer | (() => TransformerDecoderLayer), numLayers: number, options: { readonly norm?: Layer | null } = {}) {
    super();
    checkOptions("TransformerDecoder", options, ["norm"]);
    this.layers = new ModuleList(repeatLayer("TransformerDecoder", layer, numLayers));
    this.norm = options.norm ?? null;
  }

  forward(tgt: Tensor, memory: Tensor, masks: DecoderMasks = {}): Tensor {
    let x = tgt;
    for (const layer of this.layers) x = layer.forward(x, memory, masks);
    return this.norm ? this.norm.forward(x) : x;
  }
}
