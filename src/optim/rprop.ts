import { GraftError } from "../base/index.js";
import type { Tensor } from "../graph/index.js";
import { assign, gt, lt, maximum, minimum, mul, sign, sub, where } from "../ops/index.js";
import { Optimizer, type BaseOptions, type ParamsInput, type Update } from "./optimizer.js";

/** Options of {@link Rprop}. */
export interface RpropOptions extends BaseOptions {
  /** Factors of a step size when the gradient's sign turns, and when it stays. Default: [0.5, 1.2]. */
  etas: readonly [number, number];
  /** Bounds of the step sizes. Default: [1e-6, 50]. */
  stepSizes: readonly [number, number];
  /** Default: false. */
  maximize: boolean;
}

/**
 * Resilient backpropagation: every weight has a step size, which grows while its gradient keeps its sign (Riedmiller and Braun, "A direct adaptive
 * method for faster backpropagation learning: the RPROP algorithm", 1993). For full batches. Default lr (first step size): 0.01.
 */
export class Rprop extends Optimizer<RpropOptions> {
  constructor(params: ParamsInput<RpropOptions>, options: Partial<RpropOptions> = {}) {
    super(params, { lr: 1e-2, etas: [0.5, 1.2], stepSizes: [1e-6, 50], maximize: false }, options);
  }
  protected override checkGroup({ etas, stepSizes }: RpropOptions): void {
    if (!(etas[0] > 0 && etas[0] < 1 && etas[1] > 1)) throw new GraftError("argument", `Rprop: etas are ${etas.join(", ")}. Use 0 < etas[0] < 1 < etas[1].`);
    if (!(stepSizes[0] > 0 && stepSizes[0] <= stepSizes[1])) throw new GraftError("argument", `Rprop: stepSizes are ${stepSizes.join(", ")}. Use 0 < stepSizes[0] <= stepSizes[1].`);
  }
  protected update({ param, grad, group, tensor }: Update<RpropOptions>): Tensor {
    const { lr, etas, stepSizes } = group;
    const [previous, size] = [tensor("prev"), tensor("step_size", lr)];
    const agreement = mul(grad, previous);
    const turned = lt(agreement, 0);
    const factor = where(turned, etas[0], where(gt(agreement, 0), etas[1], 1));
    assign(size, minimum(maximum(mul(size, factor), stepSizes[0]), stepSizes[1]));
    const kept = where(turned, 0, grad); // after a turn the weight rests for one step
    assign(previous, kept);
    return sub(param, mul(sign(kept), size));
  }
}
