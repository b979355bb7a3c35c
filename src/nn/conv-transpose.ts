import { checkOptions } from "../base/index.js";
import { sizeOf, type Tensor } from "../graph/index.js";
import { F } from "../ops/index.js";
import type { Size } from "./conv.js";
import { checkGroups, perDim, uniformParameter } from "./fresh.js";
import { Module } from "./module.js";
import type { Parameter } from "./parameter.js";

/** Options of the transposed convolutions. */
export interface ConvTransposeOptions {
  readonly kernelSize: Size;
  /** Default: 1. */
  readonly stride?: Size;
  /** Elements cut off at each side of the output. Default: 0. */
  readonly padding?: Size;
  /** Elements added at one side of the output; less than the stride or the dilation. Default: 0. */
  readonly outputPadding?: Size;
  /** Default: 1. */
  readonly groups?: number;
  /** Default: true. */
  readonly bias?: boolean;
  /** Default: 1. */
  readonly dilation?: Size;
}

const known = ["kernelSize", "stride", "padding", "outputPadding", "groups", "bias", "dilation"] as const;

/** What both share; `weight` is [in, out / groups, ...kernel], uniform in +-1/sqrt(out / groups * kernel elements) at the start. */
abstract class ConvTranspose extends Module {
  weight: Parameter;
  bias: Parameter | null;
  readonly kernelSize: readonly number[];
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly outputPadding: readonly number[];
  readonly dilation: readonly number[];
  readonly groups: number;

  constructor(
    dims: 1 | 2,
    readonly inChannels: number,
    readonly outChannels: number,
    options: ConvTransposeOptions,
  ) {
    super();
    const name = `ConvTranspose${dims}d`;
    checkOptions(name, options, known);
    this.groups = checkGroups(name, inChannels, outChannels, options.groups ?? 1);
    this.kernelSize = perDim(name, "kernelSize", options.kernelSize, dims, 1);
    this.stride = perDim(name, "stride", options.stride ?? 1, dims, 1);
    this.padding = perDim(name, "padding", options.padding ?? 0, dims, 0);
    this.outputPadding = perDim(name, "outputPadding", options.outputPadding ?? 0, dims, 0);
    this.dilation = perDim(name, "dilation", options.dilation ?? 1, dims, 1);
    const shape = [inChannels, outChannels / this.groups, ...this.kernelSize];
    const bound = 1 / Math.sqrt(sizeOf(shape.slice(1)));
    this.weight = uniformParameter(shape, bound);
    this.bias = (options.bias ?? true) ? uniformParameter([outChannels], bound) : null;
  }

  protected get settings(): { stride: readonly number[]; padding: readonly number[]; outputPadding: readonly number[]; dilation: readonly number[]; groups: number } {
    return { stride: this.stride, padding: this.padding, outputPadding: this.outputPadding, dilation: this.dilation, groups: this.groups };
  }
}

/** The gradient of Conv1d as a layer: [B, in, T] -> [B, out, T'], T' = (T - 1) stride - 2 padding + dilation (kernel - 1) + outputPadding + 1. */
export class ConvTranspose1d extends ConvTranspose {
  constructor(inChannels: number, outChannels: number, options: ConvTransposeOptions) {
    super(1, inChannels, outChannels, options);
  }
  forward(x: Tensor): Tensor {
    return F.convTranspose1d(x, this.weight, this.bias, this.settings);
  }
}

/**
 * The gradient of Conv2d as a layer, which makes images larger: [B, in, H, W] -> [B, out, H', W'].
 * @example
 * new nn.ConvTranspose2d(32, 16, { kernelSize: 2, stride: 2 }).forward(x); // [B, 32, 7, 7] -> [B, 16, 14, 14]
 */
export class ConvTranspose2d extends ConvTranspose {
  constructor(inChannels: number, outChannels: number, options: ConvTransposeOptions) {
    super(2, inChannels, outChannels, options);
  }
  forward(x: Tensor): Tensor {
    return F.convTranspose2d(x, this.weight, this.bias, this.settings);
  }
}
