import { GraftError } from "../base/index.js";
import { nextWalk, showShape, sortById, type Node } from "../graph/index.js";

/**
 * The nodes that `targets` need, inputs before users. A node that has a value is a leaf. Leaves come in the order of their first use, so that it does
 * not matter when they were made (optimiser state is new in the first step, and not in the second). Sets `index` of each node to its place.
 */
export function collectNodes(targets: readonly Node[]): Node[] {
  const found = nextWalk();
  const operations: Node[] = [];
  for (const target of targets) meet(target, found, operations);
  for (let n = 0; n < operations.length; n++) for (let i = 0; i < inputCount(operations[n]); i++) meet(operations[n].inputs[i], found, operations);
  sortById(operations); // ids grow with recording, so this is a topological order

  const placed = nextWalk();
  const nodes: Node[] = [];
  for (const node of operations) for (let i = 0; i < inputCount(node); i++) if (node.inputs[i].value !== undefined) place(node.inputs[i], placed, nodes);
  for (const target of targets) if (target.value !== undefined) place(target, placed, nodes);
  for (const node of operations) place(node, placed, nodes);
  return nodes;
}

/** Adds a node that has to be computed to `operations`, once. */
function meet(node: Node, walk: number, operations: Node[]): void {
  if (node.walk === walk) return;
  node.walk = walk;
  if (node.value !== undefined) return;
  if (node.op.trait === "leaf" || node.consumedBy !== undefined) throw staleError(node);
  operations.push(node);
}

function place(node: Node, walk: number, nodes: Node[]): void {
  if (node.walk === walk) return;
  node.walk = walk;
  node.index = nodes.push(node) - 1;
}

/** The planner looks through a movement at its first input; others only receive gradients. */
export const inputCount = (node: Node): number => (node.op.trait === "movement" ? 1 : node.inputs.length);

function staleError(node: Node): GraftError {
  const by = node.consumedBy ?? "a later step";
  return new GraftError("stale", `read: a tensor was recorded from a value ${showShape(node.shape)} that ${by} has overwritten since. Ask for it before the step (await t.data(), or t.keep()), or record it again.`);
}
