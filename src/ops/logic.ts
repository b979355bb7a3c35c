import { checkNumber, checkOptions } from "../base/index.js";
import type { Tensor } from "../graph/index.js";
import { asTensor, operands, toFloat, type Operand } from "./operand.js";
import { sum, type ReduceOptions } from "./reduce.js";
import { abs, add, cast, eq, isnan, le, logicalAnd, logicalNot, logicalOr, lt, mul, ne, sub, toBool } from "./scalar.js";

/** How many elements are true; sums, unlike max and min, are also right for nothing at all. */
const count = (x: Tensor, options: ReduceOptions): Tensor => sum(cast(x, "i32"), options);

/**
 * True where at least one element over `dim` (all when absent) is not 0; false for no elements.
 * @example F.any(F.isnan(x)); // a bool scalar
 */
export function any(x: Tensor, options: ReduceOptions = {}): Tensor {
  checkOptions("any", options, ["dim", "keepdim"]);
  return ne(count(toBool(asTensor("any", "x", x)), options), 0);
}

/**
 * True where every element over `dim` (all when absent) is not 0; true for no elements.
 * @example F.all(F.isfinite(x)); // a bool scalar
 */
export function all(x: Tensor, options: ReduceOptions = {}): Tensor {
  checkOptions("all", options, ["dim", "keepdim"]);
  return eq(count(logicalNot(toBool(asTensor("all", "x", x))), options), 0);
}

/** Options of {@link isclose}. */
export interface CloseOptions {
  /** Relative tolerance, 1e-5 by default. */
  readonly rtol?: number;
  /** Absolute tolerance, 1e-8 by default. */
  readonly atol?: number;
  /** NaN counts as equal to NaN. */
  readonly equalNan?: boolean;
}

/**
 * True where |a - b| <= atol + rtol * |b|; equal infinities are close.
 * @example F.all(F.isclose(a, b)).item();
 */
export function isclose(a: Operand, b: Operand, options: CloseOptions = {}): Tensor {
  checkOptions("isclose", options, ["rtol", "atol", "equalNan"]);
  const { rtol = 1e-5, atol = 1e-8, equalNan = false } = options;
  const [x, y] = operands("isclose", a, b).map(toFloat);
  const room = add(mul(abs(y), checkNumber("isclose", "rtol", rtol, { min: 0 })), checkNumber("isclose", "atol", atol, { min: 0 }));
  const near = logicalAnd(le(abs(sub(x, y)), room), lt(room, Infinity)); // an infinite room would hold everything
  const close = logicalOr(near, eq(x, y));
  return equalNan ? logicalOr(close, logicalAnd(isnan(x), isnan(y))) : close;
}
