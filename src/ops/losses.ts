import { checkChoice, checkNumber, checkOptions, GraftError } from "../base/index.js";
import { sameShape, showShape, Tensor } from "../graph/index.js";
import { clamp } from "./activations.js";
import { xlogy } from "./arithmetic.js";
import { lossPair, reduceLoss, type LossOptions, type Reduction } from "./loss-reduction.js";
import { reshape } from "./movement.js";
import { asTensor, scalar, toFloat } from "./operand.js";
import { detach } from "./identity.js";
import { sum } from "./reduce.js";
import { abs, add, div, exp, gt, le, log, lt, mul, square, sub, where } from "./scalar.js";

/**
 * Mean of (input - target)^2.
 * @throws GraftError `shape` unless the shapes are equal.
 * @example F.mseLoss(prediction, target); // "mean"; { reduction: "sum" } or "none" otherwise
 */
export function mseLoss(input: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  checkOptions("mseLoss", options, ["reduction"]);
  const [x, y] = lossPair("mseLoss", input, target);
  return reduceLoss("mseLoss", square(sub(x, y)), options.reduction);
}

/**
 * Mean of |input - target|; the gradient where they are equal is 0.
 * @throws GraftError `shape` unless the shapes are equal.
 * @example F.l1Loss(prediction, target);
 */
export function l1Loss(input: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  checkOptions("l1Loss", options, ["reduction"]);
  const [x, y] = lossPair("l1Loss", input, target);
  return reduceLoss("l1Loss", abs(sub(x, y)), options.reduction);
}

/**
 * d^2 / (2 beta) where d = |input - target| < beta, else d - beta / 2 (Girshick, 2015). `beta` is 1 by default; 0 gives the L1 loss.
 * @throws GraftError `shape` unless the shapes are equal.
 * @example F.smoothL1Loss(prediction, target, { beta: 0.5 });
 */
export function smoothL1Loss(input: Tensor, target: Tensor, options: LossOptions & { readonly beta?: number } = {}): Tensor {
  checkOptions("smoothL1Loss", options, ["reduction", "beta"]);
  const [x, y] = lossPair("smoothL1Loss", input, target);
  const beta = checkNumber("smoothL1Loss", "beta", options.beta ?? 1, { min: 0 });
  const difference = sub(x, y);
  const size = abs(difference);
  const values = beta === 0 ? size : where(lt(size, beta), mul(square(difference), 0.5 / beta), sub(size, 0.5 * beta));
  return reduceLoss("smoothL1Loss", values, options.reduction);
}

/**
 * d^2 / 2 where d = |input - target| <= delta, else delta (d - delta / 2) (Huber, 1964). `delta` is 1 by default.
 * @throws GraftError `shape` unless the shapes are equal.
 * @example F.huberLoss(prediction, target, { delta: 2 });
 */
export function huberLoss(input: Tensor, target: Tensor, options: LossOptions & { readonly delta?: number } = {}): Tensor {
  checkOptions("huberLoss", options, ["reduction", "delta"]);
  const [x, y] = lossPair("huberLoss", input, target);
  const delta = checkNumber("huberLoss", "delta", options.delta ?? 1, { above: 0 });
  const difference = sub(x, y);
  const size = abs(difference);
  const values = where(le(size, delta), mul(square(difference), 0.5), mul(sub(size, 0.5 * delta), delta));
  return reduceLoss("huberLoss", values, options.reduction);
}

/** Options of {@link klDiv}. */
export interface KlDivOptions {
  /** "batchmean" divides the sum by the size of dim 0: the divergence per sample. */
  readonly reduction?: Reduction | "batchmean";
  /** The target holds log-probabilities too. */
  readonly logTarget?: boolean;
}

/**
 * Kullback-Leibler divergence, element by element t (ln t - input), of a target distribution t from `input`, which holds log-probabilities.
 * @throws GraftError `shape` unless the shapes are equal.
 * @example F.klDiv(F.logSoftmax(logits, -1), teacher, { reduction: "batchmean" });
 */
export function klDiv(input: Tensor, target: Tensor, options: KlDivOptions = {}): Tensor {
  checkOptions("klDiv", options, ["reduction", "logTarget"]);
  const reduction = checkChoice("klDiv", "reduction", options.reduction ?? "mean", ["none", "mean", "sum", "batchmean"]);
  const [x, t] = lossPair("klDiv", input, target);
  const values = options.logTarget ? mul(exp(t), sub(t, x)) : sub(xlogy(t, t), mul(t, x));
  if (reduction !== "batchmean") return reduceLoss("klDiv", values, reduction);
  return x.ndim === 0 ? values : mul(sum(values), 1 / Math.max(1, x.shape[0]));
}

/** Options of {@link poissonNllLoss}. */
export interface PoissonNllOptions extends LossOptions {
  /** The input is the logarithm of the rate (default); otherwise the rate itself. */
  readonly logInput?: boolean;
  /** Adds Stirling's approximation of ln(target!) for targets above 1. */
  readonly full?: boolean;
  /** Keeps ln(rate) finite when logInput is false; 1e-8 by default. */
  readonly eps?: number;
}

/**
 * Negative log likelihood of counts under a Poisson distribution: e^input - target * input, or input - target * ln(input + eps).
 * @throws GraftError `shape` unless the shapes are equal.
 * @example F.poissonNllLoss(logRate, counts);
 */
export function poissonNllLoss(input: Tensor, target: Tensor, options: PoissonNllOptions = {}): Tensor {
  checkOptions("poissonNllLoss", options, ["reduction", "logInput", "full", "eps"]);
  const [x, t] = lossPair("poissonNllLoss", input, target);
  const { logInput = true, full = false, eps = 1e-8 } = options;
  let values = logInput ? sub(exp(x), mul(t, x)) : sub(x, mul(t, log(add(x, checkNumber("poissonNllLoss", "eps", eps, { min: 0 })))));
  if (full) {
    const many = gt(t, 1);
    const count = where(many, t, 1);
    const stirling = add(sub(mul(count, log(count)), count), mul(log(mul(count, 2 * Math.PI)), 0.5)); // t ln t - t + ln(2 pi t) / 2
    values = add(values, where(many, stirling, 0));
  }
  return reduceLoss("poissonNllLoss", values, options.reduction);
}

/** Options of {@link gaussianNllLoss}. */
export interface GaussianNllOptions extends LossOptions {
  /** Adds the constant ln(2 pi) / 2. */
  readonly full?: boolean;
  /** Smallest variance used, 1e-6 by default; the gradient passes as if it were not there. */
  readonly eps?: number;
}

/**
 * Negative log likelihood of target under normal distributions with mean `input` and variance `variance`:
 * (ln v + (input - target)^2 / v) / 2 (Nix and Weigend, 1994). The variance is a number or has the input's shape, or lacks the last dim, or has it with size 1.
 * @throws GraftError `shape` when shapes do not fit.
 * @example F.gaussianNllLoss(mean, target, variance);
 */
export function gaussianNllLoss(input: Tensor, target: Tensor, variance: Tensor | number, options: GaussianNllOptions = {}): Tensor {
  checkOptions("gaussianNllLoss", options, ["reduction", "full", "eps"]);
  const [x, y] = lossPair("gaussianNllLoss", input, target);
  const eps = checkNumber("gaussianNllLoss", "eps", options.eps ?? 1e-6, { above: 0 });
  const given = toFloat(variance instanceof Tensor ? variance : scalar(checkNumber("gaussianNllLoss", "variance", variance as number, { min: 0 }), x.dtype));
  const short = x.shape.slice(0, -1);
  const shaped = x.ndim > 0 && sameShape(given.shape, short) && given.ndim > 0 ? reshape(given, [...short, 1]) : given;
  if (shaped.size !== 1 && !sameShape(shaped.shape, x.shape) && !sameShape(shaped.shape, [...short, 1])) {
    throw new GraftError("shape", `gaussianNllLoss: variance is ${showShape(given.shape)}, input is ${showShape(x.shape)}. The variance must have the input's shape, or no last dim, or a last dim of 1.`);
  }
  const v = add(shaped, detach(sub(clamp(shaped, { min: eps }), shaped))); // clamped, with the gradient of the unclamped
  const values = mul(add(log(v), div(square(sub(asTensor("gaussianNllLoss", "input", x), y)), v)), 0.5);
  return reduceLoss("gaussianNllLoss", options.full ? add(values, 0.5 * Math.log(2 * Math.PI)) : values, options.reduction);
}
