import { checkOptions, GraftError } from "../base/index.js";
import { showShape, type Tensor } from "../graph/index.js";
import { F, iota, ne, randn, where } from "../ops/index.js";
import { checkSize } from "./fresh.js";
import { Module } from "./module.js";
import { Parameter } from "./parameter.js";

/** Options of {@link Embedding}. */
export interface EmbeddingOptions {
  /** Row that starts at 0 and gets no gradient; negative ones count from the end. */
  readonly paddingIdx?: number;
}

/**
 * A table of vectors looked up by index: [...] of whole numbers -> [..., size]. `weight` is [count, size], normal with standard deviation 1
 * at the start.
 * @example
 * new nn.Embedding(1000, 64).forward(tokens); // [B, T] -> [B, T, 64]
 */
export class Embedding extends Module {
  weight: Parameter;
  readonly paddingIdx: number | undefined;

  constructor(
    readonly numEmbeddings: number,
    readonly embeddingDim: number,
    options: EmbeddingOptions = {},
  ) {
    super();
    checkOptions("Embedding", options, ["paddingIdx"]);
    const shape = [checkSize("Embedding", "numEmbeddings", numEmbeddings), checkSize("Embedding", "embeddingDim", embeddingDim)];
    const index = options.paddingIdx;
    if (index !== undefined && (!Number.isInteger(index) || index < -numEmbeddings || index >= numEmbeddings)) {
      throw new GraftError("index", `Embedding: paddingIdx is ${index}, but the table has ${numEmbeddings} rows. Use ${-numEmbeddings} to ${numEmbeddings - 1}.`);
    }
    this.paddingIdx = index !== undefined && index < 0 ? index + numEmbeddings : index;
    const values = randn(shape);
    this.weight = new Parameter(this.paddingIdx === undefined ? values : where(ne(iota([numEmbeddings, 1], 0), this.paddingIdx), values, 0));
  }

  /** A layer over an existing table [count, size]; frozen unless `freeze` is false. */
  static fromPretrained(weight: Tensor, options: EmbeddingOptions & { readonly freeze?: boolean } = {}): Embedding {
    if (weight.ndim !== 2) throw new GraftError("shape", `Embedding.fromPretrained: the table is ${showShape(weight.shape)}. It must have two dims [count, size].`);
    const { freeze = true, ...rest } = options;
    const layer = new Embedding(weight.shape[0], weight.shape[1], rest);
    layer.weight = new Parameter(weight, { requiresGrad: !freeze });
    return layer;
  }

  forward(indices: Tensor): Tensor {
    return F.embedding(indices, this.weight, this.paddingIdx === undefined ? {} : { paddingIdx: this.paddingIdx });
  }
}
