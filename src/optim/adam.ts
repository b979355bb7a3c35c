import { defineOp, recordMany, type Tensor } from "../graph/index.js";
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

type AdamAttrs = { readonly beta2: number; readonly eps: number };

/**
 * [p, g, m, v, 1 - b1, sqrt(1 - b2^t), lr / (1 - b1^t), largest v?] -> [m, v, largest v?, p]:
 * m <- m + (1 - b1)(g - m), v <- b2 v + (1 - b2) g^2, p <- p - lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps).
 * One node per parameter, which the compiler takes apart and fuses with what gives the gradient.
 */
const adamOp = defineOp<AdamAttrs>({
  name: "adam",
  trait: "opaque",
  infer: ([p, , m, v, , , , ...largest]) => [m, v, ...largest, p].map(({ shape, dtype }) => ({ shape, dtype })),
  composite: ([p, g, m, v, weight, correction, rate, largest], { beta2, eps }) => {
    const [mean, square] = [lerp(m, g, weight), lerpSquare(v, g, beta2)];
    const most = largest === undefined ? square : maximum(largest, square);
    const step = mul(div(mean, add(div(sqrt(most), correction), eps)), rate);
    return [mean, square, ...(largest === undefined ? [] : [most]), sub(p, step)];
  },
});

function adamStep(update: Update<AdamOptions>, param: Tensor, grad: Tensor): Tensor {
  const { group, number, tensor } = update;
  const { betas, eps, amsgrad } = group;
  const [m, v, ...largest] = ["exp_avg", "exp_avg_sq", ...(amsgrad ? ["max_exp_avg_sq"] : [])].map((name) => tensor(name));
  const correction = number(() => Math.sqrt(1 - group.betas[1] ** update.step));
  const rate = number(() => group.lr / (1 - group.betas[0] ** update.step));
  const values = recordMany(adamOp, [param, grad, m, v, number(() => 1 - group.betas[0]), correction, rate, ...largest], { beta2: betas[1], eps });
  [m, v, ...largest].forEach((tensor, i) => assign(tensor, values[i]));
  return values[values.length - 1];
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
