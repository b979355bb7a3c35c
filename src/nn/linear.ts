import { checkOptions } from "../base/index.js";
import type { Tensor } from "../graph/index.js";
import { F } from "../ops/index.js";
import { checkSize, uniformParameter } from "./fresh.js";
import { Module } from "./module.js";
import type { Parameter } from "./parameter.js";

/** Passes its input on. */
export class Identity extends Module {
  forward(x: Tensor): Tensor {
    return x;
  }
}

/** Options of {@link Linear} and {@link Bilinear}. */
export interface LinearOptions {
  /** Adds a learnt bias. Default: true. */
  readonly bias?: boolean;
}

/**
 * y = x W^T + b for x [..., in]; `weight` is [out, in], `bias` [out], both uniform in +-1/sqrt(in) at the start.
 * @example
 * new nn.Linear(784, 10).forward(x); // [B, 784] -> [B, 10]
 */
export class Linear extends Module {
  weight: Parameter;
  bias: Parameter | null;

  constructor(
    readonly inFeatures: number,
    readonly outFeatures: number,
    options: LinearOptions = {},
  ) {
    super();
    checkOptions("Linear", options, ["bias"]);
    checkSize("Linear", "inFeatures", inFeatures, 0);
    checkSize("Linear", "outFeatures", outFeatures, 0);
    const bound = inFeatures > 0 ? 1 / Math.sqrt(inFeatures) : 0; // kaiming uniform with a = sqrt(5): sqrt(3) * sqrt(2 / 6) / sqrt(in)
    this.weight = uniformParameter([outFeatures, inFeatures], bound);
    this.bias = (options.bias ?? true) ? uniformParameter([outFeatures], bound) : null;
  }

  forward(x: Tensor): Tensor {
    return F.linear(x, this.weight, this.bias);
  }
}

/**
 * y_k = a W_k b^T + bias_k for a [..., in1], b [..., in2]; `weight` is [out, in1, in2], uniform in +-1/sqrt(in1) at the start.
 * @example
 * new nn.Bilinear(20, 30, 40).forward(a, b); // [B, 20], [B, 30] -> [B, 40]
 */
export class Bilinear extends Module {
  weight: Parameter;
  bias: Parameter | null;

  constructor(
    readonly in1Features: number,
    readonly in2Features: number,
    readonly outFeatures: number,
    options: LinearOptions = {},
  ) {
    super();
    checkOptions("Bilinear", options, ["bias"]);
    const bound = 1 / Math.sqrt(checkSize("Bilinear", "in1Features", in1Features));
    this.weight = uniformParameter([checkSize("Bilinear", "outFeatures", outFeatures), in1Features, checkSize("Bilinear", "in2Features", in2Features)], bound);
    this.bias = (options.bias ?? true) ? uniformParameter([outFeatures], bound) : null;
  }

  forward(a: Tensor, b: Tensor): Tensor {
    return F.bilinear(a, b, this.weight, this.bias);
  }
}
