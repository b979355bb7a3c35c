import { GraftError } from "../base/index.js";
import { composed, defineOp, recomputed, recordMany, Tensor, withGrad, type Attrs, type Node, type Op } from "../graph/index.js";
import { identity, zeros } from "../ops/index.js";
import type { differentiate } from "./differentiate.js";

const known = new WeakMap<Op, Op>();

/** Attributes of the gradient of an op: those of the op, which inputs want a gradient, and which outputs have one. The names tell the gradient of a gradient from it. */
const attrNames = ({ name }: Op): { needs: string; given: string } => ({ needs: `${name} needs`, given: `${name} given` });

/**
 * The gradient of an op by its composite definition: [inputs of the op, gradients of outputs that have one] -> gradients of the inputs that want one. It is an op with
 * a composite definition itself: the definition is differentiated when a plan is compiled, and what it shares with the op's own steps is computed once.
 */
function gradientOf(op: Op, run: typeof differentiate): Op {
  const found = known.get(op);
  if (found !== undefined) return found;
  const names = attrNames(op);
  const made = defineOp({
    name: `${op.name}Gradient`,
    trait: "opaque",
    infer: (inputs, attrs) => (attrs[names.needs] as readonly number[]).map((i) => ({ shape: inputs[i].shape, dtype: inputs[i].dtype })),
    composite: (tensors, attrs) => {
      const [needs, given] = [attrs[names.needs], attrs[names.given]] as (readonly number[])[];
      const inputs = tensors.slice(0, tensors.length - given.length);
      const gradients = tensors.slice(inputs.length);
      return withGrad(true, () => {
        const points = inputs.map((input, i) => (needs.includes(i) ? identity(input) : input));
        for (const i of needs) points[i].node.requiresGrad = true;
        const outputs = composed(op, points, attrs);
        const ends = new Set(needs.map((i) => points[i].node));
        const arrived = run(given.map((i) => outputs[i]), gradients, (end) => ends.has(end));
        return needs.map((i) => arrived.get(points[i].node) ?? zeros(inputs[i].shape, { dtype: inputs[i].dtype }));
      });
    },
  });
  known.set(op, made);
  return made;
}

/** Records the gradient of a node whose op has a composite definition and no rule: one gradient per input, undefined where none is wanted. */
export function compositeGradient(node: Node, slots: readonly (Tensor | undefined)[], wanted: readonly boolean[], run: typeof differentiate): (Tensor | undefined)[] {
  const { op, attrs } = node;
  if (op.composite === undefined) throw new GraftError("gradient", `${op.name}: has no gradient rule. Use detach() or customGradient().`);
  const indices = (list: readonly unknown[]): number[] => list.flatMap((item, i) => (item ? [i] : []));
  const [needs, given] = [indices(wanted), indices(slots)];
  const names = attrNames(op);
  const own: Attrs = { ...attrs, [names.needs]: needs, [names.given]: given };
  const tensors = [...node.inputs.map((input) => new Tensor(input)), ...given.map((i) => slots[i]!)];
  const gradients = recomputed(() => recordMany(gradientOf(op, run), tensors, own), node.recompute);
  const result = new Array<Tensor | undefined>(node.inputs.length).fill(undefined);
  needs.forEach((i, k) => (result[i] = gradients[k]));
  return result;
}
