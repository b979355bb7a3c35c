/** A size that is free in the exported graph (batch, length), with the three values at which `forward` is recorded. */
export interface Axis {
  readonly name: string;
  readonly low: number;
  readonly high: number;
  /** Checks what was concluded from the other two. */
  readonly probe: number;
}

/**
 * A number that depends on the axes: sum over m of terms[m] times the product of the axes whose bits are set in m. So with the axes batch and length
 * [1, 0, 0, 2] is 1 + 2 batch length.
 */
export interface Varying {
  readonly terms: readonly number[];
}

/** One over a number that depends on the axes: the factor of a mean. */
export interface Inverse {
  readonly inverse: Varying;
}

/** A whole number of a shape or an attribute, fixed or not. */
export type Size = number | Varying;

const varying = (terms: readonly number[]): Size => (terms.slice(1).every((term) => term === 0) ? terms[0] : { terms });
const termsOf = (size: Size, count: number): readonly number[] => (typeof size === "number" ? Array.from({ length: count }, (_, m) => (m === 0 ? size : 0)) : size.terms);
const combine = (a: Size, b: Size, f: (a: number, b: number) => number): Size => {
  const count = Math.max(...[a, b].map((size) => (typeof size === "number" ? 1 : size.terms.length)));
  const [x, y] = [termsOf(a, count), termsOf(b, count)];
  return varying(x.map((term, m) => f(term, y[m])));
};

/** a + b */
export const plus = (a: Size, b: Size): Size => combine(a, b, (x, y) => x + y);
/** a - b */
export const minus = (a: Size, b: Size): Size => combine(a, b, (x, y) => x - y);
/** a * factor */
export const times = (a: Size, factor: number): Size => combine(a, 0, (x) => x * factor);
/** Whether two sizes are the same whatever the axes are. */
export const sameSize = (a: Size, b: Size): boolean => minus(a, b) === 0;
/** Whether two shapes are the same whatever the axes are. */
export const sameSizes = (a: readonly Size[], b: readonly Size[]): boolean => a.length === b.length && a.every((size, d) => sameSize(size, b[d]));

/** The size where the axes have `values`. */
export const sizeAt = (size: Size, values: readonly number[]): number =>
  typeof size === "number" ? size : size.terms.reduce((sum, term, m) => sum + values.reduce((product, value, i) => (m & (1 << i) ? product * value : product), term), 0);

/**
 * The size with `found[m]` where the axes with bits in m are high and the others low. It is linear in each axis, so each axis in turn parts the values into
 * those that do not grow with it and the slope: f(x) = f(low) + (x - low) (f(high) - f(low)) / (high - low). Undefined where a term is no whole number.
 */
export function interpolate(found: readonly number[], axes: readonly Axis[]): Size | undefined {
  let terms = [...found];
  axes.forEach(({ low, high }, i) => {
    const bit = 1 << i;
    const slopes = terms.map((value, m) => (m & bit ? (value - terms[m ^ bit]) / (high - low) : 0));
    terms = terms.map((value, m) => (m & bit ? slopes[m] : value - slopes[m | bit] * low));
  });
  const whole = terms.map(Math.round);
  return terms.every((term, m) => Math.abs(term - whole[m]) < 1e-6) ? varying(whole) : undefined;
}

/** How a size is written: the name of an axis, a number, or a formula of both. */
export function showSize(size: Size, axes: readonly Axis[]): number | string {
  if (typeof size === "number") return size;
  const shown = size.terms.flatMap((term, m) => {
    if (term === 0) return [];
    const factors = axes.filter((_, i) => m & (1 << i)).map(({ name }) => name);
    return [(term === 1 && factors.length > 0 ? factors : [String(term), ...factors]).join("*")];
  });
  return shown.reverse().join(" + ");
}
