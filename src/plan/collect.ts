import { GraftError } from "../base/index.js";
import { bytesPerElement, showShape, type Attrs, type Node } from "../graph/index.js";

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

const nodeKeys = new WeakMap<Attrs, string>();

/**
 * A text that two lists of nodes share exactly when one plan serves both: ops, attributes, wiring, shapes and dtypes of the leaves, and which
 * nodes are targets. Values of leaves are not part of it.
 */
export function signature(nodes: readonly Node[], targets: readonly Node[]): string {
  let key = "";
  let recomputes: number[] | undefined; // recomputation marks grow from step to step; only which ones are equal matters
  for (let i = 0; i < nodes.length; i++) {
    const node = nodes[i];
    if (node.value !== undefined) {
      key += `L${node.dtype}${node.shape.join(",")}|`;
      continue;
    }
    let attrs = nodeKeys.get(node.attrs);
    if (attrs === undefined) nodeKeys.set(node.attrs, (attrs = attrsKey(node.attrs)));
    key += `${node.op.id}(`;
    const count = node.op.trait === "movement" ? 1 : node.inputs.length;
    for (let j = 0; j < count; j++) key += `${i - node.inputs[j].index},`;
    key += attrs;
    if (node.recompute !== 0) {
      recomputes ??= [];
      let mark = recomputes.indexOf(node.recompute);
      if (mark < 0) mark = recomputes.push(node.recompute) - 1;
      key += `r${mark}`;
    }
    key += "|";
  }
  for (const target of targets) key += `${target.index} `;
  return key;
}

/** Bytes of a node's value. */
export const nodeBytes = (node: Pick<Node, "shape" | "dtype">): number => node.shape.reduce((product, n) => product * n, bytesPerElement(node.dtype));
