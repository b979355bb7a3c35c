import { checkChoice, checkOptions, GraftError } from "../base/index.js";
import { sizeOf, type Tensor } from "../graph/index.js";
import { F } from "../ops/index.js";
import { checkGroups, perDim, uniformParameter } from "./fresh.js";
import { Module } from "./module.js";
import type { Parameter } from "./parameter.js";

/** A size for all spatial dims, or one per dim. */
export type Size = number | readonly number[];

/** Options of the convolution layers. */
export interface ConvOptions {
  readonly kernelSize: Size;
  /** Default: 1. */
  readonly stride?: Size;
  /** Zeros around the input, or `"same"` (output as large as the input, stride 1) or `"valid"` (none). Default: 0. */
  readonly padding?: Size | "same" | "valid";
  /** Distance between kernel elements. Default: 1. */
  readonly dilation?: Size;
  /** Channels are cut into this many groups that do not see each other. Default: 1. */
  readonly groups?: number;
  /** Default: true. */
  readonly bias?: boolean;
  /** What stands outside the image. Default: zeros. */
  readonly paddingMode?: "zeros" | "reflect" | "replicate" | "circular";
}

const known = ["kernelSize", "stride", "padding", "dilation", "groups", "bias", "paddingMode"] as const;

/** What the three convolutions share; `weight` is [out, in / groups, ...kernel], uniform in +-1/sqrt(in / groups * kernel elements) at the start. */
abstract class Conv extends Module {
  weight: Parameter;
  bias: Parameter | null;
  readonly kernelSize: readonly number[];
  readonly stride: readonly number[];
  readonly padding: readonly number[] | "same" | "valid";
  readonly dilation: readonly number[];
  readonly groups: number;
  readonly paddingMode: NonNullable<ConvOptions["paddingMode"]>;

  constructor(
    protected readonly dims: 1 | 2 | 3,
    readonly inChannels: number,
    readonly outChannels: number,
    options: ConvOptions,
  ) {
    super();
    const name = `Conv${dims}d`;
    checkOptions(name, options, known);
    this.groups = checkGroups(name, inChannels, outChannels, options.groups ?? 1);
    this.kernelSize = perDim(name, "kernelSize", options.kernelSize, dims, 1);
    this.stride = perDim(name, "stride", options.stride ?? 1, dims, 1);
    this.dilation = perDim(name, "dilation", options.dilation ?? 1, dims, 1);
    const padding = options.padding ?? 0;
    this.padding = typeof padding === "string" ? checkChoice<"same" | "valid">(name, "padding", padding, ["same", "valid"]) : perDim(name, "padding", padding, dims, 0);
    if (this.padding === "same" && this.stride.some((s) => s !== 1)) throw new GraftError("argument", `${name}: padding "same" needs stride 1, not ${this.stride.join(", ")}. Give the padding as numbers.`);
    this.paddingMode = checkChoice(name, "paddingMode", options.paddingMode ?? "zeros", ["zeros", "reflect", "replicate", "circular"]);
    const shape = [outChannels, inChannels / this.groups, ...this.kernelSize];
    const bound = 1 / Math.sqrt(sizeOf(shape.slice(1)));
    this.weight = uniformParameter(shape, bound);
    this.bias = (options.bias ?? true) ? uniformParameter([outChannels], bound) : null;
  }

  /** Pads by copying values, for the modes that the convolution itself does not know. */
  private pads(): number[] {
    return Array.from({ length: this.dims }, (_, i) => this.dims - 1 - i).flatMap((d) => {
      if (this.padding === "valid") return [0, 0];
      if (this.padding !== "same") return [this.padding[d], this.padding[d]];
      const total = this.dilation[d] * (this.kernelSize[d] - 1);
      return [Math.floor(total / 2), total - Math.floor(total / 2)];
    });
  }

  forward(x: Tensor): Tensor {
    const outside = this.paddingMode !== "zeros";
    const input = outside ? F.pad(x, this.pads(), { mode: this.paddingMode as "reflect" | "replicate" | "circular" }) : x;
    const options = { stride: this.stride, padding: outside ? 0 : this.padding, dilation: this.dilation, groups: this.groups };
    return this.convolve(input, this.weight, this.bias, options);
  }

  protected abstract convolve(x: Tensor, weight: Tensor, bias: Tensor | null, options: { stride: readonly number[]; padding: Size | "same" | "valid"; dilation: readonly number[]; groups: number }): Tensor;
}

/**
 * Convolution over sequences: [B, in, T] -> [B, out, T'].
 * @example
 * new nn.Conv1d(16, 32, { kernelSize: 3, padding: 1 }).forward(x); // [B, 16, T] -> [B, 32, T]
 */
export class Conv1d extends Conv {
  constructor(inChannels: number, outChannels: number, options: ConvOptions) {
    super(1, inChannels, outChannels, options);
  }
  protected convolve(...[x, weight, bias, options]: Parameters<Conv["convolve"]>): Tensor {
    return F.conv1d(x, weight, bias, options);
  }
}

/**
 * Convolution over images: [B, in, H, W] -> [B, out, H', W'], H' = floor((H + 2 padding - dilation (kernel - 1) - 1) / stride) + 1.
 * @example
 * new nn.Conv2d(1, 32, { kernelSize: 3, padding: 1 }).forward(x); // [B, 1, 28, 28] -> [B, 32, 28, 28]
 */
export class Conv2d extends Conv {
  constructor(inChannels: number, outChannels: number, options: ConvOptions) {
    super(2, inChannels, outChannels, options);
  }
  protected convolve(...[x, weight, bias, options]: Parameters<Conv["convolve"]>): Tensor {
    return F.conv2d(x, weight, bias, options);
  }
}

/** Convolution over volumes: [B, in, D, H, W] -> [B, out, D', H', W']. */
export class Conv3d extends Conv {
  constructor(inChannels: number, outChannels: number, options: ConvOptions) {
    super(3, inChannels, outChannels, options);
  }
  protected convolve(...[x, weight, bias, options]: Parameters<Conv["convolve"]>): Tensor {
    return F.conv3d(x, weight, bias, options);
  }
}
