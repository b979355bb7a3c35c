import type { Shape, Tensor } from "../graph/index.js";
import { F } from "../ops/index.js";
import { Module } from "./module.js";

/**
 * Merges dims `startDim` (default 1) to `endDim` (default the last) into one.
 * @example
 * new nn.Flatten().forward(x); // [B, C, H, W] -> [B, C * H * W]
 */
export class Flatten extends Module {
  constructor(
    readonly startDim = 1,
    readonly endDim = -1,
  ) {
    super();
  }
  forward(x: Tensor): Tensor {
    return F.flatten(x, this.startDim, this.endDim);
  }
}

/**
 * Splits one dim into several.
 * @example
 * new nn.Unflatten(1, [2, 5]).forward(x); // [B, 10] -> [B, 2, 5]
 */
export class Unflatten extends Module {
  constructor(
    readonly dim: number,
    readonly sizes: Shape,
  ) {
    super();
  }
  forward(x: Tensor): Tensor {
    const dim = this.dim < 0 ? this.dim + x.ndim : this.dim;
    return F.reshape(x, [...x.shape.slice(0, dim), ...this.sizes, ...x.shape.slice(dim + 1)]);
  }
}
