import type { Tensor } from "../graph/index.js";
import { add, assign, div, maximum, mul, sqrt, sub } from "../ops/index.js";
import { checkAtLeastZero, checkBetas, decayed, lerp, lerpSquare, withDecay } from "./math.js";
import { Optimizer, type BaseOptions, type ParamsInput, type Update } from "./optimizer.js";

/** Options of {@link Adam} and {@link AdamW}. */
export interface AdamOptions extends BaseOptions {
  /** Decay of the running means of the gradient and of its square. Default: [0.9, 0.999]. */
  betas: readonly [number, number];
  /** Added to the denominator. Default: 1e-8. */
  eps: number;
  /** Default: 0 for Adam, 0.01 for AdamW. */
  weightDecay: number;
  /** Divides by the largest running square so far (Reddi et al., "On the convergence of Adam and beyond", 2018). Default: false. */
  amsgrad: boolean;
  /** Goes up instead of down. Default: false. */
  maximize: boolean;
}

/** m <- m + (1 - b1)(g - m), v <- b2 v + (1 - b2) g^2, p <- p - lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps) */
function adamStep(update: Update<AdamOptions>, param: Tensor, grad: Tensor): Tensor {
  const { group, number, tensor } = update;
  const { betas, eps, amsgrad } = group;
  const [m, v] = [tensor("exp_avg"), tensor("exp_avg_sq")];
  assign(m, lerp(m, grad, number(() => 1 - group.betas[0])));
  assign(v, lerpSquare(v, grad, betas[1]));
  let square = v;
  if (amsgrad) {
    const largest = tensor("max_exp_avg_sq");
    assign(largest, maximum(largest, v));
    square = largest;
  }
  const denominator = add(div(sqrt(square), number(() => Math.sqrt(1 - group.betas[1] ** update.step))), eps);
  return sub(param, mul(div(m, denominator), number(() => group.lr / (1 - group.betas[0] ** update.step))));
}

abstract class AdamBase extends Optimizer<AdamOptions> {
  protected override checkGroup(group: AdamOptions): void {
    checkBetas(this.constructor.name, group.betas);
    checkAtLeastZero(this.constructor.name, group, ["eps", "weightDecay"]);
  }
}

/**
 * Adam (Kingma and Ba, "Adam: a method for stochastic optimization", 2015); weight decay is part of the gradient.
 * @example
 * new optim.Adam(model.parameters(), { lr: 0.001 });
 */
export class Adam extends AdamBase {
  constructor(params: ParamsInput<AdamOptions>, options: Partial<AdamOptions> = {}) {
    super(params, { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0, amsgrad: false, maximize: false }, options);
  }
  protected update(update: Update<AdamOptions>): Tensor {
    return adamStep(update, update.param, withDecay(update));
  }
}

/**
 * Adam with weight decay apart from the gradient: p <- (1 - lr lambda) p first (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019).
 * @example
 * new optim.AdamW(model.parameters(), { lr: 3e-4, weightDecay: 0.1 });
 */
export class AdamW extends AdamBase {
  constructor(params: ParamsInput<AdamOptions>, options: Partial<AdamOptions> = {}) {
    super(params, { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 1e-2, amsgrad: false, maximize: false }, options);
  }
  protected update(update: Update<AdamOptions>): Tensor {
    return adamStep(update, decayed(update), update.grad);
  }
}
