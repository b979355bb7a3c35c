import { GraftError } from "../base/index.js";
import { nextWalk, showShape, type Node } from "../graph/index.js";

/**
 * The nodes that `targets` need, inputs before users. A node that has a value is a leaf. Leaves come in the order of their first use, so that it does
 * not matter when they were made (optimiser state is new in the first step, and not in the second). Sets `index` of each node to its place.
 */
export function collectNodes(targets: readonly Node[]): Node[] {
  const found = nextWalk();
  const operations: Node[] = [];
  const stack: Node[] = [];
  const visit = (node: Node): void => {
    if (node.walk === found) return;
    node.walk = found;
    if (node.value !== undefined) return;
    if (node.op.trait === "leaf" || node.consumedBy !== undefined) throw staleError(node);
    operations.push(node);
    stack.push(node);
  };
  for (const target of targets) visit(target);
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) for (let i = inputCount(node) - 1; i >= 0; i--) visit(node.inputs[i]);
  operations.sort((a, b) => a.id - b.id); // ids grow with recording, so this is a topological order

  const placed = nextWalk();
  const nodes: Node[] = [];
  const place = (node: Node): void => {
    if (node.walk === placed) return;
    node.walk = placed;
    node.index = nodes.push(node) - 1;
  };
  for (const node of operations) for (let i = 0; i < inputCount(node); i++) if (node.inputs[i].value !== undefined) place(node.inputs[i]);
  for (const target of targets) if (target.value !== undefined) place(target);
  for (const node of operations) place(node);
  return nodes;
}

/** The planner looks through a movement at its first input; others only receive gradients. */
export const inputCount = (node: Node): number => (node.op.trait === "movement" ? 1 : node.inputs.length);

function staleError(node: Node): GraftError {
  const by = node.consumedBy ?? "a later step";
  return new GraftError("stale", `read: a tensor was recorded from a value ${showShape(node.shape)} that ${by} has overwritten since. Ask for it before the step (await t.data(), or t.keep()), or record it again.`);
}
