import type { Node } from "./node.js";

const kept = new Set<WeakRef<Node>>();

/** Asks the next step that overwrites parameters to compute and store this node too (a loss, a metric). */
export function keepNode(node: Node): void {
  if (node.keep) return;
  node.keep = true;
  if (node.value === undefined) kept.add(new WeakRef(node));
}

/** The nodes to keep that are still wanted by somebody and not computed yet; forgets them. */
export function takeKept(): Node[] {
  if (kept.size === 0) return [];
  const nodes: Node[] = [];
  for (const reference of kept) {
    const node = reference.deref();
    if (node !== undefined && node.value === undefined) nodes.push(node);
  }
  kept.clear();
  return nodes;
}
