import { checkNumber, checkOptions } from "../base/index.js";
import { inScope, noGrad, Tensor } from "../graph/index.js";
import { abs, add, cast, div, max, maximum, minimum, mul, pow, scalarInput, sqrt, square, stack, sum } from "../ops/index.js";

const gradientsOf = (params: Iterable<Tensor>): Tensor[] => [...(params instanceof Tensor ? [params] : params)].filter((param) => param.grad !== null);

/** Without gradients, and in profiles as part of the update. */
const quietly = <T>(body: () => T): T => inScope("clip", () => noGrad(body), "update");

/** Options of {@link clipGradNorm}. */
export interface ClipGradNormOptions {
  /** 2 (default), another number, or Infinity for the largest value. */
  readonly normType?: number;
}

/** The norm of all gradients as if they were one vector, as a 0-d tensor; 0 without gradients. Recorded only. */
export function gradNorm(params: Iterable<Tensor>, { normType = 2 }: ClipGradNormOptions = {}): Tensor {
  checkNumber("gradNorm", "normType", normType, { above: 0 });
  const grads = gradientsOf(params).map((param) => param.grad!);
  if (grads.length === 0) return scalarInput(0);
  return quietly(() => {
    if (normType === Infinity) return max(stack(grads.map((g) => max(abs(g)))));
    const parts = grads.map((g) => (normType === 2 ? sum(square(cast(g, g.dtype === "f64" ? "f64" : "f32"))) : sum(pow(abs(g), normType))));
    const total = parts.length === 1 ? parts[0] : sum(stack(parts));
    return normType === 2 ? sqrt(total) : pow(total, 1 / normType);
  });
}

/**
 * Scales all gradients so that their common norm is at most `maxNorm` (Pascanu et al., "On the difficulty of training recurrent neural networks", 2013).
 * Call it between `backward()` and `step()`: it is recorded and computed with the step. Returns the norm before, which the step stores.
 * @example
 * loss.backward();
 * const norm = optim.clipGradNorm(model.parameters(), 1.0);
 * await optimizer.step();
 * console.log(norm.item());
 */
export function clipGradNorm(params: Iterable<Tensor>, maxNorm: number, options: ClipGradNormOptions = {}): Tensor {
  checkOptions("clipGradNorm", options, ["normType"]);
  checkNumber("clipGradNorm", "maxNorm", maxNorm, { min: 0 });
  const clipped = gradientsOf(params);
  const norm = gradNorm(clipped, options).keep();
  quietly(() => {
    const factor = minimum(div(maxNorm, add(norm, 1e-6)), 1); // 1e-6 as in PyTorch, so that a norm of 0 divides nothing by 0
    for (const param of clipped) param.grad = mul(param.grad!, cast(factor, param.grad!.dtype));
  });
  return norm;
}

/**
 * Clamps every gradient value to [-clipValue, clipValue]. Call it between `backward()` and `step()`.
 * @example
 * optim.clipGradValue(model.parameters(), 0.5);
 */
export function clipGradValue(params: Iterable<Tensor>, clipValue: number): void {
  checkNumber("clipGradValue", "clipValue", clipValue, { min: 0 });
  quietly(() => {
    for (const param of gradientsOf(params)) param.grad = minimum(maximum(param.grad!, -clipValue), clipValue);
  });
}
