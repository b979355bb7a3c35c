import { F, fromData, grad, type Shape, type Tensor } from "graftml";

export { backendNames } from "./backends.js";

const { mul, sum, add } = F;

/** Values in [-1, 1] that look random and are the same at every run. */
export function values(shape: Shape, seed = 0): Float64Array {
  const size = shape.reduce((n, d) => n * d, 1);
  return Float64Array.from({ length: size }, (_, i) => Math.sin((seed + 1) * 12.9898 + i * 78.233 + Math.cos(i * 3.7 + seed)));
}

/** An f64 tensor of {@link values}. */
export const f64 = (shape: Shape, seed = 0): Tensor => fromData(values(shape, seed), shape, "f64");

type Scalar = (...xs: Tensor[]) => Tensor;

/** sum(y * c) with fixed c: a scalar in which every element of y counts differently. */
const weighted = (y: Tensor, seed: number): Tensor => sum(mul(y, f64(y.shape, 100 + seed)));

function gradients(f: Scalar, xs: readonly Tensor[]): Tensor[] {
  const found: Tensor | Tensor[] = (grad as (f: Scalar) => (...xs: Tensor[]) => Tensor | Tensor[])(f)(...xs);
  return Array.isArray(found) ? found : [found];
}

/** The first place where the gradient of `f` differs from central differences in f64. */
function compare(label: string, f: Scalar, shapes: readonly Shape[], data: readonly Float64Array[], tolerance: number): string | undefined {
  const at = (replaced: readonly Float64Array[]): Tensor[] => replaced.map((x, i) => fromData(x, shapes[i], "f64"));
  const exact = gradients(f, at(data)).map((g) => g.dataSync());
  const step = 1e-5;
  for (let i = 0; i < data.length; i++) {
    for (let j = 0; j < data[i].length; j++) {
      const moved = (by: number): number => f(...at(data.map((x, k) => (k === i ? x.map((v, l) => (l === j ? v + by : v)) : x)))).item();
      const numeric = (moved(step) - moved(-step)) / (2 * step);
      if (!(Math.abs(exact[i][j] - numeric) <= tolerance * (1 + Math.abs(numeric)))) return `${label}: input ${i}[${j}]: ${exact[i][j]}, by differences ${numeric}`;
    }
  }
  return undefined;
}

/**
 * Compares first and second derivatives of `f` (f64 tensors of the given shapes to a tensor) with central differences; returns what differs first,
 * or undefined.
 */
export function gradientError(f: Scalar, shapes: readonly Shape[], data: readonly Float64Array[] = shapes.map((shape, i) => values(shape, i)), tolerance = 1e-6): string | undefined {
  const first: Scalar = (...xs) => weighted(f(...xs), 0);
  const second: Scalar = (...xs) => gradients(first, xs).map((g, i) => weighted(g, i + 1)).reduce((a, b) => add(a, b));
  return compare("first derivative", first, shapes, data, tolerance) ?? compare("second derivative", second, shapes, data, tolerance);
}
