import { groupInputs, type Group, type Grouping } from "./group.js";
import type { Assignment, Views } from "./place.js";
import type { Value } from "./value.js";

/**
 * Orders the groups: what they need first, readers of an input before the group that overwrites it. Groups that overwrite run as soon as they
 * may (their gradient can then be dropped), but after whatever can fail (with `careful`: after all others), so that a failed run has changed
 * nothing; the others run in recording order.
 *
 * Returns the indices of assignments that cannot be done in place (their group would have to run before and after another) instead, if there
 * are such.
 */
export function schedule(grouping: Grouping, views: Views, assignments: readonly Assignment[], careful: boolean): { order: Group[] } | { late: number[] } {
  const { groups, groupOf } = grouping;
  const before = new Map<Group, Set<Group>>(groups.map((group) => [group, new Set<Group>()]));
  const readers = new Map<Value, Group[]>();
  for (const group of groups) {
    for (const input of groupInputs(group)) {
      const { base } = views.resolve(input)!;
      if (base.kind === "input") (readers.get(base) ?? readers.set(base, []).get(base)!).push(group);
      const producer = groupOf.get(base.op.trait === "output" ? base.inputs[0] : base);
      if (producer !== undefined && producer !== group) before.get(group)!.add(producer);
    }
  }
  const late: number[] = [];
  assignments.forEach(({ old, value }, i) => {
    const writer = groupOf.get(value)!;
    for (const reader of readers.get(old) ?? []) {
      if (reader !== writer) before.get(writer)!.add(reader);
      else if (!readsInPlace(writer, old, views)) late.push(i);
    }
  });
  if (late.length > 0) return { late };

  const writers = new Set(assignments.map(({ value }) => groupOf.get(value)!));
  const behind = dependents(writers, before);
  for (const group of groups) {
    if (behind.has(group) || !(careful || group.root?.op.fallible === true)) continue;
    for (const writer of writers) before.get(writer)!.add(group);
  }
  const after = new Map<Group, Group[]>();
  const missing = new Map<Group, number>();
  for (const [group, needed] of before) {
    missing.set(group, needed.size);
    for (const other of needed) (after.get(other) ?? after.set(other, []).get(other)!).push(group);
  }
  const priority = (group: Group): number => (writers.has(group) ? group.max - 1e9 : group.max);
  const ready = new Heap(priority);
  for (const group of groups) if (missing.get(group) === 0) ready.push(group);
  const order: Group[] = [];
  for (let group = ready.pop(); group !== undefined; group = ready.pop()) {
    order.push(group);
    for (const next of after.get(group) ?? []) {
      const left = missing.get(next)! - 1;
      missing.set(next, left);
      if (left === 0) ready.push(next);
    }
  }
  if (order.length === groups.length) return { order };
  const stuck = new Set(groups.filter((group) => !order.includes(group)));
  return { late: assignments.flatMap(({ value }, i) => (stuck.has(groupOf.get(value)!) ? [i] : [])) };
}

/** The given groups and all that need one of them, directly or not. */
function dependents(from: ReadonlySet<Group>, before: ReadonlyMap<Group, ReadonlySet<Group>>): Set<Group> {
  const found = new Set(from);
  for (let size = -1; size !== found.size; ) {
    size = found.size;
    for (const [group, needed] of before) if (!found.has(group)) for (const other of needed) if (found.has(other)) found.add(group);
  }
  return found;
}

/** Whether a group reads the memory of `old` element by element only, in the order in which it writes. */
function readsInPlace(group: Group, old: Value, views: Views): boolean {
  for (const input of groupInputs(group)) {
    if (views.resolve(input)!.base !== old) continue;
    if (input !== old || old.shape.length !== group.space.length || old.shape.some((size, d) => size !== group.space[d])) return false;
    if (group.root?.inputs.includes(input)) return false;
  }
  return true;
}

/** A binary min-heap. */
class Heap {
  private readonly items: Group[] = [];

  constructor(private readonly key: (group: Group) => number) {}

  push(group: Group): void {
    const { items, key } = this;
    let i = items.push(group) - 1;
    while (i > 0 && key(items[(i - 1) >> 1]) > key(items[i])) {
      const parent = (i - 1) >> 1;
      [items[parent], items[i]] = [items[i], items[parent]];
      i = parent;
    }
  }

  pop(): Group | undefined {
    const { items, key } = this;
    const top = items[0];
    const last = items.pop();
    if (last === undefined || items.length === 0) return top;
    items[0] = last;
    for (let i = 0; ; ) {
      let least = i;
      for (const child of [2 * i + 1, 2 * i + 2]) if (child < items.length && key(items[child]) < key(items[least])) least = child;
      if (least === i) return top;
      [items[least], items[i]] = [items[i], items[least]];
      i = least;
    }
  }
}
