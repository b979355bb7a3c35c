import { env, GraftError } from "../base/index.js";
import { isFloat, type DType, type TypedArray } from "./dtype.js";
import { Node, type Attrs, type Spec } from "./node.js";
import { defineOp, type Op } from "./op.js";
import { activeScope } from "./scope.js";
import { checkShape, type Shape } from "./shape.js";
import { Tensor } from "./tensor.js";

let nextId = 1;
let gradEnabled = true;
let recomputing = 0;
let nextRecompute = 1;

const noAttrs: Attrs = Object.freeze({});

/** A value that is given from outside. */
export const leafOp: Op = defineOp({
  name: "leaf",
  trait: "leaf",
  infer: () => {
    throw new GraftError("argument", "leaf: a leaf has no inputs to infer from. Use tensor().");
  },
});

/** One output of an op that has several. */
export const outputOp = defineOp<{ index: number }>({
  name: "output",
  trait: "output",
  infer: ([tuple], { index }) => (tuple as Node).outputs![index],
});

/** The id that the next node will get. */
export const nextNodeId = (): number => nextId;

/** A leaf node over memory. */
export function leafNode(value: TypedArray | undefined, shape: Shape, dtype: DType): Node {
  const node = new Node(nextId++, leafOp, [], noAttrs, shape, dtype, undefined, false, 0);
  node.value = value;
  return node;
}

/** The first stack line outside Graft itself: where the user recorded an op. */
function userLine(): string | undefined {
  const lines = new Error().stack?.split("\n").slice(1) ?? [];
  const own = /[\\/](src|dist)[\\/](base|graph|ops|autograd|plan|backend|runtime|nn|optim|train|tune|models)[\\/](?!.*\.test\.)/;
  return lines.find((line) => !own.test(line) && !line.includes("node:"))?.trim().replace(/^at /, "");
}

const someFloat = (specs: readonly Spec[]): boolean => specs.some((spec) => isFloat(spec.dtype));

function recordNode(op: Op, inputs: readonly Node[], attrs: Attrs): Node {
  let wantsGrad = false;
  for (let i = 0; i < inputs.length; i++) if (inputs[i].requiresGrad) wantsGrad = true;
  const inferred = op.infer(inputs, attrs);
  const many = Array.isArray(inferred);
  const first = (many ? inferred[0] : inferred) as Spec;
  if (first.shape.length > 6) checkShape(op.name, first.shape);
  const requiresGrad = wantsGrad && gradEnabled && (op.vjp !== undefined || op.composite !== undefined) && (many ? someFloat(inferred) : isFloat(first.dtype));
  const node = new Node(nextId++, op, inputs, attrs, first.shape, first.dtype, many ? (inferred as readonly Spec[]) : undefined, requiresGrad, recomputing);
  if (tracing) node.line = userLine();
  if (activeScope !== undefined) node.scope = activeScope;
  return node;
}

let tracing = env.check || env.debug > 0;
/** Switches the recording of source lines on or off (it follows GRAFT_CHECK and GRAFT_DEBUG at the start). */
export function traceLines(on: boolean): void {
  tracing = on;
}

/** Records an op with one output. */
export function record<A extends Attrs>(op: Op<A>, inputs: readonly Tensor[], attrs?: A): Tensor {
  const nodes = new Array<Node>(inputs.length);
  for (let i = 0; i < inputs.length; i++) nodes[i] = inputs[i].node;
  return new Tensor(recordNode(op as unknown as Op, nodes, attrs ?? noAttrs));
}

/** Records an op with several outputs. */
export function recordMany<A extends Attrs>(op: Op<A>, inputs: readonly Tensor[], attrs?: A): Tensor[] {
  const tuple = record(op, inputs, attrs).node;
  return tuple.outputs === undefined ? [new Tensor(tuple)] : tuple.outputs.map((_, index) => recordOutput(tuple, index));
}

/** Output `index` of a node with several. */
export function recordOutput(tuple: Node, index: number): Tensor {
  const node = recordNode(outputOp as unknown as Op, [tuple], { index });
  node.requiresGrad = tuple.requiresGrad && isFloat(node.dtype);
  return new Tensor(node);
}

/**
 * Runs `body` without recording gradients.
 * @example
 * const accuracy = noGrad(() => F.argmax(model.forward(x), { dim: 1 }).eq(y).mean());
 */
export function noGrad<T>(body: () => T): T {
  return withGrad(false, body);
}

/** Runs `body` with gradient recording switched on or off. For an async body the switch holds until it settles. */
export function withGrad<T>(on: boolean, body: () => T): T {
  const before = gradEnabled;
  gradEnabled = on;
  let result: T;
  try {
    result = body();
  } catch (error) {
    gradEnabled = before;
    throw error;
  }
  if (result instanceof Promise) {
    return result.finally(() => {
      gradEnabled = before;
    }) as T;
  }
  gradEnabled = before;
  return result;
}

/** Whether ops record what `backward()` needs. */
export const isGradEnabled = (): boolean => gradEnabled;

/**
 * Runs `body` so that what it records is never merged with an equal computation recorded outside it (gradient checkpointing); with the `recompute` of a node, so
 * that it is merged with what belongs to that node.
 */
export function recomputed<T>(body: () => T, mark = nextRecompute++): T {
  const before = recomputing;
  recomputing = mark;
  try {
    return body();
  } finally {
    recomputing = before;
  }
}
