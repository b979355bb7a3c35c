import type { Wanted } from "./place.js";
import { withInputs, type Value } from "./value.js";

/** What a pass asks while it rewrites a graph. */
export interface Rewriting {
  /** What stands for a value of the given graph in the new one. */
  readonly now: (value: Value) => Value;
  /** Puts a value in front of the present one. */
  readonly add: (value: Value) => void;
}

/** How often each value is read, by other values and as what is wanted. */
export function countUses(values: readonly Value[], wanted: Wanted): ReadonlyMap<Value, number> {
  const uses = new Map<Value, number>();
  const count = (value: Value): void => void uses.set(value, (uses.get(value) ?? 0) + 1);
  for (const value of values) value.inputs.forEach(count);
  for (const value of wanted.outputs) count(value);
  for (const { value } of wanted.assignments) count(value);
  return uses;
}

/** The values that something wanted depends on: what else was made on the way would count as a reader, for which its inputs would have to be stored. */
export function alive(values: readonly Value[], wanted: Wanted): Value[] {
  const needed = new Set<Value>([...wanted.outputs, ...wanted.assignments.flatMap(({ old, value }) => [old, value])]);
  for (let i = values.length - 1; i >= 0; i--) if (needed.has(values[i])) for (const input of values[i].inputs) needed.add(input);
  return values.filter((value) => needed.has(value));
}

/** One pass over a graph: `replace` gives what stands for a value from here on, or undefined where only its inputs may be others. */
export function rewrite(values: readonly Value[], wanted: Wanted, replace: (value: Value, rewriting: Rewriting) => Value | undefined): { values: Value[]; wanted: Wanted } {
  const renamed = new Map<Value, Value>();
  const now = (value: Value): Value => renamed.get(value) ?? value;
  const result = new Set<Value>(); // in order; what stands for a value may have been put there already
  const rewriting: Rewriting = { now, add: (value) => void result.add(value) };
  for (const value of values) {
    const next = replace(value, rewriting) ?? withInputs(value, value.inputs.map(now));
    if (next !== value) renamed.set(value, next);
    result.add(next);
  }
  return { values: [...result], wanted: { outputs: wanted.outputs.map(now), assignments: wanted.assignments.map(({ old, value }) => ({ old, value: now(value) })) } };
}
