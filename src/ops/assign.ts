import { GraftError } from "../base/index.js";
import { defineOp, type Node, noGrad, record, sameShape, showShape, Tensor } from "../graph/index.js";
import { cast, where } from "./scalar.js";

/** The value of `value` in the memory of `old`, which cannot be read afterwards. */
export const assignOp = defineOp({
  name: "assign",
  trait: "assign",
  infer: ([old]) => ({ shape: old.shape, dtype: old.dtype }),
  evaluate: ([, value], _, [out]) => out.data.set(value.data),
});

const pending = new Set<Tensor>();

/** Tensors whose new value is recorded but not computed; every realisation takes them along. */
export const pendingAssigns = (): ReadonlySet<Tensor> => pending;
export const clearPending = (): void => pending.clear();

/**
 * Gives `target` the value of `value`: what is recorded from now on reads the new one. The memory of the old value is used again, so
 * tensors recorded from the old value must be asked for before the next step (otherwise: GraftError `stale`).
 */
export function assign(target: Tensor, value: Tensor): void {
  if (!sameShape(target.shape, value.shape)) throw new GraftError("shape", `assign: the value is ${showShape(value.shape)}, the target ${showShape(target.shape)}. Shapes must be equal.`);
  const previous = target.node;
  const waiting = previous.op === assignOp && previous.value === undefined;
  const old = waiting ? previous.inputs[0] : previous;
  const next = record(assignOp, [new Tensor(old), cast(value, target.dtype)]).node;
  next.requiresGrad = previous.requiresGrad;
  next.variable = previous.variable;
  if (previous.variable !== undefined) next.hooks = previous.hooks; // they belong to the parameter, not to one of its values
  target.node = next;
  pending.add(target);
}

/** Whether a node waits to be written by the next realisation. */
export const isPendingAssign = (node: Node): boolean => node.op === assignOp && node.value === undefined;

/**
 * Makes everything that is assigned but not computed yet depend on `ok`, a bool scalar: where it is false, each target keeps the value that it has. The choice is part of the
 * plan, so that a step whose loss turns out to be NaN leaves no trace.
 * @example
 * optimizer.record();
 * guardAssigns(isfinite(loss)); // weights and optimiser state stay as they are where the loss is not finite
 * await realize(loss);
 */
export function guardAssigns(ok: Tensor): void {
  noGrad(() => {
    for (const target of [...pending]) {
      if (!isPendingAssign(target.node)) continue;
      const [old, value] = target.node.inputs;
      assign(target, where(ok, new Tensor(value), new Tensor(old)));
    }
  });
}
