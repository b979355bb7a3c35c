import type { DType, TypedArray } from "./dtype.js";
import type { Op } from "./op.js";
import type { Scope } from "./scope.js";
import type { Shape } from "./shape.js";
import type { Tensor } from "./tensor.js";

/** Settings of an op that are not tensors. They are part of a plan's identity, so values that change from step to step belong into tensors. */
export type Attrs = Readonly<Record<string, AttrValue>>;
export type AttrValue = number | string | boolean | undefined | readonly number[] | readonly string[];

/** What is known of a value before it is computed. */
export interface Spec {
  readonly shape: Shape;
  readonly dtype: DType;
}

/** Called with a gradient during `backward()`; may return another one to use instead. */
export type GradientHook = (gradient: Tensor) => Tensor | void;

let walks = 0;
/** The number of a new walk over the graph: a node with another one in `walk` has not been met yet. Another walk may begin wherever users' code runs. */
export const nextWalk = (): number => ++walks;

/**
 * One recorded operation and its value-to-be. Nodes are immutable but for what the runtime learns about them; it also drops
 * the inputs of a value that nothing will be differentiated through.
 * `id` grows with recording, so an ascending walk over ids is a topological order.
 */
export class Node implements Spec {
  /** The value, once computed or given. A node with a value is a leaf for planning. */
  value: TypedArray | undefined = undefined;
  /** For ops with several outputs: their specs; `shape` and `dtype` are those of the first. */
  readonly outputs: readonly Spec[] | undefined;
  /** Who overwrote the value (a parameter before an optimiser step); reading such a node is an error. */
  consumedBy: string | undefined = undefined;
  /** The tensor that receives this node's gradient in `.grad`; makes the node a leaf for differentiation. */
  variable: Tensor | undefined = undefined;
  /** A step that computes this value anyway also stores it (a loss, predictions given to a loss function). */
  keep = false;
  hooks: GradientHook[] | undefined = undefined;
  /** Where the user recorded it; filled when GRAFT_CHECK or GRAFT_DEBUG is on. */
  line: string | undefined = undefined;
  /** The module that recorded it; filled while scopes are on (a profile, GRAFT_DEBUG=2). Never part of a plan's identity. */
  scope: Scope | undefined = undefined;
  /** Set while the gradient of a checkpointed function is recorded: keeps recomputed nodes apart from the originals. */
  readonly recompute: number;
  /** Scratch of graph walks: the walk's number and this node's index in it. */
  walk = 0;
  index = 0;

  constructor(
    readonly id: number,
    readonly op: Op,
    public inputs: readonly Node[],
    readonly attrs: Attrs,
    readonly shape: Shape,
    readonly dtype: DType,
    outputs: readonly Spec[] | undefined,
    public requiresGrad: boolean,
    recompute: number,
  ) {
    this.outputs = outputs;
    this.recompute = recompute;
  }
}

/** Sorts nodes by their ids. Those of one step were recorded one after another, so that mostly each can be put at a place of its own. */
export function sortById(nodes: Node[]): Node[] {
  if (nodes.length < 2) return nodes;
  let first = Infinity;
  let last = 0;
  for (const { id } of nodes) {
    if (id < first) first = id;
    if (id > last) last = id;
  }
  if (last - first > 4 * nodes.length) return nodes.sort((a, b) => a.id - b.id);
  const places = new Array<Node | undefined>(last - first + 1).fill(undefined);
  for (const node of nodes) places[node.id - first] = node;
  let count = 0;
  for (const node of places) if (node !== undefined) nodes[count++] = node;
  return nodes;
}
