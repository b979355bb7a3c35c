import type { Tensor } from "../graph/index.js";
import { abs, add, assign, div, maximum, mul, sqrt, sub } from "../ops/index.js";
import { checkAtLeastZero, checkBetas, decayed, lerp, lerpSquare, withDecay } from "./math.js";
import { Optimizer, type BaseOptions, type ParamsInput, type Update } from "./optimizer.js";

/** Options of {@link Adamax}. */
export interface AdamaxOptions extends BaseOptions {
  /** Default: [0.9, 0.999]. */
  betas: readonly [number, number];
  /** Default: 1e-8. */
  eps: number;
  /** L2 regularisation. Default: 0. */
  weightDecay: number;
  /** Default: false. */
  maximize: boolean;
}

/** Adam with the infinity norm (Kingma and Ba 2015, section 7.1): u <- max(b2 u, |g| + eps), p <- p - lr / (1 - b1^t) * m / u. Default lr: 2e-3. */
export class Adamax extends Optimizer<AdamaxOptions> {
  constructor(params: ParamsInput<AdamaxOptions>, options: Partial<AdamaxOptions> = {}) {
    super(params, { lr: 2e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0, maximize: false }, options);
  }
  protected override checkGroup(group: AdamaxOptions): void {
    checkBetas("Adamax", group.betas);
    checkAtLeastZero("Adamax", group, ["eps", "weightDecay"]);
  }
  protected update(update: Update<AdamaxOptions>): Tensor {
    const { param, group, number, tensor } = update;
    const { betas, eps } = group;
    const grad = withDecay(update);
    const [m, u] = [tensor("exp_avg"), tensor("exp_inf")];
    assign(m, lerp(m, grad, number(() => 1 - group.betas[0])));
    assign(u, maximum(mul(u, betas[1]), add(abs(grad), eps)));
    return sub(param, mul(div(m, u), number(() => group.lr / (1 - group.betas[0] ** update.step))));
  }
}

/** Options of {@link NAdam}. */
export interface NAdamOptions extends AdamaxOptions {
  /** Default: 4e-3. */
  momentumDecay: number;
  /** Weight decay apart from the gradient. Default: false. */
  decoupledWeightDecay: boolean;
}

/**
 * Adam with Nesterov momentum (Dozat, "Incorporating Nesterov momentum into Adam", 2016). Default lr: 2e-3.
 * mu_t = b1 (1 - 0.96^(t psi) / 2); p <- p - lr ((1 - mu_t) / (1 - prod mu) g + mu_(t+1) / (1 - prod mu mu_(t+1)) m) / (sqrt(v / (1 - b2^t)) + eps)
 */
export class NAdam extends Optimizer<NAdamOptions> {
  constructor(params: ParamsInput<NAdamOptions>, options: Partial<NAdamOptions> = {}) {
    super(params, { lr: 2e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0, momentumDecay: 4e-3, decoupledWeightDecay: false, maximize: false }, options);
  }
  protected override checkGroup(group: NAdamOptions): void {
    checkBetas("NAdam", group.betas);
    checkAtLeastZero("NAdam", group, ["eps", "weightDecay", "momentumDecay"]);
  }
  protected update(update: Update<NAdamOptions>): Tensor {
    const { group, state, number, tensor, everyStep } = update;
    const { betas, eps, decoupledWeightDecay } = group;
    const param = decoupledWeightDecay ? decayed(update) : update.param;
    const grad = decoupledWeightDecay ? update.grad : withDecay(update);
    const mu = (t: number): number => group.betas[0] * (1 - 0.5 * 0.96 ** (t * group.momentumDecay));
    everyStep(() => (state.mu_product = ((state.mu_product as number | undefined) ?? 1) * mu(update.step)));
    const product = (): number => state.mu_product as number;
    const [m, v] = [tensor("exp_avg"), tensor("exp_avg_sq")];
    assign(m, lerp(m, grad, number(() => 1 - group.betas[0])));
    assign(v, lerpSquare(v, grad, betas[1]));
    const denominator = add(sqrt(div(v, number(() => 1 - group.betas[1] ** update.step))), eps);
    const byGradient = mul(div(grad, denominator), number(() => (group.lr * (1 - mu(update.step))) / (1 - product())));
    const byMean = mul(div(m, denominator), number(() => (group.lr * mu(update.step + 1)) / (1 - product() * mu(update.step + 1))));
    return sub(sub(param, byGradient), byMean);
  }
}

/** Options of {@link RAdam}. */
export interface RAdamOptions extends AdamaxOptions {
  /** Weight decay apart from the gradient. Default: false. */
  decoupledWeightDecay: boolean;
}

/**
 * Adam whose adaptive rate is held back until its variance is known (Liu et al., "On the variance of the adaptive learning rate and beyond", 2020).
 * While rho_t <= 5 the step is lr m / (1 - b1^t); then it is multiplied by r_t sqrt(1 - b2^t) / (sqrt(v) + eps).
 */
export class RAdam extends Optimizer<RAdamOptions> {
  constructor(params: ParamsInput<RAdamOptions>, options: Partial<RAdamOptions> = {}) {
    super(params, { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0, decoupledWeightDecay: false, maximize: false }, options);
  }
  protected override checkGroup(group: RAdamOptions): void {
    checkBetas("RAdam", group.betas);
    checkAtLeastZero("RAdam", group, ["eps", "weightDecay"]);
  }
  protected update(update: Update<RAdamOptions>): Tensor {
    const { group, number, tensor } = update;
    const { betas, eps, decoupledWeightDecay } = group;
    const param = decoupledWeightDecay ? decayed(update) : update.param;
    const grad = decoupledWeightDecay ? update.grad : withDecay(update);
    const [m, v] = [tensor("exp_avg"), tensor("exp_avg_sq")];
    assign(m, lerp(m, grad, number(() => 1 - group.betas[0])));
    assign(v, lerpSquare(v, grad, betas[1]));
    // both forms of the step in one formula, so that one plan serves: m (plain + adaptive / (sqrt(v) + eps)), where one of the two is 0
    const rate = (): number => group.lr / (1 - group.betas[0] ** update.step);
    const plain = number(() => (rectification(group.betas[1], update.step) === 0 ? rate() : 0));
    const adaptive = number(() => rate() * Math.sqrt(1 - group.betas[1] ** update.step) * rectification(group.betas[1], update.step));
    return sub(param, mul(m, add(plain, div(adaptive, add(sqrt(v), eps)))));
  }
}

/** r_t of the paper; 0 while the variance of the adaptive rate is unknown (rho_t <= 5). */
function rectification(beta2: number, step: number): number {
  const limit = 2 / (1 - beta2) - 1; // rho_inf: the length of the average in the end
  const length = limit - (2 * step * beta2 ** step) / (1 - beta2 ** step); // rho_t: its length now
  return length <= 5 ? 0 : Math.sqrt(((length - 4) * (length - 2) * limit) / ((limit - 4) * (limit - 2) * length));
}
