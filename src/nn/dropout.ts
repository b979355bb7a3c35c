import { checkNumber } from "../base/index.js";
import type { Tensor } from "../graph/index.js";
import { F } from "../ops/index.js";
import { Module } from "./module.js";

/**
 * In training, sets each value to 0 with probability p and scales the others by 1 / (1 - p); otherwise passes its input on
 * (Srivastava et al., "Dropout", 2014).
 * @example
 * new nn.Dropout(0.1).forward(x);
 */
export class Dropout extends Module {
  constructor(readonly p = 0.5) {
    super();
    checkNumber("Dropout", "p", p, { min: 0, max: 1 });
  }
  forward(x: Tensor): Tensor {
    return F.dropout(x, { p: this.p, training: this.training });
  }
}

/** Dropout of whole channels of [B, C, H, W] (Tompson et al., "Efficient object localization using convolutional networks", 2015). */
export class Dropout2d extends Module {
  constructor(readonly p = 0.5) {
    super();
    checkNumber("Dropout2d", "p", p, { min: 0, max: 1 });
  }
  forward(x: Tensor): Tensor {
    return F.dropout2d(x, { p: this.p, training: this.training });
  }
}
