import type { Node } from "./node.js";

/**
 * Asked for since the last run. Not weakly: a WeakRef holds what it was made for until the job ends, and a loop of small steps is one long job. One array
 * that is emptied: a new one each time would, once it is old and dropped, hold its nodes until the next collection of the whole heap.
 */
const fresh: Node[] = [];
/** Asked for before a run that did not take them. It may be that no step ever does, so these are only computed while somebody else holds them. */
let older: WeakRef<Node>[] = [];

/** Asks the next step that overwrites parameters to compute and store this node too (a loss, a metric). */
export function keepNode(node: Node): void {
  if (node.keep) return;
  node.keep = true;
  if (node.value === undefined) fresh.push(node);
}

/** A run has begun that overwrites nothing and takes no kept nodes. */
export function passKept(): void {
  for (const node of fresh) if (node.value === undefined) older.push(new WeakRef(node));
  fresh.length = 0;
}

/** The nodes to keep that are not computed yet; forgets them. */
export function takeKept(): Node[] {
  const known = older.map((reference) => reference.deref()).filter((node) => node !== undefined);
  const nodes = [...known, ...fresh].filter((node) => node.value === undefined);
  older = [];
  fresh.length = 0;
  return nodes;
}
