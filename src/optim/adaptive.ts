import { checkNumber } from "../base/index.js";
import type { Tensor } from "../graph/index.js";
import { add, assign, div, mul, sqrt, square, sub } from "../ops/index.js";
import { checkAtLeastZero, lerp, lerpSquare, withDecay } from "./math.js";
import { Optimizer, type BaseOptions, type ParamsInput, type Update } from "./optimizer.js";

/** Options of {@link RMSprop}. */
export interface RMSpropOptions extends BaseOptions {
  /** Decay of the running mean of squares. Default: 0.99. */
  alpha: number;
  /** Default: 1e-8. */
  eps: number;
  /** L2 regularisation. Default: 0. */
  weightDecay: number;
  /** Default: 0. */
  momentum: number;
  /** Subtracts the squared running mean, so that the variance divides (Graves 2013). Default: false. */
  centered: boolean;
  /** Default: false. */
  maximize: boolean;
}

/** v <- a v + (1 - a) g^2, p <- p - lr g / (sqrt(v) + eps) (Tieleman and Hinton, lecture 6.5, 2012). Default lr: 0.01. */
export class RMSprop extends Optimizer<RMSpropOptions> {
  constructor(params: ParamsInput<RMSpropOptions>, options: Partial<RMSpropOptions> = {}) {
    super(params, { lr: 1e-2, alpha: 0.99, eps: 1e-8, weightDecay: 0, momentum: 0, centered: false, maximize: false }, options);
  }
  protected override checkGroup(group: RMSpropOptions): void {
    checkAtLeastZero("RMSprop", group, ["alpha", "eps", "weightDecay", "momentum"]);
  }
  protected update(update: Update<RMSpropOptions>): Tensor {
    const { param, group, number, tensor } = update;
    const { alpha, eps, momentum, centered } = group;
    const grad = withDecay(update);
    const v = tensor("square_avg");
    assign(v, lerpSquare(v, grad, alpha));
    let variance = v;
    if (centered) {
      const mean = tensor("grad_avg");
      assign(mean, lerp(mean, grad, 1 - alpha));
      variance = sub(v, square(mean));
    }
    let direction = div(grad, add(sqrt(variance), eps));
    if (momentum > 0) {
      const buffer = tensor("momentum_buffer");
      assign(buffer, add(mul(buffer, number(() => group.momentum)), direction));
      direction = buffer;
    }
    return sub(param, mul(direction, number(() => group.lr)));
  }
}

/** Options of {@link Adagrad}. */
export interface AdagradOptions extends BaseOptions {
  /** The rate falls as lr / (1 + (t - 1) lrDecay). Default: 0. */
  lrDecay: number;
  /** L2 regularisation. Default: 0. */
  weightDecay: number;
  /** Start of the sum of squares. Default: 0. */
  initialAccumulatorValue: number;
  /** Default: 1e-10. */
  eps: number;
  /** Default: false. */
  maximize: boolean;
}

/** s <- s + g^2, p <- p - lr g / (sqrt(s) + eps) (Duchi et al., "Adaptive subgradient methods", 2011). Default lr: 0.01. */
export class Adagrad extends Optimizer<AdagradOptions> {
  constructor(params: ParamsInput<AdagradOptions>, options: Partial<AdagradOptions> = {}) {
    super(params, { lr: 1e-2, lrDecay: 0, weightDecay: 0, initialAccumulatorValue: 0, eps: 1e-10, maximize: false }, options);
  }
  protected override checkGroup(group: AdagradOptions): void {
    checkAtLeastZero("Adagrad", group, ["lrDecay", "weightDecay", "initialAccumulatorValue", "eps"]);
  }
  protected update(update: Update<AdagradOptions>): Tensor {
    const { param, group, number, tensor } = update;
    const { initialAccumulatorValue, eps } = group;
    const grad = withDecay(update);
    const sum = tensor("sum", initialAccumulatorValue);
    assign(sum, add(sum, square(grad)));
    return sub(param, mul(div(grad, add(sqrt(sum), eps)), number(() => group.lr / (1 + (update.step - 1) * group.lrDecay))));
  }
}

/** Options of {@link Adadelta}. */
export interface AdadeltaOptions extends BaseOptions {
  /** Decay of both running means. Default: 0.9. */
  rho: number;
  /** Default: 1e-6. */
  eps: number;
  /** L2 regularisation. Default: 0. */
  weightDecay: number;
  /** Default: false. */
  maximize: boolean;
}

/** Steps scaled by the ratio of the running sizes of steps and gradients (Zeiler, "ADADELTA: an adaptive learning rate method", 2012). Default lr: 1. */
export class Adadelta extends Optimizer<AdadeltaOptions> {
  constructor(params: ParamsInput<AdadeltaOptions>, options: Partial<AdadeltaOptions> = {}) {
    super(params, { lr: 1, rho: 0.9, eps: 1e-6, weightDecay: 0, maximize: false }, options);
  }
  protected override checkGroup(group: AdadeltaOptions): void {
    checkNumber("Adadelta", "rho", group.rho, { min: 0, max: 1 });
    checkAtLeastZero("Adadelta", group, ["eps", "weightDecay"]);
  }
  protected update(update: Update<AdadeltaOptions>): Tensor {
    const { param, group, number, tensor } = update;
    const { rho, eps } = group;
    const grad = withDecay(update);
    const [v, steps] = [tensor("square_avg"), tensor("acc_delta")];
    assign(v, lerpSquare(v, grad, rho));
    const delta = mul(div(sqrt(add(steps, eps)), sqrt(add(v, eps))), grad); // sqrt(E[step^2] + eps) / sqrt(E[g^2] + eps) * g
    assign(steps, lerpSquare(steps, delta, rho));
    return sub(param, mul(delta, number(() => group.lr)));
  }
}
