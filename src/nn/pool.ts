import { checkOptions } from "../base/index.js";
import type { Tensor } from "../graph/index.js";
import { F } from "../ops/index.js";
import type { Size } from "./conv.js";
import { Module } from "./module.js";

/** Options of max pooling. */
export interface MaxPoolOptions {
  readonly kernelSize: Size;
  /** Default: the kernel size. */
  readonly stride?: Size;
  /** Minus infinity around the input, at most half of the kernel. Default: 0. */
  readonly padding?: Size;
  /** Default: 1. */
  readonly dilation?: Size;
  /** Rounds the output size up instead of down. Default: false. */
  readonly ceilMode?: boolean;
}

/** Options of average pooling. */
export interface AvgPoolOptions {
  readonly kernelSize: Size;
  /** Default: the kernel size. */
  readonly stride?: Size;
  /** Zeros around the input, at most half of the kernel. Default: 0. */
  readonly padding?: Size;
  /** Rounds the output size up instead of down. Default: false. */
  readonly ceilMode?: boolean;
  /** The padding counts in the average. Default: true. */
  readonly countIncludePad?: boolean;
}

function poolOptions<O extends { readonly kernelSize: Size }>(layer: string, given: Size | O, known: readonly (keyof O & string)[]): O {
  if (typeof given === "number" || Array.isArray(given)) return { kernelSize: given } as O;
  checkOptions(layer, given as O, known);
  return given as O;
}

const maxKnown = ["kernelSize", "stride", "padding", "dilation", "ceilMode"] as const;
const avgKnown = ["kernelSize", "stride", "padding", "ceilMode", "countIncludePad"] as const;

/** The largest value of each window: [B, C, T] -> [B, C, T']. Takes the kernel size or options. */
export class MaxPool1d extends Module {
  readonly options: MaxPoolOptions;
  constructor(options: Size | MaxPoolOptions) {
    super();
    this.options = poolOptions<MaxPoolOptions>("MaxPool1d", options, maxKnown);
  }
  forward(x: Tensor): Tensor {
    return F.maxPool1d(x, this.options);
  }
}

/**
 * The largest value of each window: [B, C, H, W] -> [B, C, H', W']. Takes the kernel size or options.
 * @example
 * new nn.MaxPool2d(2).forward(x); // [B, C, 28, 28] -> [B, C, 14, 14]
 */
export class MaxPool2d extends Module {
  readonly options: MaxPoolOptions;
  constructor(options: Size | MaxPoolOptions) {
    super();
    this.options = poolOptions<MaxPoolOptions>("MaxPool2d", options, maxKnown);
  }
  forward(x: Tensor): Tensor {
    return F.maxPool2d(x, this.options);
  }
}

/** The mean of each window: [B, C, T] -> [B, C, T']. Takes the kernel size or options. */
export class AvgPool1d extends Module {
  readonly options: AvgPoolOptions;
  constructor(options: Size | AvgPoolOptions) {
    super();
    this.options = poolOptions<AvgPoolOptions>("AvgPool1d", options, avgKnown);
  }
  forward(x: Tensor): Tensor {
    return F.avgPool1d(x, this.options);
  }
}

/** The mean of each window: [B, C, H, W] -> [B, C, H', W']. Takes the kernel size or options. */
export class AvgPool2d extends Module {
  readonly options: AvgPoolOptions;
  constructor(options: Size | AvgPoolOptions) {
    super();
    this.options = poolOptions<AvgPoolOptions>("AvgPool2d", options, avgKnown);
  }
  forward(x: Tensor): Tensor {
    return F.avgPool2d(x, this.options);
  }
}

/** Means over windows chosen so that the output has the given length: [B, C, T] -> [B, C, outputSize]. */
export class AdaptiveAvgPool1d extends Module {
  constructor(readonly outputSize: number) {
    super();
  }
  forward(x: Tensor): Tensor {
    return F.adaptiveAvgPool1d(x, this.outputSize);
  }
}

/**
 * Means over windows chosen so that the output has the given size: [B, C, H, W] -> [B, C, ...outputSize].
 * @example
 * new nn.AdaptiveAvgPool2d(1).forward(x); // the mean of every channel, [B, C, 1, 1]
 */
export class AdaptiveAvgPool2d extends Module {
  constructor(readonly outputSize: number | readonly [number, number]) {
    super();
  }
  forward(x: Tensor): Tensor {
    return F.adaptiveAvgPool2d(x, this.outputSize);
  }
}
