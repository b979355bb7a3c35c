import { GraftError } from "../base/index.js";
import { allocate, isFloat, showShape, tensor, type Tensor } from "../graph/index.js";
import { vjp } from "../autograd/index.js";
import { cast, mul, sum } from "../ops/index.js";
import { realizeSync } from "./realize.js";
import "./methods.js";

/** Options of {@link gradcheck}. */
export interface GradcheckOptions {
  /** Step of the central difference. Default 1e-6. */
  readonly eps?: number;
  /** Allowed |analytic - numeric| <= atol + rtol * |numeric|. Defaults 1e-5 and 1e-3, as in PyTorch. */
  readonly atol?: number;
  readonly rtol?: number;
}

/**
 * Compares the gradients of `f` with central differences, (f(x + eps) - f(x - eps)) / (2 eps), in f64: the output is contracted with fixed
 * numbers, then every input element is moved. Inputs are cast to f64. Returns the largest difference.
 *
 * Throws `gradient` naming the input and element that differ most.
 * @example
 * gradcheck((x) => F.softmax(x, -1), [randn([3, 4])]);
 */
export function gradcheck(f: (...inputs: Tensor[]) => Tensor, inputs: readonly Tensor[], { eps = 1e-6, atol = 1e-5, rtol = 1e-3 }: GradcheckOptions = {}): number {
  const values = inputs.map((x) => (isFloat(x.dtype) ? cast(x, "f64").dataSync() : x.dataSync()));
  const at = (): Tensor[] => inputs.map((x, i) => (isFloat(x.dtype) ? tensor(Float64Array.from(values[i]), { shape: x.shape }) : x));
  const floats = inputs.flatMap((x, i) => (isFloat(x.dtype) ? [i] : []));
  const of = (points: readonly Tensor[]) => (...moved: Tensor[]): Tensor => f(...points.map((x, i) => (floats.includes(i) ? moved[floats.indexOf(i)] : x)));

  const points = at();
  const { value, pullback } = vjp(of(points), floats.map((i) => points[i]));
  const weights = allocate("f64", value.size).map((_, i) => Math.sin(1 + 2.3 * i));
  const cotangent = tensor(weights as Float64Array, { shape: value.shape });
  const gradients = pullback(cotangent);
  realizeSync(...gradients);
  const loss = (): number => sum(mul(f(...at()), cotangent)).item();

  let worst = 0;
  floats.forEach((input, k) => {
    const analytic = gradients[k].dataSync();
    for (let j = 0; j < analytic.length; j++) {
      const x = values[input][j];
      values[input][j] = x + eps;
      const above = loss();
      values[input][j] = x - eps;
      const below = loss();
      values[input][j] = x;
      const numeric = (above - below) / (2 * eps);
      const difference = Math.abs(analytic[j] - numeric);
      if (!(difference <= atol + rtol * Math.abs(numeric))) {
        throw new GraftError("gradient", `gradcheck: input ${input} ${showShape(inputs[input].shape)} element ${j}: the gradient is ${analytic[j]}, central differences give ${numeric}. Check the function's gradient rule (or a kink within ${eps} of this point).`);
      }
      worst = Math.max(worst, difference);
    }
  });
  return worst;
}
