import { defineOp, record, type Op, type Tensor } from "../graph/index.js";
import { add, erf, erfOf, exp, mul, neg, sigmoid, sigmoidOf, square, sub, tanh } from "./scalar.js";

// x times a gate between 0 and 1: silu and both forms of gelu. They could be written with other ops, but then a training step would store the gate (or
// compute it from six arrays); as primitives the backward pass reads x and the gradient, and nothing else.

type Fn = (x: number, dy: number) => number;

function define(name: string, arity: number, fn: Fn, rules: Pick<Op, "vjp" | "composite">): Op {
  return defineOp({
    name,
    trait: "scalar",
    opcode: name,
    infer: ([x]) => ({ shape: x.shape, dtype: x.dtype }),
    evaluate: (inputs, _, [out]) => {
      for (let i = 0; i < out.data.length; i++) out.data[i] = fn(inputs[0].data[i], arity > 1 ? inputs[1].data[i] : 0);
    },
    ...rules,
  });
}

/** The function and its gradient as primitives. `slope` is the derivative in other ops, from which the second derivative follows. */
function gated(name: string, fn: (x: number) => number, derivative: (x: number) => number, slope: (x: Tensor) => Tensor): (x: Tensor) => Tensor {
  const backward = define(`${name}Grad`, 2, (x, dy) => dy * derivative(x), { composite: ([x, dy]) => mul(dy, slope(x)) });
  const forward = define(name, 1, fn, { vjp: ({ inputs: [x], grad }) => [record(backward, [x, grad])] });
  return (x) => record(forward, [x]);
}

const outer = Math.sqrt(2 / Math.PI);
const cubic = 0.044715;
/** u(x) of the tanh form, and its derivative. */
const inner = (x: number): number => outer * x * (1 + cubic * x * x);
const innerSlope = (x: number): number => outer * (1 + 3 * cubic * x * x);
const bell = (x: number): number => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
const half = (x: Tensor): Tensor => mul(x, 0.5);

/** x s(x), s being the sigmoid; the derivative is s + x s (1 - s). x: floats of any shape. */
export const siluOne = gated(
  "silu",
  (x) => x * sigmoidOf(x),
  (x) => sigmoidOf(x) * (1 + x * sigmoidOf(-x)),
  (x) => mul(sigmoid(x), add(1, mul(x, sigmoid(neg(x))))),
);

/** x P(x), P being the normal distribution's; the derivative is P(x) + x p(x). x: floats of any shape. */
export const geluErf = gated(
  "gelu",
  (x) => (x / 2) * (1 + erfOf(x * Math.SQRT1_2)),
  (x) => (1 + erfOf(x * Math.SQRT1_2)) / 2 + x * bell(x),
  (x) => add(half(add(erf(mul(x, Math.SQRT1_2)), 1)), mul(x, mul(exp(half(neg(square(x)))), 1 / Math.sqrt(2 * Math.PI)))),
);

/** x/2 (1 + tanh u) with u = sqrt(2/pi) (x + 0.044715 x^3); the derivative is (1 + tanh u)/2 + x/2 (1 - tanh^2 u) u'. x: floats of any shape. */
export const geluTanh = gated(
  "geluTanh",
  (x) => x * sigmoidOf(2 * inner(x)), // (1 + tanh u) / 2 = sigmoid(2u), which keeps its digits where tanh u is near -1
  (x) => sigmoidOf(2 * inner(x)) * (1 + x * sigmoidOf(-2 * inner(x)) * 2 * innerSlope(x)),
  (x) => {
    const t = tanh(mul(mul(x, add(mul(square(x), cubic), 1)), outer));
    return add(half(add(t, 1)), mul(half(mul(x, sub(1, square(t)))), mul(add(mul(square(x), 3 * cubic), 1), outer)));
  },
);
