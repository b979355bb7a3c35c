import { bytesPerElement, computeDType, outputSpecs, sameShape, sizeOf, type Shape } from "../graph/index.js";
import { broadcastStrides } from "../ops/index.js";
import type { Group } from "./group.js";
import { foldRows, type Views } from "./place.js";
import { buildProgram } from "./program.js";
import { virtual, type Argument, type PlanStep, type PlanView } from "./types.js";
import type { Value } from "./value.js";

/** Where the memory of a value that a step computes, or that is given, lies. */
export interface Location {
  readonly buffer: number;
  readonly offset: number;
}

const reduceKinds: Readonly<Record<string, number>> = { sum: 0, prod: 1, max: 2, min: 3 };

/** The window on memory of a value, broadcast to `space` where that is given. */
function viewOf(value: Value, views: Views, locate: (base: Value) => Location, space: Shape = value.shape): PlanView {
  const { base, view, virtual: isVirtual } = views.resolve(value)!;
  const strides = broadcastStrides(view, space);
  if (isVirtual) return { buffer: virtual, offset: view.offset, dtype: value.dtype, shape: space, strides };
  const { buffer, offset } = locate(base);
  return { buffer, offset: offset + view.offset * bytesPerElement(base.dtype), dtype: base.dtype, shape: space, strides };
}

/** Bytes of the memory that a view touches. */
function touched({ buffer, dtype, shape, strides }: PlanView): number {
  return buffer === virtual ? 0 : shape.reduce((size, n, d) => (strides[d] === 0 && n > 0 ? size : size * n), bytesPerElement(dtype));
}

/** Bytes read and written; an op that picks rows of its first input reads as much of it as it writes. */
function traffic({ inputs, outputs }: Pick<PlanStep, "inputs" | "outputs">, picks: boolean): number {
  const written = outputs.reduce((sum, view) => sum + touched(view), 0);
  return written + inputs.reduce((sum, view, i) => sum + (picks && i === 0 ? Math.min(touched(view), written) : touched(view)), 0);
}

/** One kernel call for a group. `stored` are the values that it leaves in memory. */
export function lowerGroup(group: Group, stored: readonly Value[], views: Views, locate: (base: Value) => Location): PlanStep {
  const step = lower(group, stored, views, locate);
  return { ...step, bytes: traffic(step, group.root?.op.trait === "gather") };
}

function lower(group: Group, stored: readonly Value[], views: Views, locate: (base: Value) => Location): Omit<PlanStep, "bytes"> {
  const members = [...group.members].reverse(); // they joined from the last to the first
  const out = (value: Value): PlanView => viewOf(value, views, locate);
  const origin = Math.max(...members.map((value) => value.origin), group.root?.origin ?? 0);
  const label = [...(group.root === undefined ? [] : [group.root]), ...members].map((value) => value.op.name).join("+");
  const flopsOf = (value: Value): number => value.op.flops?.(value.inputs, value.attrs, outputSpecs(value)) ?? sizeOf(value.shape);
  const flops = members.reduce((total, value) => total + flopsOf(value), group.root === undefined ? 0 : flopsOf(group.root));
  const origins = [...new Set((group.root === undefined ? members : [group.root, ...members]).map((value) => value.origin))];
  const common = { flops, label, origin, origins };

  if (group.kind === "reduce") {
    const root = group.root!;
    const source = root.inputs[0];
    const { program, inputs } = members.length > 0 ? buildProgram(members, undefined, [source]) : identityProgram(source);
    const dims = root.attrs.dims as readonly number[];
    const mask = dims.reduce((bits, d) => bits + 2 ** d, 0);
    const result = out(root);
    const target: PlanView = { ...result, strides: result.strides.map((stride, d) => (dims.includes(d) ? 0 : stride)) };
    const args: Argument[] = source.kind === "constant" ? [{ constant: source.constant, spec: source }] : [{ view: 0 }];
    return {
      ...common,
      kernel: "reduce",
      inputs: inputs.map((input) => viewOf(input, views, locate, group.space)),
      outputs: [target],
      attrs: [reduceKinds[root.op.name], mask],
      program,
      evaluation: members.length > 0 ? undefined : { op: root.op, attrs: root.attrs, args },
    };
  }

  if (group.root === undefined) {
    const { program, inputs } = buildProgram(members, undefined, stored);
    const only = members.length === 1 ? members[0] : undefined;
    return {
      ...common,
      kernel: "map",
      inputs: inputs.map((input) => viewOf(input, views, locate, group.space)),
      outputs: stored.map(out),
      attrs: [],
      program,
      evaluation: only && {
        op: only.op,
        attrs: only.attrs,
        args: only.inputs.map((input): Argument => (input.kind === "constant" ? { constant: input.constant, spec: input } : { view: inputs.indexOf(input) })),
      },
    };
  }

  const root = group.root;
  const own = root.inputs.map((input) => viewOf(input, views, locate));
  const evaluation = members.length > 0 ? undefined : { op: root.op, attrs: root.attrs, args: root.inputs.map((_, i): Argument => ({ view: i })) };
  const epilogue = members.length > 0 ? buildProgram(members, root, stored) : undefined;
  const extra = epilogue === undefined ? [] : epilogue.inputs.map((input) => viewOf(input, views, locate, group.space));
  if (root.op.trait === "contract") {
    const step = { ...common, kernel: "matmul", attrs: [], program: epilogue?.program, evaluation };
    return { ...step, ...foldBatch(own[0], own[1], extra, stored.map(out)) };
  }
  const call = root.op.kernel?.(root.inputs, root.attrs, outputSpecs(root));
  return { ...common, kernel: call?.name ?? root.op.name, inputs: [...own, ...extra], outputs: stored.map(out), attrs: call?.attrs ?? [], program: epilogue?.program, evaluation };
}

/** The program of a reduction whose input needs no computation. */
function identityProgram(source: Value): ReturnType<typeof buildProgram> {
  if (source.kind !== "constant") return { program: { inputCount: 1, registerCount: 1, instrs: [], stores: [0] }, inputs: [source] };
  const kind = computeDType(source.dtype);
  return { program: { inputCount: 0, registerCount: 1, instrs: [{ opcode: `const.${kind}`, dst: 0, args: [], immediate: source.constant }], stores: [0] }, inputs: [] };
}

/**
 * A product whose right side has no batch is one large product: [..., M, K] x [K, N] becomes [... * M, K] x [K, N] where the batch dims of all
 * other operands lie one inside the other.
 */
function foldBatch(a: PlanView, b: PlanView, extra: readonly PlanView[], outputs: readonly PlanView[]): Pick<PlanStep, "inputs" | "outputs"> {
  const space = outputs[0].shape;
  const rank = space.length;
  const lead = rank - a.shape.length;
  const full: PlanView = lead === 0 ? a : { ...a, shape: [...space.slice(0, lead), ...a.shape], strides: [...new Array<number>(lead).fill(0), ...a.strides] };
  const sharedB = b.shape.slice(0, -2).every((size) => size === 1);
  if (rank > 2 && sharedB && sameShape(full.shape.slice(0, -1), space.slice(0, -1))) {
    const rows = [full, ...extra, ...outputs].map(folded);
    if (rows.every((view) => view !== undefined)) {
      const matrix = { ...b, shape: b.shape.slice(-2), strides: b.strides.slice(-2) };
      return { inputs: [rows[0], matrix, ...rows.slice(1, 1 + extra.length)], outputs: rows.slice(1 + extra.length) };
    }
  }
  return { inputs: [broadcastBatch(a, space), broadcastBatch(b, space), ...extra], outputs };
}

/** The view with all dims but the last as one. */
function folded(view: PlanView): PlanView | undefined {
  const fold = foldRows(view);
  const last = view.shape.length - 1;
  return fold && { ...view, shape: [fold.rows, view.shape[last]], strides: [fold.step, view.strides[last]] };
}

function broadcastBatch(view: PlanView, space: Shape): PlanView {
  const shape = [...space.slice(0, -2), ...view.shape.slice(-2)];
  return { ...view, shape, strides: broadcastStrides(view, shape) };
}

