import { sizeOf, specBytes, type Node } from "../graph/index.js";
import { sumProducts } from "./accumulate.js";
import { chunkLosses } from "./chunk-loss.js";
import { groupInputs, Grouping, type Group } from "./group.js";
import { lowerGroup, type Location } from "./lower.js";
import { placeBlocks } from "./memory.js";
import { place, type Assignment } from "./place.js";
import { alive } from "./rewrite.js";
import { schedule } from "./schedule.js";
import { Simplifier } from "./simplify.js";
import { readNarrow } from "./narrow.js";
import { transposeProducts } from "./transpose.js";
import { arena, type Lifetime, type Plan, type PlanStep, type Slot, type Target } from "./types.js";
import type { Value } from "./value.js";

/** What a run of a plan has to deliver: values to read, and inputs to overwrite. Both by node; `nodes` holds them all, inputs before users. */
export interface Goal {
  readonly outputs: readonly Node[];
  /** Nodes of trait `assign`: their first input is overwritten by their second. */
  readonly assignments: readonly Node[];
}

/** Compiles a graph: simplify, place copies, group, schedule, lay out memory, lower. */
export function compileGraph(nodes: readonly Node[], goal: Goal, target: Target): Plan {
  const simplifier = new Simplifier(target);
  const byNode = simplifier.run(nodes);
  const outputs = goal.outputs.map((node) => byNode[node.index]);
  const assignments = goal.assignments.map((node): Assignment => ({ old: byNode[node.inputs[0].index], value: byNode[node.index] }));
  const read = readNarrow(alive(simplifier.table.values, { outputs, assignments }), { outputs, assignments });
  const turned = transposeProducts(read.values, read.wanted);
  const summed = target.fuse ? sumProducts(turned.values, turned.wanted) : turned;
  const last = target.fuse ? chunkLosses(summed.values, summed.wanted) : summed;
  const values = alive(last.values, last.wanted);

  const late = new Set<number>();
  for (;;) {
    const placed = place(values, last.wanted, late);
    const wanted = [...placed.wanted.outputs, ...placed.wanted.assignments.map(({ value }) => value)];
    const grouping = new Grouping(placed.values, placed.views, wanted, placed.barriers, target.fuse);
    const result = schedule(grouping, placed.views, placed.wanted.assignments, target.careful);
    if ("order" in result) return build(result.order, grouping, placed, goal, target);
    for (const index of result.late) late.add(index); // each round moves at least one more to the end, so this ends
  }
}

function build(order: readonly Group[], grouping: Grouping, { wanted, views }: ReturnType<typeof place>, goal: Goal, target: Target): Plan {
  const slots: Slot[] = [];
  const location = new Map<Value, Location>();
  const locateInput = (value: Value, kind: Slot["kind"]): void => {
    location.set(value, { buffer: slots.length, offset: 0 });
    slots.push({ kind, node: value.origin, shape: value.shape, dtype: value.dtype });
  };
  for (const { old, value } of wanted.assignments) {
    locateInput(old, "assigned");
    location.set(value, location.get(old)!);
  }
  wanted.outputs.forEach((value, i) => {
    location.set(value, { buffer: slots.length, offset: 0 });
    slots.push({ kind: "output", node: goal.outputs[i].index, shape: goal.outputs[i].shape, dtype: value.dtype });
  });

  // Stored values of each step, and from which step to which they are needed.
  const storedBy = order.map((group) => storedValues(group, grouping));
  const lastUse = new Map<Value, number>();
  order.forEach((group, step) => {
    for (const input of groupInputs(group)) {
      const { base } = views.resolve(input)!;
      if (base.kind === "input" && !location.has(base)) locateInput(base, "input");
      lastUse.set(base, step);
    }
  });
  const blocks: { value: Value; bytes: number; from: number; to: number }[] = [];
  const blockOf = new Map<Value, number>();
  order.forEach((group, step) => {
    for (const value of storedBy[step]) {
      if (location.has(value)) continue;
      const to = lastUse.get(value) ?? step;
      const reused = target.planMemory ? inPlace(group, step, value, { views, lastUse, blockOf, storedBy }) : undefined;
      if (reused !== undefined) {
        blocks[reused].to = to;
        blockOf.set(value, reused);
      } else {
        blockOf.set(value, blocks.length);
        blocks.push({ value, bytes: specBytes(value), from: step, to });
      }
    }
  });
  const { offsets, size } = placeBlocks(blocks, target.planMemory);
  for (const [value, block] of blockOf) location.set(value, { buffer: arena, offset: offsets[block] });

  const steps = order.map((group, step): PlanStep => lowerGroup(group, storedBy[step], views, (base) => location.get(base)!));
  const lifetimes = blocks.map(({ value, bytes, from, to }, i): Lifetime => ({ label: value.op.name, bytes, from, to, offset: offsets[i] }));
  const flops = steps.reduce((total, step) => total + step.flops, 0);
  const moved = steps.reduce((total, step) => [...step.inputs, ...step.outputs].reduce((sum, view) => sum + sizeOf(view.shape), total), 0);
  return { arenaBytes: size, slots, steps, flops, cost: flops + moved, lifetimes };
}

/** The values that a group leaves in memory, in the order of its kernel's outputs. */
function storedValues(group: Group, grouping: Grouping): Value[] {
  const { root } = group;
  if (root?.outputs !== undefined) return root.outputs.map((_, index) => grouping.outputOf(root, index));
  const members = [...group.members].reverse();
  const all = root === undefined ? members : group.kind === "reduce" ? [root] : [root, ...members];
  return all.filter((value) => grouping.isStored(value));
}

/** Whether a kernel may write its only output where its first input lies. */
const replacesInput = (root: Value): boolean => root.outputs === undefined && root.op.kernel?.(root.inputs, root.attrs, [root])?.inPlace === true;

/**
 * The block of an input that an element-wise result (of a product's epilogue as well), or that of a kernel which allows it, may overwrite: read here
 * for the last time, in the same order and element size, and by nothing else in this step.
 */
function inPlace(
  group: Group,
  step: number,
  value: Value,
  { views, lastUse, blockOf, storedBy }: { views: ReturnType<typeof place>["views"]; lastUse: Map<Value, number>; blockOf: Map<Value, number>; storedBy: readonly (readonly Value[])[] },
): number | undefined {
  const { root } = group;
  const inputs = groupInputs(group);
  if (root !== undefined && group.members.length === 0) {
    const { base } = views.resolve(root.inputs[0])!;
    const alone = inputs.every((other) => other === root.inputs[0] || views.resolve(other)!.base !== base);
    return replacesInput(root) && alone && lastUse.get(base) === step && specBytes(base) === specBytes(value) ? blockOf.get(base) : undefined;
  }
  if (root !== undefined && root.op.trait !== "contract") return undefined;
  const used = new Set(storedBy[step].map((other) => blockOf.get(other)));
  for (const input of inputs) {
    const block = blockOf.get(input);
    if (block === undefined || used.has(block) || lastUse.get(input) !== step || root?.inputs.includes(input) === true) continue;
    const sameOrder = input.shape.length === group.space.length && input.shape.every((size, d) => size === group.space[d]);
    const alone = inputs.every((other) => other === input || blockOf.get(views.resolve(other)!.base) !== block);
    if (sameOrder && alone && specBytes(input) === specBytes(value)) return block;
  }
  return undefined;
}
