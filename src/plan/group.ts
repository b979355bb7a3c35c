import { outputOp, sameShape, type DType, type Op, type Shape } from "../graph/index.js";
import { isMovement, isScalar, type Views } from "./place.js";
import type { Value } from "./value.js";

/** Values that one kernel call computes: at most one root (a reduction, a product, an opaque op) and element-wise members around it. */
export interface Group {
  readonly kind: "map" | "reduce" | "kernel";
  root: Value | undefined;
  /** Element-wise values, last first. In a reduction they come before the root, elsewhere they are the root's epilogue. */
  readonly members: Value[];
  readonly space: Shape;
  min: number;
  max: number;
}

interface Use {
  readonly user: Value;
  /** The user reads it element by element, so it can stay in a register. */
  readonly direct: boolean;
}

// The kernels' own limits (core/opcodes.h) are 64 views and 256 instructions; a shorter chain keeps its registers in the L1 cache.
const maxMembers = 64;
const maxInputs = 40;

/** A value kept in bf16, f16 or u8 is rounded when it is stored, so it must pass through memory. */
const fitsRegister = (dtype: DType): boolean => dtype !== "bf16" && dtype !== "f16" && dtype !== "u8";

/** Third pass: decides which values are computed together. Consumers are placed before producers, which then join them if they can. */
export class Grouping {
  readonly groups: Group[] = [];
  readonly groupOf = new Map<Value, Group>();
  private readonly uses = new Map<Value, Use[]>();
  private readonly index = new Map<Value, number>();
  private readonly wanted: ReadonlySet<Value>;
  private readonly outputs = new Map<Value, Value[]>();

  constructor(values: readonly Value[], private readonly views: Views, wanted: Iterable<Value>, private readonly barriers: ReadonlySet<Value>, private readonly fuse: boolean) {
    this.wanted = new Set(wanted);
    values.forEach((value, i) => {
      this.index.set(value, i);
      if (value.kind === "op" && value.op.trait === "output") {
        const known = this.outputs.get(value.inputs[0]) ?? [];
        known[value.attrs.index as number] = value;
        this.outputs.set(value.inputs[0], known);
      }
      if (!this.hasStep(value)) return;
      for (const input of value.inputs) if (input.kind === "op") this.addUse(input, value);
    });
    for (let i = values.length - 1; i >= 0; i--) if (this.hasStep(values[i]) && this.isLive(values[i])) this.assign(values[i]);
  }

  /** Whether a value must be in memory: somebody outside its group reads it, or it is a result of the plan. */
  isStored(value: Value): boolean {
    return this.wanted.has(value) || this.usesOf(value).some(({ user, direct }) => !direct || this.groupOf.get(user) !== this.groupOf.get(value));
  }

  /** The value of output `index` of an op with several; one that nobody reads still needs memory to be written to. */
  outputOf(tuple: Value, index: number): Value {
    const known = this.outputs.get(tuple) ?? [];
    this.outputs.set(tuple, known);
    known[index] ??= { ...tuple, ...tuple.outputs![index], op: outputOp as unknown as Op, attrs: { index }, inputs: [tuple], outputs: undefined };
    return known[index];
  }

  usesOf(value: Value): readonly Use[] {
    return this.uses.get(value) ?? [];
  }

  private hasStep(value: Value): boolean {
    return value.kind === "op" && !isMovement(value) && value.op.trait !== "output" && value.op.trait !== "source";
  }

  private addUse(input: Value, user: Value): void {
    const { base } = this.views.resolve(input)!;
    if (base.kind !== "op") return;
    const producer = base.op.trait === "output" ? base.inputs[0] : base;
    const direct = this.fuse && input.stored !== true && input === base && producer === base && fitsRegister(input.dtype) && !this.barriers.has(user) && (isScalar(user) || user.op.trait === "reduce") && sameShape(input.shape, spaceOf(user));
    const list = this.uses.get(producer);
    if (list === undefined) this.uses.set(producer, [{ user, direct }]);
    else list.push({ user, direct });
    if (producer !== base) (this.uses.get(base) ?? this.uses.set(base, []).get(base)!).push({ user, direct: false });
  }

  private isLive(value: Value): boolean {
    if (this.wanted.has(value) || this.usesOf(value).some(({ user }) => this.groupOf.has(user))) return true;
    return value.outputs !== undefined && (this.outputs.get(value) ?? []).some((output) => this.wanted.has(output));
  }

  private assign(value: Value): void {
    const { trait } = value.op;
    const joins = trait === "scalar" || trait === "contract" || (value.outputs === undefined && value.op.kernel?.(value.inputs, value.attrs, [value])?.epilogue === true);
    if (joins && this.fuse) {
      for (const group of this.candidates(value)) {
        if (!this.canJoin(value, group)) continue;
        if (trait === "scalar") group.members.push(value);
        else group.root = value;
        group.min = Math.min(group.min, this.index.get(value)!);
        this.groupOf.set(value, group);
        return;
      }
    }
    const i = this.index.get(value)!;
    const group: Group = {
      kind: trait === "scalar" ? "map" : trait === "reduce" ? "reduce" : "kernel",
      root: trait === "scalar" ? undefined : value,
      members: trait === "scalar" ? [value] : [],
      space: spaceOf(value),
      min: i,
      max: i,
    };
    this.groups.push(group);
    this.groupOf.set(value, group);
  }

  /** Groups that read `value` in registers, element-wise ones first: a reduction can keep nothing for others. */
  private candidates(value: Value): Group[] {
    const found = new Set<Group>();
    for (const { user, direct } of this.usesOf(value)) {
      const group = this.groupOf.get(user);
      if (direct && group !== undefined && sameShape(group.space, value.shape)) found.add(group);
    }
    return [...found].sort((a, b) => Number(a.kind === "reduce") - Number(b.kind === "reduce"));
  }

  private canJoin(value: Value, group: Group): boolean {
    if (group.members.length >= maxMembers || inputsOf([...group.members, value]).length > maxInputs) return false;
    if (value.op.trait !== "scalar" && (group.root !== undefined || group.kind !== "map")) return false;
    let outside = this.wanted.has(value);
    for (const { user, direct } of this.usesOf(value)) {
      const other = this.groupOf.get(user);
      if (other === undefined) continue;
      if (other === group) {
        if (!direct) return false; // the same kernel would have to read it in another order
      } else {
        outside = true;
        if (this.reaches(other, group)) return false;
      }
    }
    return !(outside && group.kind === "reduce");
  }

  /** Whether `to` needs something that `from` computes, directly or not. */
  private reaches(from: Group, to: Group): boolean {
    const seen = new Set<Group>([from]);
    const stack = [from];
    for (let group = stack.pop(); group !== undefined; group = stack.pop()) {
      if (group === to) return true;
      for (const value of group.root === undefined ? group.members : [...group.members, group.root]) {
        for (const { user } of this.usesOf(value)) {
          const next = this.groupOf.get(user);
          if (next === undefined || seen.has(next) || next.min > to.max) continue; // what begins behind `to` cannot feed it
          seen.add(next);
          stack.push(next);
        }
      }
    }
    return false;
  }
}

/** The iteration space of a value's kernel: its shape, or what a reduction runs over. */
function spaceOf(value: Value): Shape {
  return value.op.trait === "reduce" ? value.inputs[0].shape : value.shape;
}

/** The values that others take from outside themselves; constants are part of the program. */
function inputsOf(values: readonly Value[]): Value[] {
  const inside = new Set(values);
  const inputs = new Set<Value>();
  for (const value of inside) for (const input of value.inputs) if (input.kind !== "constant" && !inside.has(input)) inputs.add(input);
  return [...inputs];
}

/** The values that a group takes from memory. */
export const groupInputs = (group: Group): Value[] => inputsOf(group.root === undefined ? group.members : [...group.members, group.root]);
