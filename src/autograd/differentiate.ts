import { currentScope, gradientScope, isFloat, nextWalk, outputSpecs, recordOutput, scoped, setScope, sortById, Tensor, type GradientContext, type Node } from "../graph/index.js";
import { cast, sumTo, zeros } from "../ops/index.js";
import { accumulate } from "./accumulate.js";
import { compositeGradient } from "./composite-gradient.js";

/** Whether gradients end at a node: a parameter, or a point that was asked for. */
type IsEnd = (node: Node) => boolean;

/** A node between the roots and the ends. */
interface Stop {
  readonly node: Node;
  readonly isEnd: boolean;
  /** Where the gradients of its inputs go; undefined for an input from which no end is reached. */
  readonly inputs: readonly (Stop | undefined)[];
  /** The gradients that arrived so far, for each output of the op. Taken when they are passed on: an old stop would hold them until the next collection of the whole heap. */
  arrived: (Tensor[] | undefined)[] | undefined;
}

const nothing: readonly undefined[] = [];

/** The nodes between `roots` and the ends, and which are met. */
function collect(roots: readonly Node[], isEnd: IsEnd): Node[] {
  const found = nextWalk();
  const nodes: Node[] = [];
  const meet = (node: Node): void => {
    if (node.walk === found || !node.requiresGrad) return;
    node.walk = found;
    nodes.push(node);
  };
  roots.forEach(meet);
  for (let i = 0; i < nodes.length; i++) if (!isEnd(nodes[i])) nodes[i].inputs.forEach(meet);
  return sortById(nodes); // producers come before consumers
}

/** The way of the gradients: stops that lead to an end, producers before consumers, and for each root its stop. */
function plot(roots: readonly Node[], isEnd: IsEnd): { stops: Stop[]; starts: (Stop | undefined)[] } {
  const nodes = collect(roots, isEnd);
  const reaching = nextWalk();
  const stops: Stop[] = [];
  const stopOf = (node: Node): Stop | undefined => (node.walk === reaching ? stops[node.index] : undefined);
  for (const node of nodes) {
    const ends = isEnd(node);
    const inputs = ends ? nothing : node.inputs.map(stopOf);
    if (!ends && inputs.every((input) => input === undefined)) continue;
    node.walk = reaching;
    node.index = stops.push({ node, isEnd: ends, inputs, arrived: undefined }) - 1;
  }
  return { stops, starts: roots.map(stopOf) };
}

function send(stop: Stop, gradient: Tensor, slot = 0): void {
  const arrived = (stop.arrived ??= []);
  const list = arrived[slot];
  if (list === undefined) arrived[slot] = [gradient];
  else list.push(gradient);
}

/**
 * Reverse-mode differentiation (Linnainmaa 1970): walks the graph from the roots backwards and records, with ordinary ops, the gradient of
 * `sum_i <roots_i, seeds_i>` with respect to every end that it reaches. Returns the ends with their gradients.
 */
export function differentiate(roots: readonly Tensor[], seeds: readonly (Tensor | undefined)[], isEnd: IsEnd): Map<Node, Tensor> {
  const { stops, starts } = plot(roots.map((root) => root.node), isEnd);
  starts.forEach((start, i) => {
    const seed = seeds[i];
    if (start !== undefined && seed !== undefined) send(start, seed);
  });
  const result = new Map<Node, Tensor>();
  const named = scoped();
  const outer = currentScope();
  try {
    for (let stop = stops.pop(); stop !== undefined; stop = stops.pop()) {
      const { arrived } = stop;
      if (arrived === undefined) continue;
      stop.arrived = undefined;
      if (named) setScope(gradientScope(stop.node.scope)); // what a gradient rule records belongs to the module of its node
      passOn(stop, arrived, result);
    }
  } finally {
    if (named) setScope(outer);
  }
  return result;
}

/** Sends what arrived at a stop on to its inputs, or puts it into the result. */
function passOn({ node, isEnd, inputs }: Stop, arrived: readonly (Tensor[] | undefined)[], result: Map<Node, Tensor>): void {
  const slots: Arrived = [];
  for (const list of arrived) slots.push(list && accumulate(list));
  if (node.hooks !== undefined) for (const hook of node.hooks) if (slots[0] !== undefined) slots[0] = hook(slots[0]) ?? slots[0];
  if (isEnd) {
    if (slots[0] !== undefined) result.set(node, slots[0]);
  } else if (node.op.trait === "output") {
    if (slots[0] !== undefined) send(inputs[0]!, slots[0], node.attrs.index as number);
  } else {
    const needs = inputs.map((input) => input !== undefined && isFloat(input.node.dtype));
    const gradients = inputGradients(node, slots, needs);
    for (let i = 0; i < gradients.length; i++) {
      const gradient = gradients[i];
      const input = inputs[i];
      if (gradient && input && needs[i]) send(input, cast(sumTo(gradient, input.node.shape), input.node.dtype)); // undoes broadcasting, here for every rule
    }
  }
}

/** The gradient that arrived at one node: one slot per output of its op. */
type Arrived = (Tensor | undefined)[];

/** The gradient rule of one node, or the gradient of its composite definition where it has no rule. */
function inputGradients(node: Node, slots: Arrived, needs: readonly boolean[]): readonly (Tensor | null | undefined)[] {
  if (node.op.vjp === undefined) return compositeGradient(node, slots, needs, differentiate);
  const specs = outputSpecs(node);
  const inputs = node.inputs.map((input) => new Tensor(input));
  const first = slots[0] ?? (node.outputs === undefined ? undefined : zeros(specs[0].shape, { dtype: specs[0].dtype }));
  if (first === undefined) return [];
  const output = new Tensor(node);
  const context: GradientContext<typeof node.attrs> = {
    inputs,
    output,
    outputs: node.outputs === undefined ? [output] : specs.map((_, index) => recordOutput(node, index)),
    grad: first,
    grads: slots,
    attrs: node.attrs,
    needs,
  };
  return node.op.vjp(context);
}
