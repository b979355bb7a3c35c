import type { Tensor } from "../graph/index.js";
import { assign, mul, sign, sub } from "../ops/index.js";
import { checkAtLeastZero, checkBetas, decayed, lerp } from "./math.js";
import { Optimizer, type BaseOptions, type ParamsInput, type Update } from "./optimizer.js";

/** Options of {@link Lion}. */
export interface LionOptions extends BaseOptions {
  /** Share of the momentum in the direction, and its decay. Default: [0.9, 0.99]. */
  betas: readonly [number, number];
  /** Weight decay apart from the gradient. Default: 0. */
  weightDecay: number;
  /** Default: false. */
  maximize: boolean;
}

/**
 * Steps of one size in the direction of the signs (Chen et al., "Symbolic discovery of optimization algorithms", 2023):
 * p <- (1 - lr lambda) p - lr sign(b1 m + (1 - b1) g), m <- b2 m + (1 - b2) g. Default lr: 1e-4 (3 to 10 times smaller than Adam's).
 */
export class Lion extends Optimizer<LionOptions> {
  constructor(params: ParamsInput<LionOptions>, options: Partial<LionOptions> = {}) {
    super(params, { lr: 1e-4, betas: [0.9, 0.99], weightDecay: 0, maximize: false }, options);
  }
  protected override checkGroup(group: LionOptions): void {
    checkBetas("Lion", group.betas);
    checkAtLeastZero("Lion", group, ["weightDecay"]);
  }
  protected update(update: Update<LionOptions>): Tensor {
    const { grad, group, number, tensor } = update;
    const m = tensor("exp_avg");
    const direction = sign(lerp(m, grad, number(() => 1 - group.betas[0])));
    assign(m, lerp(m, grad, 1 - group.betas[1]));
    return sub(decayed(update), mul(direction, number(() => group.lr)));
  }
}
