import { GraftError } from "../base/index.js";
import { showShape, type Attrs, type Node } from "../graph/index.js";

let walks = 0;

/** The nodes that `targets` need, inputs before users. A node that has a value is a leaf. Sets `index` of each node to its place in the list. */
export function collectNodes(targets: readonly Node[]): Node[] {
  const walk = ++walks;
  const nodes: Node[] = [];
  const stack: Node[] = [];
  const visit = (node: Node): void => {
    if (node.walk === walk) return;
    node.walk = walk;
    nodes.push(node);
    stack.push(node);
  };
  for (const target of targets) visit(target);
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (node.value !== undefined) continue;
    if (node.op.trait === "leaf" || node.consumedBy !== undefined) throw staleError(node);
    // the planner looks through a movement at its first input; others only receive gradients
    const count = node.op.trait === "movement" ? 1 : node.inputs.length;
    for (let i = 0; i < count; i++) visit(node.inputs[i]);
  }
  nodes.sort((a, b) => a.id - b.id); // ids grow with recording, so this is a topological order
  for (let i = 0; i < nodes.length; i++) nodes[i].index = i;
  return nodes;
}

function staleError(node: Node): GraftError {
  const by = node.consumedBy ?? "a later step";
  return new GraftError("stale", `read: a tensor was recorded from a value ${showShape(node.shape)} that ${by} has overwritten since. Ask for it before the step (await t.data(), or t.keep()), or record it again.`);
}

/** Attributes as text; equal text means equal attributes. */
export function attrsKey(attrs: Attrs): string {
  let key = "";
  for (const name in attrs) {
    const value = attrs[name];
    key += `${name}:${typeof value === "number" && value === 0 && 1 / value < 0 ? "-0" : String(value)};`;
  }
  return key;
}
