import { checkOptions, GraftError } from "../base/index.js";
import { showShape, type Tensor } from "../graph/index.js";
import { F } from "../ops/index.js";
import { checkSize, constantParameter } from "./fresh.js";
import { normal } from "./init.js";
import type { LinearOptions } from "./linear.js";
import { Module } from "./module.js";
import type { Parameter } from "./parameter.js";

/**
 * y = x W + b with `weight` [in, out], the other way round than `Linear`: what GPT-2's files hold (Hugging Face calls it Conv1D). Normal with
 * standard deviation 0.02 at the start, the bias 0.
 * @example
 * new nn.TransposedLinear(768, 2304).forward(x); // [B, T, 768] -> [B, T, 2304]
 */
export class TransposedLinear extends Module {
  weight: Parameter;
  bias: Parameter | null;

  constructor(
    readonly inFeatures: number,
    readonly outFeatures: number,
    options: LinearOptions = {},
  ) {
    super();
    checkOptions("TransposedLinear", options, ["bias"]);
    this.weight = constantParameter([checkSize("TransposedLinear", "inFeatures", inFeatures), checkSize("TransposedLinear", "outFeatures", outFeatures)], 0);
    normal(this.weight, 0, 0.02);
    this.bias = (options.bias ?? true) ? constantParameter([outFeatures], 0) : null;
  }

  forward(x: Tensor): Tensor {
    if (x.shape[x.ndim - 1] !== this.inFeatures) throw new GraftError("shape", `TransposedLinear: x is ${showShape(x.shape)}, weight is ${showShape(this.weight.shape)} [in, out]. The last dim of x must be ${this.inFeatures}.`);
    const product = F.matmul(x, this.weight);
    return this.bias ? F.add(product, this.bias) : product;
  }
}
