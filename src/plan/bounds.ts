import { sameShape, type Shape } from "../graph/index.js";
import type { Value } from "./value.js";

/** A value kept above or below a number. */
export interface Bounded {
  readonly x: Value;
  readonly bound: number;
  readonly keeps: "above" | "below";
}

const comparisons: Readonly<Record<string, Bounded["keeps"]>> = { lt: "above", le: "above", gt: "below", ge: "below" };

/**
 * Sees that where(x < c, c, x) is x kept above c, and where(x > c, c, x) x kept below c, with <= and >= as well: activations and `clamp` are written with
 * `where` for the sake of their gradients, but the largest or smallest of two is one instruction where this is two. NaN stays NaN either way. `inputs` are
 * those of a selection with this shape.
 */
export function boundedIn(inputs: readonly Value[], shape: Shape): Bounded | undefined {
  const [condition, bound, x] = inputs;
  if (condition.kind !== "op" || condition.inputs.length !== 2 || bound.kind !== "constant" || Number.isNaN(bound.constant)) return undefined;
  const keeps = comparisons[condition.op.opcode ?? ""];
  const [left, right] = condition.inputs;
  const fits = keeps !== undefined && left === x && right.kind === "constant" && right.constant === bound.constant && right.dtype === x.dtype && bound.dtype === x.dtype;
  return fits && sameShape(x.shape, shape) ? { x, bound: bound.constant, keeps } : undefined;
}
