import { checkNumber, checkOptions, GraftError } from "../base/index.js";
import type { Shape, Tensor } from "../graph/index.js";
import { F } from "../ops/index.js";
import { checkSize, constantParameter } from "./fresh.js";
import { Module } from "./module.js";
import type { Parameter } from "./parameter.js";

const asShape = (layer: string, shape: number | Shape): Shape => (typeof shape === "number" ? [shape] : shape).map((n) => checkSize(layer, "normalizedShape", n));

/** Options of {@link LayerNorm}. */
export interface LayerNormOptions {
  /** Added to the variance. Default: 1e-5. */
  readonly eps?: number;
  /** Learns a scale (and shift). Default: true. */
  readonly elementwiseAffine?: boolean;
  /** Learns a shift where there is a scale. Default: true. */
  readonly bias?: boolean;
}

/**
 * (x - mean) / sqrt(var + eps) * weight + bias over the last dims (Ba et al., "Layer normalization", 2016).
 * @example
 * new nn.LayerNorm(64).forward(x); // [B, T, 64] -> [B, T, 64]
 */
export class LayerNorm extends Module {
  readonly normalizedShape: Shape;
  readonly eps: number;
  weight: Parameter | null;
  bias: Parameter | null;

  constructor(normalizedShape: number | Shape, options: LayerNormOptions = {}) {
    super();
    checkOptions("LayerNorm", options, ["eps", "elementwiseAffine", "bias"]);
    this.normalizedShape = asShape("LayerNorm", normalizedShape);
    this.eps = checkNumber("LayerNorm", "eps", options.eps ?? 1e-5, { min: 0 });
    const affine = options.elementwiseAffine ?? true;
    this.weight = affine ? constantParameter(this.normalizedShape, 1) : null;
    this.bias = affine && (options.bias ?? true) ? constantParameter(this.normalizedShape, 0) : null;
  }

  forward(x: Tensor): Tensor {
    return F.layerNorm(x, this.weight, this.bias, { eps: this.eps, normalizedShape: this.normalizedShape });
  }
}

/** Options of {@link RMSNorm}. */
export interface RMSNormOptions {
  /** Added to the mean square. Default: the smallest step above 1 in the input's dtype, as in PyTorch. */
  readonly eps?: number;
  /** Learns a scale. Default: true. */
  readonly elementwiseAffine?: boolean;
}

/**
 * x / sqrt(mean(x^2) + eps) * weight over the last dims (Zhang and Sennrich, "Root mean square layer normalization", 2019).
 * @example
 * new nn.RMSNorm(64, { eps: 1e-6 }).forward(x); // [B, T, 64] -> [B, T, 64]
 */
export class RMSNorm extends Module {
  readonly normalizedShape: Shape;
  readonly eps: number | undefined;
  weight: Parameter | null;

  constructor(normalizedShape: number | Shape, options: RMSNormOptions = {}) {
    super();
    checkOptions("RMSNorm", options, ["eps", "elementwiseAffine"]);
    this.normalizedShape = asShape("RMSNorm", normalizedShape);
    this.eps = options.eps === undefined ? undefined : checkNumber("RMSNorm", "eps", options.eps, { min: 0 });
    this.weight = (options.elementwiseAffine ?? true) ? constantParameter(this.normalizedShape, 1) : null;
  }

  forward(x: Tensor): Tensor {
    return F.rmsNorm(x, this.weight, { eps: this.eps, normalizedShape: this.normalizedShape });
  }
}

/** Options of {@link GroupNorm}. */
export interface GroupNormOptions {
  /** Added to the variance. Default: 1e-5. */
  readonly eps?: number;
  /** Learns a scale and shift per channel. Default: true. */
  readonly affine?: boolean;
}

/**
 * Normalises the channels of [B, C, ...] in groups, each over its channels and positions (Wu and He, "Group normalization", 2018).
 * @example
 * new nn.GroupNorm(4, 32).forward(x); // [B, 32, H, W] -> [B, 32, H, W]
 */
export class GroupNorm extends Module {
  readonly eps: number;
  weight: Parameter | null;
  bias: Parameter | null;

  constructor(
    readonly numGroups: number,
    readonly numChannels: number,
    options: GroupNormOptions = {},
  ) {
    super();
    checkOptions("GroupNorm", options, ["eps", "affine"]);
    if (checkSize("GroupNorm", "numChannels", numChannels) % checkSize("GroupNorm", "numGroups", numGroups) !== 0) {
      throw new GraftError("argument", `GroupNorm: ${numChannels} channels cannot be cut into ${numGroups} groups. The number of channels must be a multiple.`);
    }
    this.eps = checkNumber("GroupNorm", "eps", options.eps ?? 1e-5, { min: 0 });
    const learn = options.affine ?? true;
    this.weight = learn ? constantParameter([numChannels], 1) : null;
    this.bias = learn ? constantParameter([numChannels], 0) : null;
  }

  forward(x: Tensor): Tensor {
    return F.groupNorm(x, this.numGroups, this.weight, this.bias, { eps: this.eps });
  }
}
