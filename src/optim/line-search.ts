/** A loss and its gradient at a point. */
export interface Evaluation {
  readonly loss: number;
  readonly gradient: Float64Array;
}

/** A point on the search line: step length, its evaluation, and the slope of the loss along the line. */
interface Point {
  readonly t: number;
  readonly at: Evaluation;
  readonly slope: number;
}

/** The point that was found, its step length, and how often the loss was evaluated. */
export interface SearchResult {
  readonly point: Evaluation;
  readonly length: number;
  readonly evaluations: number;
}

/** Constants of the Wolfe conditions: loss <= loss0 + c1 t slope0, |slope| <= c2 |slope0|. */
const c1 = 1e-4;
const c2 = 0.9;
const mostIterations = 25;
const smallestChange = 1e-9;

/** The minimum of the cubic through two points with their slopes (Nocedal and Wright, equation 3.59), kept within bounds. */
export function cubicMinimum(a: Point, b: Point, low = Math.min(a.t, b.t), high = Math.max(a.t, b.t)): number {
  const [p, q] = a.t <= b.t ? [a, b] : [b, a];
  const d1 = p.slope + q.slope - (3 * (p.at.loss - q.at.loss)) / (p.t - q.t);
  const square = d1 * d1 - p.slope * q.slope;
  if (!(square >= 0)) return (low + high) / 2;
  const d2 = Math.sqrt(square);
  const t = q.t - (q.t - p.t) * ((q.slope + d2 - d1) / (q.slope - p.slope + 2 * d2));
  return Math.min(Math.max(t, low), high);
}

/**
 * A step length that satisfies the strong Wolfe conditions (Nocedal and Wright, Numerical Optimization, algorithms 3.5 and 3.6): steps grow until
 * they bracket such a length, then the bracket is narrowed by cubic interpolation.
 */
export async function strongWolfe(evaluate: (t: number) => Promise<Evaluation>, first: number, direction: Float64Array, origin: Evaluation, slope0: number): Promise<SearchResult> {
  const slopeOf = ({ gradient }: Evaluation): number => gradient.reduce((sum, g, i) => sum + g * direction[i], 0);
  const pointAt = async (t: number): Promise<Point> => {
    const at = await evaluate(t);
    evaluations++;
    return { t, at, slope: slopeOf(at) };
  };
  const tooHigh = (point: Point): boolean => point.at.loss > origin.loss + c1 * point.t * slope0;
  const flat = (point: Point): boolean => Math.abs(point.slope) <= -c2 * slope0;
  const result = (point: Point): SearchResult => ({ point: point.at, length: point.t, evaluations });

  let evaluations = 0;
  let previous: Point = { t: 0, at: origin, slope: slope0 };
  let current = await pointAt(first);
  let iteration = 0;
  let bracket: [Point, Point] | undefined;
  for (; iteration < mostIterations; iteration++) {
    if (tooHigh(current) || (iteration > 1 && current.at.loss >= previous.at.loss) || (!flat(current) && current.slope >= 0)) {
      bracket = [previous, current];
      break;
    }
    if (flat(current)) return result(current);
    const next = cubicMinimum(previous, current, current.t + 0.01 * (current.t - previous.t), current.t * 10);
    previous = current;
    current = await pointAt(next);
  }
  let [low, high] = bracket ?? [{ t: 0, at: origin, slope: slope0 }, current];
  if (low.at.loss > high.at.loss) [low, high] = [high, low];

  const size = direction.reduce((most, d) => Math.max(most, Math.abs(d)), 0);
  let stuck = false;
  for (; iteration < mostIterations && Math.abs(high.t - low.t) * size >= smallestChange; iteration++) {
    let t = cubicMinimum(low, high);
    const [left, right] = [Math.min(low.t, high.t), Math.max(low.t, high.t)];
    const margin = 0.1 * (right - left);
    if (Math.min(right - t, t - left) < margin) {
      // too near an end for the second time, or outside: move a tenth of the bracket inwards
      const move: boolean = stuck || t >= right || t <= left;
      if (move) t = Math.abs(t - right) < Math.abs(t - left) ? right - margin : left + margin;
      stuck = !move;
    } else stuck = false;
    const trial = await pointAt(t);
    if (tooHigh(trial) || trial.at.loss >= low.at.loss) {
      high = trial;
      if (low.at.loss > high.at.loss) [low, high] = [high, low];
      continue;
    }
    if (flat(trial)) return result(trial);
    if (trial.slope * (high.t - low.t) >= 0) high = low;
    low = trial;
  }
  return result(low);
}
