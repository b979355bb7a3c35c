import { GraftError } from "../base/index.js";
import type { Tensor } from "../graph/index.js";
import { add, assign, mul, sub } from "../ops/index.js";
import { checkAtLeastZero, withDecay } from "./math.js";
import { Optimizer, type BaseOptions, type ParamsInput, type Update } from "./optimizer.js";

/** Options of {@link SGD}. */
export interface SGDOptions extends BaseOptions {
  /** Default: 0. */
  momentum: number;
  /** Share of the gradient that does not enter the momentum. Default: 0. */
  dampening: number;
  /** L2 regularisation. Default: 0. */
  weightDecay: number;
  /** Looks ahead by the momentum (Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013). Default: false. */
  nesterov: boolean;
  /** Goes up instead of down. Default: false. */
  maximize: boolean;
}

/**
 * Stochastic gradient descent: W <- W - lr dW; with momentum b <- mu b + (1 - dampening) dW (b = dW at the first step), W <- W - lr b.
 * @example
 * new optim.SGD(model.parameters(), { lr: 0.1, momentum: 0.9, nesterov: true });
 */
export class SGD extends Optimizer<SGDOptions> {
  constructor(params: ParamsInput<SGDOptions>, options: Partial<SGDOptions> = {}) {
    super(params, { lr: 1e-3, momentum: 0, dampening: 0, weightDecay: 0, nesterov: false, maximize: false }, options);
  }

  protected override checkGroup(group: SGDOptions): void {
    checkAtLeastZero("SGD", group, ["momentum", "weightDecay"]);
    if (group.nesterov && (group.momentum <= 0 || group.dampening !== 0)) throw new GraftError("argument", `SGD: nesterov needs a momentum above 0 and no dampening, but momentum is ${group.momentum} and dampening ${group.dampening}.`);
  }

  protected update(update: Update<SGDOptions>): Tensor {
    const { param, group, number, tensor } = update;
    const { momentum, dampening, nesterov } = group;
    let direction = withDecay(update);
    if (momentum !== 0) {
      const buffer = tensor("momentum_buffer");
      const entering = dampening === 0 ? direction : mul(direction, number(() => (update.step === 1 ? 1 : 1 - group.dampening))); // the buffer starts as the gradient itself
      assign(buffer, add(mul(buffer, number(() => (update.step === 1 ? 0 : group.momentum))), entering));
      direction = nesterov ? add(direction, mul(buffer, number(() => group.momentum))) : buffer;
    }
    return sub(param, mul(direction, number(() => group.lr)));
  }
}
