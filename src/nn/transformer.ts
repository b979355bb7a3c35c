import { checkNumber, checkOptions } from "../base/index.js";
import type { Tensor } from "../graph/index.js";
import { F } from "../ops/index.js";
import { MultiheadAttention } from "./attention.js";
import { ModuleList, type Layer } from "./containers.js";
import { Dropout } from "./dropout.js";
import { checkSize } from "./fresh.js";
import { Linear } from "./linear.js";
import { Module } from "./module.js";
import { LayerNorm } from "./norm.js";

/** Options of the encoder and decoder layers. */
export interface TransformerLayerOptions {
  /** Width of the feed-forward part. Default: 2048. */
  readonly dimFeedforward?: number;
  /** Default: 0.1. */
  readonly dropout?: number;
  /** Between the two feed-forward products. Default: "relu". */
  readonly activation?: "relu" | "gelu" | ((x: Tensor) => Tensor);
  /** Default: 1e-5. */
  readonly layerNormEps?: number;
  /** [B, T, E] instead of [T, B, E]. Default: false. */
  readonly batchFirst?: boolean;
  /** Normalise before attention and feed-forward instead of behind them (Xiong et al. 2020). Default: false. */
  readonly normFirst?: boolean;
  /** Default: true. */
  readonly bias?: boolean;
}

export const layerOptions = ["dimFeedforward", "dropout", "activation", "layerNormEps", "batchFirst", "normFirst", "bias"] as const;

/** Masks of self attention; see `MultiheadAttention`. */
export interface SelfMasks {
  /** [T, T], true where a position must not look, or floats that are added. */
  readonly srcMask?: Tensor | null;
  /** [B, T], true at padding. */
  readonly srcKeyPaddingMask?: Tensor | null;
  /** Position i looks at 0..i only. */
  readonly isCausal?: boolean;
}

/** The activation that an option means. */
export function activationOf(activation: TransformerLayerOptions["activation"]): (x: Tensor) => Tensor {
  if (typeof activation === "function") return activation;
  return activation === "gelu" ? (x) => F.gelu(x) : F.relu;
}

/** What encoder and decoder layers share: attention over the own sequence and the feed-forward part. */
export abstract class TransformerLayer extends Module {
  self_attn: MultiheadAttention;
  // `declare`: the fields come to be in the order in which subclasses fill them, which is the order of the state dict
  declare linear1: Linear;
  declare dropout: Dropout;
  declare linear2: Linear;
  readonly normFirst: boolean;
  readonly activation: (x: Tensor) => Tensor;
  protected readonly rate: number;
  protected readonly attention: { readonly dropout: number; readonly bias: boolean; readonly batchFirst: boolean };

  constructor(
    name: string,
    readonly dModel: number,
    readonly nhead: number,
    options: TransformerLayerOptions,
  ) {
    checkOptions(name, options, layerOptions);
    super();
    checkSize(name, "dModel", dModel);
    this.rate = checkNumber(name, "dropout", options.dropout ?? 0.1, { min: 0, max: 1 });
    this.attention = { dropout: this.rate, bias: options.bias ?? true, batchFirst: options.batchFirst ?? false };
    this.normFirst = options.normFirst ?? false;
    this.activation = activationOf(options.activation);
    this.self_attn = new MultiheadAttention(dModel, nhead, this.attention);
  }

  protected addFeedForward(name: string, { dimFeedforward = 2048, bias = true }: TransformerLayerOptions): void {
    this.linear1 = new Linear(this.dModel, checkSize(name, "dimFeedforward", dimFeedforward), { bias });
    this.dropout = new Dropout(this.rate);
    this.linear2 = new Linear(dimFeedforward, this.dModel, { bias });
  }

  protected feedForward(x: Tensor): Tensor {
    return this.linear2.forward(this.dropout.forward(this.activation(this.linear1.forward(x))));
  }

  /** One residual block: x + f(norm(x)), or norm(x + f(x)). */
  protected residual(x: Tensor, norm: LayerNorm, f: (x: Tensor) => Tensor): Tensor {
    return this.normFirst ? F.add(x, f(norm.forward(x))) : norm.forward(F.add(x, f(x)));
  }
}

/**
 * Self attention and a feed-forward network, each with a residual and layer norm (Vaswani et al. 2017): [B, T, E] -> [B, T, E].
 * @example
 * new nn.TransformerEncoderLayer(64, 8, { dimFeedforward: 256, batchFirst: true, normFirst: true }).forward(x);
 */
export class TransformerEncoderLayer extends TransformerLayer {
  declare norm1: LayerNorm;
  declare norm2: LayerNorm;
  declare dropout1: Dropout;
  declare dropout2: Dropout;

  constructor(dModel: number, nhead: number, options: TransformerLayerOptions = {}) {
    super("TransformerEncoderLayer", dModel, nhead, options);
    this.addFeedForward("TransformerEncoderLayer", options);
    const norm = (): LayerNorm => new LayerNorm(dModel, { eps: options.layerNormEps ?? 1e-5, bias: options.bias ?? true });
    [this.norm1, this.norm2] = [norm(), norm()];
    [this.dropout1, this.dropout2] = [new Dropout(this.rate), new Dropout(this.rate)];
  }

  forward(src: Tensor, { srcMask, srcKeyPaddingMask, isCausal }: SelfMasks = {}): Tensor {
    const masks = { attnMask: srcMask, keyPaddingMask: srcKeyPaddingMask, isCausal, needWeights: false };
    const attended = this.residual(src, this.norm1, (x) => this.dropout1.forward(this.self_attn.forward(x, x, x, masks)[0]));
    return this.residual(attended, this.norm2, (x) => this.dropout2.forward(this.feedForward(x)));
  }
}

/**
 * A stack of copies of an encoder layer. As in PyTorch all copies begin with the same weights; pass a function to make each layer afresh.
 * @example
 * new nn.TransformerEncoder(() => new nn.TransformerEncoderLayer(64, 8, { batchFirst: true }), 6).forward(x);
 */
export class TransformerEncoder extends Module {
  layers: ModuleList<TransformerEncoderLayer>;
  norm: Layer | null;

  constructor(layer: TransformerEncoderLayer | (() => TransformerEncoderLayer), numLayers: number, options: { readonly norm?: Layer | null } = {}) {
    super();
    checkOptions("TransformerEncoder", options, ["norm"]);
    this.layers = new ModuleList(repeatLayer("TransformerEncoder", layer, numLayers));
    this.norm = options.norm ?? null;
  }

  forward(src: Tensor, masks: SelfMasks = {}): Tensor {
    let x = src;
    for (const layer of this.layers) x = layer.forward(x, masks);
    return this.norm ? this.norm.forward(x) : x;
  }
}

/** `count` layers, by a function or as copies. */
export function repeatLayer<M extends Module>(name: string, layer: M | (() => M), count: number): M[] {
  checkSize(name, "numLayers", count, 0);
  return Array.from({ length: count }, () => (layer instanceof Module ? layer.clone() : layer()));
}
