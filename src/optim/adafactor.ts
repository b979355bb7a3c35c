import { checkNumber, GraftError } from "../base/index.js";
import type { Tensor } from "../graph/index.js";
import { assign, div, maximum, mean, mul, rsqrt, sqrt, square, sub } from "../ops/index.js";
import { decayed, lerp } from "./math.js";
import { Optimizer, type BaseOptions, type ParamsInput, type Update } from "./optimizer.js";

/** Options of {@link Adafactor}. */
export interface AdafactorOptions extends BaseOptions {
  /** The second moment decays with 1 - t^beta2Decay. Default: -0.8. */
  beta2Decay: number;
  /** Bounds: of the root of the second moment (null: the dtype's spacing at 1) and of the parameter's size. Default: [null, 1e-3]. */
  eps: readonly [number | null, number];
  /** Largest root mean square of an update. Default: 1. */
  d: number;
  /** Weight decay apart from the gradient. Default: 0. */
  weightDecay: number;
  /** Default: false. */
  maximize: boolean;
}

/**
 * Adam-like steps with a second moment kept as one row and one column per matrix (Shazeer and Stern, "Adafactor: adaptive learning rates with
 * sublinear memory cost", 2018), in PyTorch's variant: lr bounds the relative step size min(lr, 1 / sqrt(t)). Default lr: 0.01.
 */
export class Adafactor extends Optimizer<AdafactorOptions> {
  constructor(params: ParamsInput<AdafactorOptions>, options: Partial<AdafactorOptions> = {}) {
    super(params, { lr: 1e-2, beta2Decay: -0.8, eps: [null, 1e-3], d: 1, weightDecay: 0, maximize: false }, options);
  }
  protected override checkGroup(group: AdafactorOptions): void {
    checkNumber("Adafactor", "beta2Decay", group.beta2Decay, { max: 0 });
    checkNumber("Adafactor", "d", group.d, { min: 1 });
    checkNumber("Adafactor", "weightDecay", group.weightDecay, { min: 0 });
    if (!(group.eps[0] === null || group.eps[0] >= 0) || !(group.eps[1] >= 0)) throw new GraftError("argument", `Adafactor: eps is ${group.eps.join(", ")}. Use numbers of 0 or more; the first may be null.`);
  }

  protected update(update: Update<AdafactorOptions>): Tensor {
    const { param, grad, group, number } = update;
    const { eps, d } = group;
    const least = eps[0] ?? (param.dtype === "f64" ? 2 ** -52 : 2 ** -23);
    const rootMeanSquare = (x: Tensor): Tensor => sqrt(mean(square(x)));
    const rate = mul(maximum(rootMeanSquare(param), eps[1]), number(() => Math.min(group.lr, 1 / Math.sqrt(update.step)))); // alpha = max(eps2, RMS(p)) min(lr, 1 / sqrt(t))
    const estimate = this.secondMoment(update, number(() => update.step ** group.beta2Decay), least);
    const direction = mul(rsqrt(maximum(estimate, least * least)), grad);
    const clipped = div(rate, maximum(div(rootMeanSquare(direction), d), 1));
    return sub(decayed(update), mul(direction, clipped));
  }

  /** The running second moment; for matrices the product of row and column means over the mean of all. */
  private secondMoment({ grad, tensor }: Update<AdafactorOptions>, share: Tensor, least: number): Tensor {
    if (grad.ndim < 2) {
      const variance = tensor("variance");
      assign(variance, lerp(variance, square(grad), share));
      return variance;
    }
    const shape = (dim: number): number[] => grad.shape.map((n, d) => (d === grad.ndim + dim ? 1 : n));
    const [rows, cols] = [tensor("row_var", 0, shape(-1)), tensor("col_var", 0, shape(-2))];
    assign(rows, lerp(rows, mean(square(grad), { dim: -1, keepdim: true }), share));
    assign(cols, lerp(cols, mean(square(grad), { dim: -2, keepdim: true }), share));
    return div(mul(rows, cols), maximum(mean(rows, { dim: -2, keepdim: true }), least));
  }
}
