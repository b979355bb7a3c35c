import { checkNumber, checkOptions } from "../base/index.js";
import { isFloat, Tensor, type DType } from "../graph/index.js";
import { asTensor, operands, toFloat, type Operand } from "./operand.js";
import { abs, add, cast, div, eq, erf, exp, floorDivide, isnan, le, log, log1p, logicalAnd, logicalOr, lt, maximum, mul, neg, sin, sqrt, square, sub, trunc, where } from "./scalar.js";

/**
 * 1 - erf(x). Accurate in absolute terms: where the result is below about 1e-7 (f32) or 1e-16 (f64) it is 0.
 * @example F.erfc(tensor([0, 1])); // [1, 0.1573]
 */
export const erfc = (x: Tensor): Tensor => sub(1, erf(x));

/** 2^x. @example F.exp2(tensor([3])); // [8] */
export const exp2 = (x: Tensor): Tensor => exp(mul(asTensor("exp2", "x", x), Math.LN2));

/** Logarithm to base 2. @example F.log2(tensor([8])); // [3] */
export const log2 = (x: Tensor): Tensor => mul(log(asTensor("log2", "x", x)), Math.LOG2E);

/** Logarithm to base 10. @example F.log10(tensor([100])); // [2] */
export const log10 = (x: Tensor): Tensor => mul(log(asTensor("log10", "x", x)), Math.LOG10E);

/**
 * sin(pi x) / (pi x), and 1 at 0.
 * @example F.sinc(tensor([0, 0.5])); // [1, 0.6366]
 */
export function sinc(x: Tensor): Tensor {
  const floats = toFloat(asTensor("sinc", "x", x));
  const atZero = eq(floats, 0);
  const angle = mul(where(atZero, 1, floats), Math.PI); // no 0 / 0 on the branch that is not taken
  return where(atZero, 1, div(sin(angle), angle));
}

/**
 * ln(e^a + e^b) without overflow: max(a, b) + ln(1 + e^-|a - b|).
 * @example F.logaddexp(tensor([0]), tensor([0])); // [0.6931]
 */
export function logaddexp(a: Operand, b: Operand): Tensor {
  const [x, y] = operands("logaddexp", a, b).map(toFloat);
  const gap = where(eq(x, y), 0, sub(x, y)); // equal infinities have no difference
  return add(maximum(x, y), log1p(exp(neg(abs(gap)))));
}

/**
 * sqrt(a^2 + b^2).
 * @example F.hypot(tensor([3]), tensor([4])); // [5]
 */
export function hypot(a: Operand, b: Operand): Tensor {
  const [x, y] = operands("hypot", a, b).map(toFloat);
  return sqrt(add(square(x), square(y)));
}

/** The fraction: x - trunc(x), with the sign of x. @example F.frac(tensor([-1.25])); // [-0.25] */
export const frac = (x: Tensor): Tensor => sub(asTensor("frac", "x", x), trunc(x));

/**
 * a - b * trunc(a / b): the remainder with the sign of a (`remainder` has the sign of b).
 * @example F.fmod(tensor([-7]), 3); // [-1]
 */
export function fmod(a: Operand, b: Operand): Tensor {
  const [x, y] = operands("fmod", a, b);
  return sub(x, mul(isFloat(x.dtype) ? trunc(div(x, y)) : floorDivide(x, y), y));
}

/**
 * x * ln(y), and 0 where x is 0, whatever y is (but NaN).
 * @example F.xlogy(tensor([0, 2]), tensor([0, 1])); // [0, 0]
 */
export function xlogy(x: Operand, y: Operand): Tensor {
  const [a, b] = operands("xlogy", x, y).map(toFloat);
  const skip = logicalAnd(eq(a, 0), logicalOr(le(b, 0), eq(b, Infinity))); // 0 * ln(y) would be NaN; elsewhere d/dx = ln(y) also at x = 0
  return where(skip, 0, mul(a, log(where(skip, 1, b))));
}

/** 1 where x is neither infinite nor NaN. */
export const isfinite = (x: Tensor): Tensor => lt(abs(toFloat(asTensor("isfinite", "x", x))), Infinity);

/** 1 where x is plus or minus infinity. */
export const isinf = (x: Tensor): Tensor => eq(abs(toFloat(asTensor("isinf", "x", x))), Infinity);

const largest: Partial<Record<DType, number>> = { f16: 65504, bf16: 3.3895313892515355e38, f32: 3.4028234663852886e38, f64: Number.MAX_VALUE };

/**
 * NaN becomes `nan` (0), infinities become `posinf` and `neginf` (the largest and smallest finite values of the dtype).
 * @example F.nanToNum(tensor([NaN, Infinity]), { posinf: 1 }); // [0, 1]
 */
export function nanToNum(x: Tensor, options: { readonly nan?: number; readonly posinf?: number; readonly neginf?: number } = {}): Tensor {
  checkOptions("nanToNum", options, ["nan", "posinf", "neginf"]);
  const top = largest[asTensor("nanToNum", "x", x).dtype];
  if (top === undefined) return x; // integers are always finite
  const { nan = 0, posinf = top, neginf = -top } = options;
  return where(isnan(x), nan, where(eq(x, Infinity), posinf, where(eq(x, -Infinity), neginf, x)));
}

/**
 * start + weight * (end - start), computed from the nearer end so that weight 1 gives `end` exactly.
 * @example F.lerp(tensor([0]), tensor([10]), 0.3); // [3]
 */
export function lerp(start: Tensor, end: Tensor, weight: Operand): Tensor {
  asTensor("lerp", "start", start);
  const span = sub(asTensor("lerp", "end", end), start);
  const fromStart = add(start, mul(span, weight));
  if (!(weight instanceof Tensor)) return Number(weight) < 0.5 ? fromStart : sub(end, mul(span, 1 - Number(weight)));
  return where(lt(weight, 0.5), fromStart, sub(end, mul(span, sub(1, weight))));
}

/**
 * x + value * a * b; `value` is 1 by default.
 * @example F.addcmul(x, a, b, { value: 0.5 });
 */
export function addcmul(x: Tensor, a: Tensor, b: Tensor, options: { readonly value?: number } = {}): Tensor {
  checkOptions("addcmul", options, ["value"]);
  return add(asTensor("addcmul", "x", x), scaled("addcmul", mul(a, b), options.value));
}

/**
 * x + value * a / b; `value` is 1 by default.
 * @example F.addcdiv(x, a, b, { value: 0.5 });
 */
export function addcdiv(x: Tensor, a: Tensor, b: Tensor, options: { readonly value?: number } = {}): Tensor {
  checkOptions("addcdiv", options, ["value"]);
  return add(asTensor("addcdiv", "x", x), scaled("addcdiv", div(a, b), options.value));
}

const scaled = (op: string, x: Tensor, value = 1): Tensor => (checkNumber(op, "value", value) === 1 ? x : mul(x, value));

/** The same values as another dtype; see `cast`. @example F.to(x, "f64"); */
export const to = (x: Tensor, dtype: DType): Tensor => cast(x, dtype);
