import { checkChoice, checkNumber, checkOptions, GraftError } from "../base/index.js";
import { normalizeDim, showShape, type Tensor } from "../graph/index.js";
import { geluErf, geluTanh, siluOne } from "./gated.js";
import { reshape, slice } from "./movement.js";
import { asTensor, toFloat } from "./operand.js";
import { abs, add, div, expm1, ge, gt, le, log, log1p, lt, mul, neg, sigmoid, softplusOne, sub, tanh, where } from "./scalar.js";

// Selection is done with `where` on purpose: it gives each kink the gradient that PyTorch gives it, lets NaN through, and the planner fuses it.

/** Checks and returns the input of an activation as floats. */
const input = (op: string, x: Tensor): Tensor => toFloat(asTensor(op, "x", x));

/** x where it is at most 0, else 0; unlike minimum(x, 0) its gradient at 0 is 1. Keeps exp() of the unused branch from overflowing (0 * inf is NaN). */
const belowZero = (x: Tensor): Tensor => where(gt(x, 0), 0, x);

/** Clamped to [low, high]; the gradient at the bounds themselves is 0 (PyTorch's hardtanh; `clamp` gives it 1). */
const openClamp = (x: Tensor, low: number, high: number): Tensor => {
  const floored = where(le(x, low), low, x);
  return where(ge(floored, high), high, floored);
};

/**
 * min(max(x, 0), 6); the gradient at 0 and at 6 is 0.
 * @example F.relu6(tensor([-1, 3, 8])); // [0, 3, 6]
 */
export const relu6 = (x: Tensor): Tensor => openClamp(input("relu6", x), 0, 6);

/**
 * x * sigmoid(x), also called swish (Elfwing et al., 2017).
 * @example F.silu(tensor([0, 1])); // [0, 0.7311]
 */
export function silu(x: Tensor): Tensor {
  return siluOne(input("silu", x));
}

/**
 * x * tanh(ln(1 + e^x)) (Misra, 2019).
 * @example F.mish(tensor([1])); // [0.8651]
 */
export function mish(x: Tensor): Tensor {
  const floats = input("mish", x);
  return mul(floats, tanh(softplusOne(floats)));
}

/**
 * x / (1 + |x|).
 * @example F.softsign(tensor([-1, 3])); // [-0.5, 0.75]
 */
export function softsign(x: Tensor): Tensor {
  const floats = input("softsign", x);
  return div(floats, add(abs(floats), 1));
}

/** x where x > 0, else negative(x); at 0 the gradient is that of the negative side. */
const rectify = (x: Tensor, negative: Tensor): Tensor => where(gt(x, 0), x, negative);

/**
 * x for x > 0, alpha * (e^x - 1) below (Clevert et al., 2015). `alpha` is 1 by default.
 * @example F.elu(tensor([-1, 2]), { alpha: 1 }); // [-0.6321, 2]
 */
export function elu(x: Tensor, options: { readonly alpha?: number } = {}): Tensor {
  checkOptions("elu", options, ["alpha"]);
  const floats = input("elu", x);
  return rectify(floats, mul(expm1(belowZero(floats)), checkNumber("elu", "alpha", options.alpha ?? 1)));
}

/** The two constants of {@link selu}, for which activations tend to mean 0 and variance 1. */
export const seluAlpha = 1.6732632423543772;
export const seluScale = 1.0507009873554805;

/**
 * scale * elu(x) with alpha 1.6733 and scale 1.0507, which makes activations normalise themselves (Klambauer et al., 2017).
 * @example F.selu(tensor([-1, 1])); // [-1.1113, 1.0507]
 */
export function selu(x: Tensor): Tensor {
  const floats = input("selu", x);
  return mul(rectify(floats, mul(expm1(belowZero(floats)), seluAlpha)), seluScale);
}

/**
 * x for x > 0, alpha * (e^(x / alpha) - 1) below: ELU with a continuous derivative (Barron, 2017). `alpha` is 1 by default and never 0.
 * @example F.celu(tensor([-2, 2]), { alpha: 2 }); // [-1.2642, 2]
 */
export function celu(x: Tensor, options: { readonly alpha?: number } = {}): Tensor {
  checkOptions("celu", options, ["alpha"]);
  const floats = input("celu", x);
  const alpha = checkNumber("celu", "alpha", options.alpha ?? 1);
  if (alpha === 0) throw new GraftError("argument", "celu: alpha is 0, which divides by 0. Use a number other than 0.");
  return rectify(floats, mul(expm1(div(belowZero(floats), alpha)), alpha));
}

/**
 * x for x > 0, negativeSlope * x else (0.01 by default).
 * @example F.leakyRelu(tensor([-1, 2]), { negativeSlope: 0.2 }); // [-0.2, 2]
 */
export function leakyRelu(x: Tensor, options: { readonly negativeSlope?: number } = {}): Tensor {
  checkOptions("leakyRelu", options, ["negativeSlope"]);
  const floats = input("leakyRelu", x);
  return rectify(floats, mul(floats, checkNumber("leakyRelu", "negativeSlope", options.negativeSlope ?? 0.01)));
}

/**
 * x for x > 0, weight * x else, with a learned weight: one for all, or one per channel (dim 1) (He et al., 2015).
 * @throws GraftError `shape` when the weight has neither 1 element nor as many as x has channels.
 * @example F.prelu(x, tensor([0.25])); // x [B, C, H, W], weight [1] or [C]
 */
export function prelu(x: Tensor, weight: Tensor): Tensor {
  const floats = input("prelu", x);
  const channels = x.ndim < 2 ? 1 : x.shape[1];
  if (asTensor("prelu", "weight", weight).ndim > 1 || (weight.size !== 1 && weight.size !== channels)) {
    throw new GraftError("shape", `prelu: weight is ${showShape(weight.shape)}, x is ${showShape(x.shape)}. The weight must be [1] or [${channels}], one per channel (dim 1).`);
  }
  const shaped = weight.size === 1 ? reshape(weight, []) : reshape(weight, x.shape.map((_, d) => (d === 1 ? channels : 1)));
  return rectify(floats, mul(floats, shaped));
}

/**
 * Clamped to [minVal, maxVal], by default [-1, 1]; the gradient at the bounds is 0.
 * @throws GraftError `argument` when minVal > maxVal.
 * @example F.hardtanh(tensor([-3, 0.5])); // [-1, 0.5]
 */
export function hardtanh(x: Tensor, options: { readonly minVal?: number; readonly maxVal?: number } = {}): Tensor {
  checkOptions("hardtanh", options, ["minVal", "maxVal"]);
  const low = checkNumber("hardtanh", "minVal", options.minVal ?? -1);
  const high = checkNumber("hardtanh", "maxVal", options.maxVal ?? 1);
  if (low > high) throw new GraftError("argument", `hardtanh: minVal ${low} is above maxVal ${high}. Swap them.`);
  return openClamp(input("hardtanh", x), low, high);
}

/**
 * relu6(x + 3) / 6, a straight line instead of a sigmoid (Howard et al., 2019).
 * @example F.hardsigmoid(tensor([-4, 0, 4])); // [0, 0.5, 1]
 */
export const hardsigmoid = (x: Tensor): Tensor => mul(openClamp(add(input("hardsigmoid", x), 3), 0, 6), 1 / 6);

/**
 * x * relu6(x + 3) / 6 (Howard et al., "Searching for MobileNetV3", 2019); the gradient is 0 at -3 and 1 at 3.
 * @example F.hardswish(tensor([-4, 1, 4])); // [0, 0.6667, 4]
 */
export function hardswish(x: Tensor): Tensor {
  const floats = input("hardswish", x);
  return mul(floats, mul(openClamp(add(floats, 3), 0, 6), 1 / 6));
}

/**
 * x * P(X <= x) for a standard normal X (Hendrycks and Gimpel, 2016), exactly or in its tanh approximation.
 * @example F.gelu(x, { approximate: "tanh" }); // "none" by default
 */
export function gelu(x: Tensor, options: { readonly approximate?: "none" | "tanh" } = {}): Tensor {
  checkOptions("gelu", options, ["approximate"]);
  const exact = checkChoice("gelu", "approximate", options.approximate ?? "none", ["none", "tanh"]) === "none";
  return (exact ? geluErf : geluTanh)(input("gelu", x));
}

/**
 * Gated linear unit: a * sigmoid(b), where a and b are the halves of x along `dim` (the last by default) (Dauphin et al., 2016).
 * @throws GraftError `shape` when the size of `dim` is odd.
 * @example F.glu(x); // [B, 2n] -> [B, n]
 */
export function glu(x: Tensor, options: { readonly dim?: number } = {}): Tensor {
  checkOptions("glu", options, ["dim"]);
  const floats = input("glu", x);
  if (x.ndim === 0) throw new GraftError("shape", "glu: x is a scalar and has no halves. Give it a dim of even size.");
  const dim = normalizeDim("glu", options.dim ?? -1, x.ndim);
  const size = x.shape[dim];
  if (size % 2 !== 0) throw new GraftError("shape", `glu: dim ${dim} of x ${showShape(x.shape)} has odd size ${size}. It must be even: the halves are value and gate.`);
  return mul(slice(floats, dim, 0, size / 2), sigmoid(slice(floats, dim, size === 0 ? 0 : size / 2, size / 2)));
}

/**
 * ln(1 + e^(beta x)) / beta, which becomes x itself where beta x > threshold. `beta` is 1 and `threshold` 20 by default.
 * @example F.softplus(tensor([0, 100])); // [0.6931, 100]
 */
export function softplus(x: Tensor, options: { readonly beta?: number; readonly threshold?: number } = {}): Tensor {
  checkOptions("softplus", options, ["beta", "threshold"]);
  const floats = input("softplus", x);
  const beta = checkNumber("softplus", "beta", options.beta ?? 1);
  if (beta === 0) throw new GraftError("argument", "softplus: beta is 0, which divides by 0. Use a number other than 0.");
  const scaled = beta === 1 ? floats : mul(floats, beta);
  const soft = softplusOne(scaled);
  return where(gt(scaled, checkNumber("softplus", "threshold", options.threshold ?? 20)), floats, beta === 1 ? soft : mul(soft, 1 / beta));
}

/**
 * x where x > threshold, `value` elsewhere.
 * @example F.threshold(tensor([0.1, 2]), 1, -5); // [-5, 2]
 */
export function threshold(x: Tensor, limit: number, value: number): Tensor {
  checkNumber("threshold", "threshold", limit);
  return where(le(asTensor("threshold", "x", x), limit), checkNumber("threshold", "value", value), x);
}

/**
 * x - tanh(x).
 * @example F.tanhshrink(tensor([1])); // [0.2384]
 */
export function tanhshrink(x: Tensor): Tensor {
  const floats = input("tanhshrink", x);
  return sub(floats, tanh(floats));
}

/**
 * x moved towards 0 by `lambd` (0.5 by default), 0 where |x| <= lambd.
 * @example F.softshrink(tensor([-2, 0.3])); // [-1.5, 0]
 */
export function softshrink(x: Tensor, options: { readonly lambd?: number } = {}): Tensor {
  checkOptions("softshrink", options, ["lambd"]);
  const floats = input("softshrink", x);
  const lambd = checkNumber("softshrink", "lambd", options.lambd ?? 0.5, { min: 0 });
  const small = le(abs(floats), lambd);
  return where(small, 0, where(gt(floats, 0), sub(floats, lambd), add(floats, lambd)));
}

/**
 * x, but 0 where |x| <= lambd (0.5 by default).
 * @example F.hardshrink(tensor([-2, 0.3])); // [-2, 0]
 */
export function hardshrink(x: Tensor, options: { readonly lambd?: number } = {}): Tensor {
  checkOptions("hardshrink", options, ["lambd"]);
  const floats = input("hardshrink", x);
  return where(le(abs(floats), checkNumber("hardshrink", "lambd", options.lambd ?? 0.5)), 0, floats);
}

/**
 * Clamped to [min, max]; either bound may be absent, and both may be tensors that broadcast. The gradient at the bounds is 1, outside 0.
 * @throws GraftError `argument` when both bounds are absent.
 * @example F.clamp(tensor([-2, 0.1, 9]), { min: -0.5, max: 0.7 }); // [-0.5, 0.1, 0.7]
 */
export function clamp(x: Tensor, options: { readonly min?: Tensor | number; readonly max?: Tensor | number }): Tensor {
  checkOptions("clamp", options, ["min", "max"]);
  asTensor("clamp", "x", x);
  if (options?.min === undefined && options?.max === undefined) throw new GraftError("argument", "clamp: neither min nor max is given. Pass { min }, { max } or both.");
  const floored = options.min === undefined ? x : where(lt(x, options.min), options.min, x);
  return options.max === undefined ? floored : where(gt(floored, options.max), options.max, floored);
}

/**
 * ln(x / (1 - x)), the inverse of sigmoid; with `eps`, x is first clamped to [eps, 1 - eps]. Without it, x outside [0, 1] gives NaN.
 * @example F.logit(tensor([0.5, 0.9])); // [0, 2.1972]
 */
export function logit(x: Tensor, options: { readonly eps?: number } = {}): Tensor {
  checkOptions("logit", options, ["eps"]);
  const floats = input("logit", x);
  const { eps } = options;
  const p = eps === undefined ? floats : clamp(floats, { min: checkNumber("logit", "eps", eps, { min: 0, max: 0.5 }), max: 1 - eps });
  return sub(log(p), log1p(neg(p)));
}
