import { GraftError } from "../base/index.js";
import {
  broadcastShapes, checkDType, defineOp, isFloat, record, roundHalfEven, showShape, sizeOf,
  type DType, type GradientContext, type Op, type RefArray, type Shape, type Spec, type Tensor,
} from "../graph/index.js";
import { asTensor, operands, scalar, toFloat, type Operand } from "./operand.js";

type Fn = (a: number, b: number, c: number) => number;
type Unary = (x: Tensor, y: Tensor, dy: Tensor) => Tensor;
type Rule = NonNullable<Op["vjp"]>;

/** For every output element the position of its operand under broadcasting; undefined when shapes are equal. */
function broadcastIndex(from: Shape, to: Shape): Int32Array | undefined {
  if (from.length === to.length && from.every((size, i) => size === to[i])) return undefined;
  const index = new Int32Array(sizeOf(to));
  const strides = new Array<number>(to.length).fill(0);
  let step = 1;
  for (let i = 1; i <= from.length; i++) {
    const size = from[from.length - i];
    if (size !== 1) strides[to.length - i] = step;
    step *= size;
  }
  for (let i = 0; i < index.length; i++) {
    let rest = i;
    let at = 0;
    for (let d = to.length - 1; d >= 0; d--) {
      at += (rest % to[d]) * strides[d];
      rest = Math.floor(rest / to[d]);
    }
    index[i] = at;
  }
  return index;
}

const at = (array: RefArray | undefined, index: Int32Array | undefined, i: number): number => (array === undefined ? 0 : array.data[index === undefined ? i : index[i]]);

/** Registers an element-wise op. All float inputs have one dtype; `result` says whether that is also the result's. */
function defineScalar(name: string, arity: number, fn: Fn, vjp: Rule | undefined, result: "same" | "bool" = "same", opcode = name, neutral?: Op["neutral"]): Op {
  return defineOp({
    name,
    trait: "scalar",
    opcode,
    neutral,
    infer: (inputs): Spec => {
      let shape = inputs[0].shape;
      for (let i = 1; i < arity; i++) shape = broadcastShapes(name, shape, inputs[i].shape);
      return { shape, dtype: result === "bool" ? "bool" : inputs[arity - 1].dtype };
    },
    vjp,
    evaluate: (inputs, _, [out]) => {
      const [a, b, c] = inputs;
      const index = inputs.map((input) => broadcastIndex(input.shape, out.shape));
      for (let i = 0; i < out.data.length; i++) out.data[i] = fn(at(a, index[0], i), at(b, index[1], i), at(c, index[2], i));
    },
  });
}

function unary(name: string, fn: Fn, gradient?: Unary): (x: Tensor) => Tensor {
  const op = defineScalar(name, 1, fn, gradient && (({ inputs: [x], output, grad }) => [gradient(x, output, grad)]));
  return (x) => record(op, [asTensor(name, "x", x)]);
}

/** An element-wise function of real numbers: integers are cast to f32 first. */
function real(name: string, fn: Fn, gradient: Unary): (x: Tensor) => Tensor {
  const plain = unary(name, fn, gradient);
  return (x) => plain(toFloat(asTensor(name, "x", x)));
}

function binary(name: string, fn: Fn, vjp: ((context: GradientContext<object & Record<never, never>>) => (Tensor | null)[]) | undefined, neutral?: Op["neutral"]): (a: Operand, b: Operand) => Tensor {
  const op = defineScalar(name, 2, fn, vjp as Rule | undefined, "same", name, neutral);
  return (a, b) => record(op, operands(name, a, b));
}

function comparison(name: string, fn: Fn): (a: Operand, b: Operand) => Tensor {
  const op = defineScalar(name, 2, fn, undefined, "bool");
  return (a, b) => record(op, operands(name, a, b));
}

const flag = (yes: boolean): number => (yes ? 1 : 0);
const truncDiv = (a: number, b: number): number => (b === 0 ? 0 : Math.trunc(a / b));

/* ---- comparison and logic (results are bool) ---- */

/** 1 where a = b. */
export const eq = comparison("eq", (a, b) => flag(a === b));
/** 1 where a differs from b. */
export const ne = comparison("ne", (a, b) => flag(a !== b));
/** 1 where a < b. */
export const lt = comparison("lt", (a, b) => flag(a < b));
/** 1 where a <= b. */
export const le = comparison("le", (a, b) => flag(a <= b));
/** 1 where a > b. */
export const gt = comparison("gt", (a, b) => flag(a > b));
/** 1 where a >= b. */
export const ge = comparison("ge", (a, b) => flag(a >= b));

/** Any tensor as bool: 1 where it is not 0. */
export const toBool = (x: Tensor): Tensor => (x.dtype === "bool" ? x : ne(x, 0));

const notOp = defineScalar("not", 1, (a) => flag(a === 0), undefined, "bool");
const andOp = defineScalar("and", 2, (a, b) => flag(a !== 0 && b !== 0), undefined, "bool");
const orOp = defineScalar("or", 2, (a, b) => flag(a !== 0 || b !== 0), undefined, "bool");
const xorOp = defineScalar("xor", 2, (a, b) => flag((a !== 0) !== (b !== 0)), undefined, "bool");
/** 1 where x is 0. */
export const logicalNot = (x: Tensor): Tensor => record(notOp, [toBool(x)]);
/** 1 where both are not 0. */
export const logicalAnd = (a: Tensor, b: Tensor): Tensor => record(andOp, [toBool(a), toBool(b)]);
/** 1 where either is not 0. */
export const logicalOr = (a: Tensor, b: Tensor): Tensor => record(orOp, [toBool(a), toBool(b)]);
/** 1 where exactly one is not 0. */
export const logicalXor = (a: Tensor, b: Tensor): Tensor => record(xorOp, [toBool(a), toBool(b)]);
const isnanOp = defineScalar("isnan", 1, (a) => flag(Number.isNaN(a)), undefined, "bool");
/** 1 where x is NaN. */
export const isnan = (x: Tensor): Tensor => record(isnanOp, [toFloat(x)]);

/* ---- dtype ---- */

const castOp = defineOp<{ dtype: DType }>({
  name: "cast",
  trait: "scalar",
  opcode: "cast",
  infer: ([x], { dtype }) => ({ shape: x.shape, dtype }),
  vjp: ({ inputs: [x], grad }) => [isFloat(x.dtype) ? cast(grad, x.dtype) : null],
  evaluate: ([x], { dtype }, [out]) => {
    for (let i = 0; i < out.data.length; i++) out.data[i] = isFloat(dtype) || isFloat(x.dtype) === false ? x.data[i] : dtype === "bool" ? flag(x.data[i] !== 0) : x.data[i];
  },
});

/** The values as another dtype. To integers: truncated towards zero; to bool: 1 where not 0. The gradient is cast back. */
export function cast(x: Tensor, dtype: DType): Tensor {
  if (asTensor("cast", "x", x).dtype === dtype) return x;
  checkDType("cast", dtype);
  return dtype === "bool" ? toBool(x) : record(castOp, [x], { dtype });
}

/* ---- selection ---- */

const whereOp = defineScalar("where", 3, (condition, a, b) => (condition !== 0 ? a : b), ({ inputs: [condition], grad }) => [
  null,
  where(condition, grad, scalar(0, grad.dtype)),
  where(condition, scalar(0, grad.dtype), grad),
]);

/** Elements of `a` where `condition` is not 0, of `b` elsewhere; all three broadcast. */
export function where(condition: Tensor, a: Operand, b: Operand): Tensor {
  const [x, y] = operands("where", a, b);
  return record(whereOp, [toBool(asTensor("where", "condition", condition)), x, y]);
}

/* ---- arithmetic ---- */

/** a + b */
export const add = binary("add", (a, b) => a + b, ({ grad }) => [grad, grad], { value: 0, side: "both" });
/** a - b */
export const sub = binary("sub", (a, b) => a - b, ({ grad, needs }) => [grad, needs[1] ? neg(grad) : null], { value: 0, side: "right" });
/** a * b: da = dy * b, db = dy * a */
export const mul = binary("mul", (a, b) => a * b, ({ inputs: [a, b], grad, needs }) => [needs[0] ? mul(grad, b) : null, needs[1] ? mul(grad, a) : null], { value: 1, side: "both" });

const divOp = defineScalar("div", 2, (a, b) => a / b, ({ inputs: [, b], output, grad, needs }) => [
  needs[0] ? div(grad, b) : null,
  needs[1] ? neg(div(mul(grad, output), b)) : null, // d(a / b)/db = -(a / b) / b
], "same", "div", { value: 1, side: "right" });
/** a / b; integers are divided as f32. */
export function div(a: Operand, b: Operand): Tensor {
  const [x, y] = operands("div", a, b);
  return record(divOp, [toFloat(x), toFloat(y)]);
}
const intDivOp = defineScalar("intDiv", 2, truncDiv, undefined, "same", "div");
const modOp = defineScalar("mod", 2, (a, b) => (b === 0 ? NaN : a - b * Math.floor(a / b)), ({ inputs: [a, b], grad }) => [grad, neg(mul(grad, floor(div(a, b))))]);
/** a - b * floor(a / b): the remainder with the sign of b. */
export const remainder = (a: Operand, b: Operand): Tensor => record(modOp, operands("remainder", a, b));
/** Integer quotient, rounded towards minus infinity for floats and towards 0 for i32. */
export function floorDivide(a: Operand, b: Operand): Tensor {
  const [x, y] = operands("floorDivide", a, b);
  return isFloat(x.dtype) ? floor(div(x, y)) : record(intDivOp, [x, y]);
}

// Where both are equal each side gets half of the gradient, as in PyTorch.
const extremum = (name: "maximum" | "minimum", pick: (a: number, b: number) => number, wins: (a: Tensor, b: Tensor) => Tensor) =>
  binary(name, (a, b) => (Number.isNaN(a) || Number.isNaN(b) ? NaN : pick(a, b)), ({ inputs: [a, b], grad }) => {
    const half = mul(grad, 0.5);
    const zero = scalar(0, grad.dtype);
    const tie = eq(a, b);
    return [where(tie, half, where(wins(a, b), grad, zero)), where(tie, half, where(wins(b, a), grad, zero))];
  });
/** The larger of a and b; NaN wins. */
export const maximum = extremum("maximum", Math.max, gt);
/** The smaller of a and b; NaN wins. */
export const minimum = extremum("minimum", Math.min, lt);

const powOp = defineScalar("pow", 2, (a, b) => (a === 1 || b === 0 ? 1 : Math.pow(a, b)), ({ inputs: [a, b], output, grad, needs }) => [
  // da = dy * b * a^(b-1), which is 0 where b = 0 (a^(-1) may be infinite); db = dy * a^b * ln(a), 0 where a = 0 and b >= 0
  needs[0] ? mul(grad, where(eq(b, 0), 0, mul(b, pow(a, sub(b, 1))))) : null,
  needs[1] ? mul(grad, where(logicalAnd(eq(a, 0), ge(b, 0)), 0, mul(output, log(a)))) : null,
]);
/** a raised to b. Small whole exponents become products, halves roots. */
export function pow(a: Operand, b: Operand): Tensor {
  if (a && typeof a === "object" && typeof b === "number") {
    if (b === 1) return mul(a, 1);
    if (b === 2) return square(a);
    if (b === 3) return mul(square(a), a);
    if (b === 4) return square(square(a));
    if (b === 0.5) return sqrt(a);
    if (b === -0.5) return rsqrt(a);
    if (b === -1) return reciprocal(a);
    if (b === -2) return reciprocal(square(a));
  }
  const [x, y] = operands("pow", a, b);
  return record(powOp, [toFloat(x), toFloat(y)]);
}
/** The angle of the point (x, y): dy/dyIn = x / (x^2 + y^2), d/dx = -y / (x^2 + y^2) */
export const atan2: (y: Operand, x: Operand) => Tensor = binary("atan2", Math.atan2, ({ inputs: [y, x], grad }) => {
  const scaled = div(grad, add(square(x), square(y)));
  return [mul(scaled, x), neg(mul(scaled, y))];
});

/* ---- unary ---- */

export const neg = unary("neg", (x) => -x, (_x, _y, dy) => neg(dy));
export const abs = unary("abs", Math.abs, (x, _y, dy) => mul(dy, sign(x)));
/** x * x */
export const square: (x: Tensor) => Tensor = unary("square", (x) => x * x, (x, _y, dy) => mul(dy, mul(x, 2)));
const flat: Unary = (_x, _y, dy) => mul(dy, 0);
/** -1, 0 or 1; its gradient is 0. */
export const sign: (x: Tensor) => Tensor = unary("sign", (x) => (Number.isNaN(x) ? NaN : Math.sign(x)), flat);
export const floor: (x: Tensor) => Tensor = unary("floor", Math.floor, flat);
export const ceil = unary("ceil", Math.ceil, flat);
/** To the nearest whole number, halves to even. */
export const round = unary("round", roundHalfEven, flat);
export const trunc = unary("trunc", Math.trunc, flat);
/** max(x, 0); the gradient at 0 is 0. */
export const relu = unary("relu", (x) => (x > 0 || Number.isNaN(x) ? x : 0), (_x, y, dy) => where(gt(y, 0), dy, scalar(0, dy.dtype)));

export const exp: (x: Tensor) => Tensor = real("exp", Math.exp, (_x, y, dy) => mul(dy, y));
/** exp(x) - 1, accurate near 0 */
export const expm1 = real("expm1", Math.expm1, (_x, y, dy) => mul(dy, add(y, 1)));
export const log: (x: Tensor) => Tensor = real("log", Math.log, (x, _y, dy) => div(dy, x));
/** log(1 + x), accurate near 0 */
export const log1p = real("log1p", Math.log1p, (x, _y, dy) => div(dy, add(x, 1)));
export const sqrt: (x: Tensor) => Tensor = real("sqrt", Math.sqrt, (_x, y, dy) => div(mul(dy, 0.5), y));
/** 1 / sqrt(x) */
export const rsqrt: (x: Tensor) => Tensor = real("rsqrt", (x) => 1 / Math.sqrt(x), (x, y, dy) => mul(dy, div(mul(y, -0.5), x)));
/** 1 / x */
export const reciprocal: (x: Tensor) => Tensor = real("reciprocal", (x) => 1 / x, (_x, y, dy) => neg(mul(dy, square(y))));
export const sin: (x: Tensor) => Tensor = real("sin", Math.sin, (x, _y, dy) => mul(dy, cos(x)));
export const cos: (x: Tensor) => Tensor = real("cos", Math.cos, (x, _y, dy) => neg(mul(dy, sin(x))));
export const tan = real("tan", Math.tan, (_x, y, dy) => mul(dy, add(square(y), 1)));
export const asin = real("asin", Math.asin, (x, _y, dy) => mul(dy, rsqrt(sub(1, square(x)))));
export const acos = real("acos", Math.acos, (x, _y, dy) => neg(mul(dy, rsqrt(sub(1, square(x))))));
export const atan = real("atan", Math.atan, (x, _y, dy) => div(dy, add(square(x), 1)));
export const sinh: (x: Tensor) => Tensor = real("sinh", Math.sinh, (x, _y, dy) => mul(dy, cosh(x)));
export const cosh: (x: Tensor) => Tensor = real("cosh", Math.cosh, (x, _y, dy) => mul(dy, sinh(x)));
export const tanh = real("tanh", Math.tanh, (_x, y, dy) => mul(dy, sub(1, square(y))));
/** 1 / (1 + e^-x) */
export const sigmoid: (x: Tensor) => Tensor = real("sigmoid", sigmoidOf, (_x, y, dy) => mul(dy, mul(y, sub(1, y))));
/** ln(sigmoid(x)) without overflow */
export const logSigmoid = real("logSigmoid", (x) => Math.min(x, 0) - Math.log1p(Math.exp(-Math.abs(x))), (x, _y, dy) => mul(dy, sigmoid(neg(x))));
/** ln(1 + e^x) without overflow */
export const softplusOne = real("softplus", (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))), (x, _y, dy) => mul(dy, sigmoid(x)));
/** The error function, 2/sqrt(pi) * integral of e^(-t^2) from 0 to x */
export const erf = real("erf", erfOf, (x, _y, dy) => mul(dy, mul(exp(neg(square(x))), 2 / Math.sqrt(Math.PI))));

/** The sigmoid of one number. */
export function sigmoidOf(x: number): number {
  if (x >= 0) return 1 / (1 + Math.exp(-x));
  const e = Math.exp(x);
  return e / (1 + e);
}

/**
 * erf to f64 accuracy: its Maclaurin series for |x| < 3, beyond that the continued fraction of erfc
 * (Abramowitz and Stegun 7.1.5 and 7.1.14).
 */
export function erfOf(x: number): number {
  const a = Math.abs(x);
  if (Number.isNaN(x)) return NaN;
  if (a > 6) return Math.sign(x);
  if (a < 3) {
    // erf(x) = 2/sqrt(pi) * e^(-x^2) * sum 2^n x^(2n+1) / (1*3*...*(2n+1)): all terms positive, so nothing cancels
    let term = x;
    let sum = x;
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
      term *= (2 * x * x) / (2 * n + 1);
      sum += term;
    }
    return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
  }
  let fraction = a;
  for (let k = 60; k >= 1; k--) fraction = a + k / 2 / fraction;
  return Math.sign(x) * (1 - Math.exp(-a * a) / (Math.sqrt(Math.PI) * fraction));
}

/** Throws unless the dtypes are floats; used by functions whose kernels know floats only. */
export function requireFloat(op: string, name: string, x: Tensor): void {
  if (!isFloat(x.dtype)) throw new GraftError("dtype", `${op}: ${name} is ${x.dtype} ${showShape(x.shape)}, but floats are needed. Use ${name}.to("f32").`);
}
