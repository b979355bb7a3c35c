import { GraftError } from "../base/index.js";
import { isFloat, showShape, withGrad, type Tensor } from "../graph/index.js";
import { identity, ones, zerosLike } from "../ops/index.js";
import { differentiate } from "./differentiate.js";

/** What a function of tensors returns for gradients: one gradient for one argument, an array for several. */
type Gradients = Tensor | Tensor[];

/** Throws unless `x` can be differentiated at all. */
function requireDifferentiable(op: string, x: Tensor, what: string): void {
  if (!isFloat(x.dtype)) throw new GraftError("gradient", `${op}: ${what} is ${x.dtype} ${showShape(x.shape)}; only floats have gradients. Use .to("f32").`);
}

/** Runs `f` at fresh points that stand for `inputs` and pulls `seed(output)` back to them. */
function pullBack(op: string, f: (...inputs: Tensor[]) => Tensor, inputs: readonly Tensor[], seed: (output: Tensor) => Tensor): { value: Tensor; gradients: Tensor[] } {
  inputs.forEach((x, i) => requireDifferentiable(op, x, `argument ${i}`));
  return withGrad(true, () => {
    const points = inputs.map((x) => {
      const point = identity(x);
      point.node.requiresGrad = true;
      return point;
    });
    const value = f(...points);
    const ends = new Set(points.map((point) => point.node));
    const found = differentiate([value], [seed(value)], (node) => ends.has(node));
    return { value, gradients: points.map((point) => found.get(point.node) ?? zerosLike(point)) };
  });
}

function scalarSeed(op: string): (output: Tensor) => Tensor {
  return (output) => {
    if (output.size !== 1) throw new GraftError("gradient", `${op}: the function returned ${showShape(output.shape)}, not a scalar. Reduce it, or use vjp().`);
    return ones(output.shape, { dtype: output.dtype });
  };
}

const asGiven = (gradients: Tensor[]): Gradients => (gradients.length === 1 ? gradients[0] : gradients);

/**
 * The gradient function of a scalar function: same arguments, one gradient per argument (a single one is not wrapped). Gradients are graph
 * nodes, so `grad(grad(f))` works.
 *
 * Throws `gradient` when `f` returns something that is not a scalar.
 * @example
 * const df = grad((x) => x.mul(x).mul(x).sum()); // 3 x^2
 */
export function grad(f: (x: Tensor) => Tensor): (x: Tensor) => Tensor;
export function grad(f: (...inputs: Tensor[]) => Tensor): (...inputs: Tensor[]) => Gradients;
export function grad(f: (...inputs: Tensor[]) => Tensor): (...inputs: Tensor[]) => Gradients {
  return (...inputs) => asGiven(pullBack("grad", f, inputs, scalarSeed("grad")).gradients);
}

/**
 * Value and gradient(s) of a scalar function in one go.
 * @example
 * const [loss, dw] = valueAndGrad((w) => x.matmul(w).sub(y).square().mean())(w);
 */
export function valueAndGrad(f: (x: Tensor) => Tensor): (x: Tensor) => [Tensor, Tensor];
export function valueAndGrad(f: (...inputs: Tensor[]) => Tensor): (...inputs: Tensor[]) => [Tensor, Gradients];
export function valueAndGrad(f: (...inputs: Tensor[]) => Tensor): (...inputs: Tensor[]) => [Tensor, Gradients] {
  return (...inputs) => {
    const { value, gradients } = pullBack("valueAndGrad", f, inputs, scalarSeed("valueAndGrad"));
    return [value, asGiven(gradients)];
  };
}

/**
 * Vector-Jacobian product: the value of `f` at `inputs`, and a function that maps a cotangent of the value's shape to one cotangent per input.
 * @example
 * const { value, pullback } = vjp((x) => x.exp(), [x]);
 * const [dx] = pullback(dy);
 */
export function vjp(f: (...inputs: Tensor[]) => Tensor, inputs: readonly Tensor[]): { value: Tensor; pullback: (cotangent: Tensor) => Tensor[] } {
  const value = f(...inputs);
  return { value, pullback: (cotangent) => pullBack("vjp", f, inputs, () => cotangent).gradients };
}
