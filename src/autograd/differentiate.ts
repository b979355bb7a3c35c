import { GraftError } from "../base/index.js";
import { currentScope, gradientScope, isFloat, outputSpecs, recordOutput, scoped, setScope, Tensor, withGrad, type GradientContext, type Node } from "../graph/index.js";
import { cast, identity, sumTo, zeros } from "../ops/index.js";
import { accumulate } from "./accumulate.js";

/** Whether gradients end at a node: a parameter, or a point that was asked for. */
type IsEnd = (node: Node) => boolean;

/** All nodes between `roots` and the ends, by descending id: consumers come before producers. */
function collect(roots: readonly Node[], isEnd: IsEnd): Node[] {
  const seen = new Set<Node>();
  const stack = roots.filter((node) => node.requiresGrad);
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    if (isEnd(node)) continue;
    for (const input of node.inputs) if (input.requiresGrad && !seen.has(input)) stack.push(input);
  }
  return [...seen].sort((a, b) => b.id - a.id);
}

/** The gradient that arrived at one node: one slot per output of its op. */
type Arrived = (Tensor | undefined)[];

/**
 * Reverse-mode differentiation (Linnainmaa 1970): walks the graph from the roots backwards and records, with ordinary ops, the gradient of
 * `sum_i <roots_i, seeds_i>` with respect to every end that it reaches. Returns the ends with their gradients.
 */
export function differentiate(roots: readonly Tensor[], seeds: readonly (Tensor | undefined)[], isEnd: IsEnd): Map<Node, Tensor> {
  const order = collect(roots.map((root) => root.node), isEnd);
  const reaches = new Set<Node>();
  for (let i = order.length - 1; i >= 0; i--) {
    const node = order[i];
    if (isEnd(node) || node.inputs.some((input) => reaches.has(input))) reaches.add(node);
  }
  const arrived = new Map<Node, (Tensor[] | undefined)[]>();
  const send = (node: Node, gradient: Tensor, slot = 0): void => {
    let slots = arrived.get(node);
    if (slots === undefined) arrived.set(node, (slots = []));
    (slots[slot] ??= []).push(gradient);
  };
  roots.forEach((root, i) => {
    const seed = seeds[i];
    if (seed !== undefined && reaches.has(root.node)) send(root.node, seed);
  });

  const result = new Map<Node, Tensor>();
  const named = scoped();
  const visit = (node: Node): void => {
    const gradients = arrived.get(node);
    if (gradients === undefined || !reaches.has(node)) return;
    if (named) setScope(gradientScope(node.scope)); // what a gradient rule records belongs to the module of its node
    arrived.delete(node);
    const slots: Arrived = Array.from(gradients, (list) => list && accumulate(list));
    for (const hook of node.hooks ?? []) if (slots[0] !== undefined) slots[0] = hook(slots[0]) ?? slots[0];
    if (isEnd(node)) {
      if (slots[0] !== undefined) result.set(node, slots[0]);
    } else if (node.op.trait === "output") {
      if (slots[0] !== undefined) send(node.inputs[0], slots[0], node.attrs.index as number);
    } else {
      const needs = node.inputs.map((input) => reaches.has(input) && isFloat(input.dtype));
      inputGradients(node, slots, needs).forEach((gradient, i) => {
        const input = node.inputs[i];
        if (gradient && needs[i]) send(input, cast(sumTo(gradient, input.shape), input.dtype)); // undoes broadcasting, here for every rule
      });
    }
  };
  const outer = currentScope();
  try {
    for (const node of order) visit(node);
  } finally {
    if (named) setScope(outer);
  }
  return result;
}

/** The gradient rule of one node, or the gradient of its composite definition where it has no rule. */
function inputGradients(node: Node, slots: Arrived, needs: readonly boolean[]): readonly (Tensor | null | undefined)[] {
  const specs = outputSpecs(node);
  const inputs = node.inputs.map((input) => new Tensor(input));
  if (node.op.vjp !== undefined) {
    const first = slots[0] ?? (node.outputs === undefined ? undefined : zeros(specs[0].shape, { dtype: specs[0].dtype }));
    if (first === undefined) return [];
    const context: GradientContext<typeof node.attrs> = {
      inputs,
      output: new Tensor(node),
      outputs: node.outputs === undefined ? [new Tensor(node)] : specs.map((_, index) => recordOutput(node, index)),
      grad: first,
      grads: specs.map((_, i) => slots[i]),
      attrs: node.attrs,
      needs,
    };
    return node.op.vjp(context);
  }
  if (node.op.composite === undefined) throw new GraftError("gradient", `${node.op.name}: has no gradient rule. Use detach() or customGradient().`);
  const points = inputs.map((input, i) => (needs[i] ? identity(input) : input));
  points.forEach((point, i) => {
    if (needs[i]) point.node.requiresGrad = true;
  });
  const { composite } = node.op;
  const value = withGrad(true, () => composite(points, node.attrs)); // also where the gradients themselves are not recorded
  const outputs = Array.isArray(value) ? (value as readonly Tensor[]) : [value as Tensor];
  const ends = new Set(points.filter((_, i) => needs[i]).map((point) => point.node));
  const gradients = differentiate(outputs, specs.map((_, i) => slots[i]), (end) => ends.has(end));
  return points.map((point) => gradients.get(point.node));
}
