import { GraftError } from "../base/index.js";
import { allocate, encode, fromData, isFloat, showShape, sizeOf, type Shape, type Tensor } from "../graph/index.js";
import { add, cast, eq, iota, maximum, minimum, mul, rand, randn } from "../ops/index.js";
import { inverseErf, orthogonalRows } from "./init-math.js";
import { setNode } from "./values.js";

/*
 * Every function gives a tensor a new initial value, in place, and returns it. The numbers come from Graft's counter-based generator: same seed and
 * order of calls, same bits. Nothing is computed here (but by `orthogonal`): the value is a recorded expression which the first use computes.
 */

/** What the fan counts: values that one output reads (`fanIn`) or outputs that one input reaches (`fanOut`). */
export type FanMode = "fanIn" | "fanOut";
/** Functions whose gain is known, see {@link calculateGain}. */
export type Nonlinearity = "linear" | "conv" | "sigmoid" | "tanh" | "relu" | "leakyRelu" | "selu";

function checkFloat(op: string, x: Tensor): void {
  if (!isFloat(x.dtype)) throw new GraftError("dtype", `init.${op}: the tensor is ${x.dtype} ${showShape(x.shape)}. Only floats can be initialised.`);
}

/** Fan in and fan out of a weight [out, in, kernel...]. Throws `shape` for fewer than two dims. */
export function fans(shape: Shape): { readonly fanIn: number; readonly fanOut: number } {
  if (shape.length < 2) throw new GraftError("shape", `init: fan in and fan out need two or more dims, but the tensor is ${showShape(shape)}. Use uniform or normal for it.`);
  const field = sizeOf(shape.slice(2));
  return { fanIn: shape[1] * field, fanOut: shape[0] * field };
}

/** The factor by which a layer must be scaled so that variance is kept behind a non-linear function (He et al. 2015; for tanh 5/3). */
export function calculateGain(nonlinearity: Nonlinearity, negativeSlope = 0.01): number {
  switch (nonlinearity) {
    case "tanh":
      return 5 / 3;
    case "relu":
      return Math.SQRT2;
    case "leakyRelu":
      return Math.sqrt(2 / (1 + negativeSlope ** 2));
    case "selu":
      return 3 / 4;
    default:
      return 1;
  }
}

const draw = (x: Tensor): "f64" | "f32" => (x.dtype === "f64" ? "f64" : "f32");

/** Uniform in [low, high). */
export function uniform(x: Tensor, low = 0, high = 1): Tensor {
  checkFloat("uniform", x);
  setNode(x, uniformValue(x.shape, low, high, x));
  return x;
}

/** The expression behind {@link uniform}. */
export function uniformValue(shape: Shape, low: number, high: number, like?: Tensor): Tensor {
  const value = add(mul(rand(shape, { dtype: like ? draw(like) : "f32" }), high - low), low);
  return like ? cast(value, like.dtype) : value;
}

/** Normal with the given mean and standard deviation. */
export function normal(x: Tensor, mean = 0, std = 1): Tensor {
  checkFloat("normal", x);
  if (!(std >= 0)) throw new GraftError("argument", `init.normal: std is ${std}. Use 0 or more.`);
  setNode(x, cast(add(mul(randn(x.shape, { dtype: draw(x) }), std), mean), x.dtype));
  return x;
}

/** Options of {@link truncNormal}. */
export interface TruncNormalOptions {
  readonly mean?: number;
  readonly std?: number;
  /** Bounds of the values. Defaults: -2 and 2. */
  readonly a?: number;
  readonly b?: number;
}

const normalCdf = (x: number): number => {
  // Abramowitz and Stegun 26.2.17, |error| < 7.5e-8
  const t = 1 / (1 + 0.2316419 * Math.abs(x));
  const tail = (Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)) * t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return x >= 0 ? 1 - tail : tail;
};

/** Normal with all values in [a, b]: a uniform number between the distribution function's values at the bounds goes through its inverse. */
export function truncNormal(x: Tensor, { mean = 0, std = 1, a = -2, b = 2 }: TruncNormalOptions = {}): Tensor {
  checkFloat("truncNormal", x);
  if (!(std > 0) || !(a < b)) throw new GraftError("argument", `init.truncNormal: std is ${std}, a is ${a}, b is ${b}. Use std > 0 and a < b.`);
  const [low, high] = [2 * normalCdf((a - mean) / std) - 1, 2 * normalCdf((b - mean) / std) - 1];
  const value = mul(inverseErf(uniformValue(x.shape, low, high, x.dtype === "f64" ? x : undefined)), std * Math.SQRT2); // x = mean + std sqrt(2) erf^-1(u)
  setNode(x, cast(minimum(maximum(add(value, mean), a), b), x.dtype));
  return x;
}

/** All values the same. */
export function constant(x: Tensor, value: number): Tensor {
  setNode(x, fromData(allocate(x.dtype, x.size).fill(encode(x.dtype, value)), x.shape, x.dtype));
  return x;
}
/** Fills with 0. */
export const zeros = (x: Tensor): Tensor => constant(x, 0);
/** Fills with 1. */
export const ones = (x: Tensor): Tensor => constant(x, 1);

/** The identity matrix (ones on the diagonal of a 2-d tensor). */
export function eye(x: Tensor): Tensor {
  if (x.ndim !== 2) throw new GraftError("shape", `init.eye: the tensor is ${showShape(x.shape)}. It must have two dims.`);
  setNode(x, cast(eq(iota(x.shape, 0), iota(x.shape, 1)), x.dtype));
  return x;
}

/** Options of the Xavier initialisers. */
export interface XavierOptions {
  /** Scale, see {@link calculateGain}. Default: 1. */
  readonly gain?: number;
}

/** Uniform in +-gain sqrt(6 / (fanIn + fanOut)) (Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010). */
export function xavierUniform(x: Tensor, { gain = 1 }: XavierOptions = {}): Tensor {
  const { fanIn, fanOut } = fans(x.shape);
  const bound = gain * Math.sqrt(6 / (fanIn + fanOut));
  return uniform(x, -bound, bound);
}

/** Normal with standard deviation gain sqrt(2 / (fanIn + fanOut)) (Glorot and Bengio 2010). */
export function xavierNormal(x: Tensor, { gain = 1 }: XavierOptions = {}): Tensor {
  const { fanIn, fanOut } = fans(x.shape);
  return normal(x, 0, gain * Math.sqrt(2 / (fanIn + fanOut)));
}

/** Options of the Kaiming (He) initialisers. */
export interface KaimingOptions {
  /** Negative slope of the leaky ReLU behind the layer. Default: 0. */
  readonly a?: number;
  /** Default: "fanIn", which keeps the variance forward; "fanOut" keeps it backward. */
  readonly mode?: FanMode;
  /** Default: "leakyRelu". */
  readonly nonlinearity?: Nonlinearity;
}

const kaimingStd = (shape: Shape, { a = 0, mode = "fanIn", nonlinearity = "leakyRelu" }: KaimingOptions): number => calculateGain(nonlinearity, a) / Math.sqrt(Math.max(1, fans(shape)[mode]));

/** Uniform in +-gain sqrt(3 / fan) (He et al., "Delving deep into rectifiers", 2015). */
export function kaimingUniform(x: Tensor, options: KaimingOptions = {}): Tensor {
  const bound = Math.sqrt(3) * kaimingStd(x.shape, options);
  return uniform(x, -bound, bound);
}

/** Normal with standard deviation gain / sqrt(fan) (He et al. 2015). */
export const kaimingNormal = (x: Tensor, options: KaimingOptions = {}): Tensor => normal(x, 0, kaimingStd(x.shape, options));

export { kaimingUniform as heUniform, kaimingNormal as heNormal };

/**
 * Orthonormal rows (or columns, where there are more rows) of the tensor seen as [size of dim 0, rest], times `gain`
 * (Saxe et al., "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks", 2014). Computed at once, on the host.
 */
export function orthogonal(x: Tensor, { gain = 1 }: XavierOptions = {}): Tensor {
  checkFloat("orthogonal", x);
  if (x.ndim < 2) throw new GraftError("shape", `init.orthogonal: the tensor is ${showShape(x.shape)}. It must have two or more dims.`);
  const rows = x.shape[0];
  const cols = x.size / Math.max(1, rows);
  const values = orthogonalRows(rows, cols);
  const data = allocate(x.dtype, x.size);
  for (let i = 0; i < data.length; i++) data[i] = encode(x.dtype, values[i] * gain);
  setNode(x, fromData(data, x.shape, x.dtype));
  return x;
}
