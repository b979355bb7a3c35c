import { contiguousStrides, outputSpecs, sameShape, sizeOf, type StridedView } from "../graph/index.js";
import { copyOp, iotaOp, isContiguous } from "../ops/index.js";
import { withInputs, type Value } from "./value.js";

/** A value as a window on the memory of its base, which is computed by a step (or given, or a virtual index). */
export interface Resolved {
  readonly base: Value;
  readonly view: StridedView;
  readonly virtual: boolean;
}

/** An input that is overwritten by a value. */
export interface Assignment {
  readonly old: Value;
  readonly value: Value;
}

/** What has to be in memory at the end of a plan. */
export interface Wanted {
  readonly outputs: readonly Value[];
  readonly assignments: readonly Assignment[];
}

export const isScalar = (value: Value): boolean => value.kind === "op" && value.op.trait === "scalar";
export const isMovement = (value: Value): boolean => value.kind === "op" && value.op.trait === "movement";

/** A contiguous copy of a value, in memory of its own. */
const copyValue = (value: Value): Value => ({ kind: "op", op: copyOp, attrs: {}, inputs: [value], shape: value.shape, dtype: value.dtype, outputs: undefined, origin: value.origin, constant: 0 });

/** All dims but the last as one: how many rows there are, and the elements between two of them. Undefined where the strides do not allow it. */
export function foldRows({ shape, strides }: Pick<StridedView, "shape" | "strides">): { readonly rows: number; readonly step: number } | undefined {
  let rows = 1;
  let step = 0;
  for (let d = shape.length - 2; d >= 0; d--) {
    if (shape[d] === 1) continue;
    if (rows === 1) step = strides[d];
    else if (strides[d] !== step * rows) return undefined;
    rows *= shape[d];
  }
  return { rows, step };
}

/** Looks through movement ops. */
export class Views {
  private readonly known = new Map<Value, Resolved>();

  /** Undefined for a movement that needs a copy of its input first. */
  resolve(value: Value): Resolved | undefined {
    const found = this.known.get(value);
    if (found !== undefined) return found;
    const resolved = this.compute(value);
    if (resolved !== undefined) this.known.set(value, resolved);
    return resolved;
  }

  private compute(value: Value): Resolved | undefined {
    if (isMovement(value)) {
      const input = this.resolve(value.inputs[0]);
      const view = input && value.op.view!(input.view, value.attrs, value);
      return view && { base: input.base, view, virtual: input.virtual };
    }
    if ((value.op as unknown) === iotaOp) {
      const { dim, start, step } = value.attrs as { dim: number; start: number; step: number };
      return { base: value, virtual: true, view: { shape: value.shape, strides: value.shape.map((_, d) => (d === dim ? step : 0)), offset: start } };
    }
    return { base: value, virtual: false, view: { shape: value.shape, strides: contiguousStrides(value.shape), offset: 0 } };
  }
}

/**
 * Whether the rows of a product's left side do not lie one behind the other although one matrix is on the right of them all: a copy of them makes it
 * one large product, while the right side would be read, and packed, once per matrix.
 */
function isScattered(left: Value, right: Value, product: Value, views: Views): boolean {
  const shared = right.shape.slice(0, -2).every((size) => size === 1);
  const whole = left.shape.length > 2 && sameShape(left.shape.slice(0, -1), product.shape.slice(0, -1));
  return shared && whole && left.kind !== "constant" && foldRows(views.resolve(left)!.view) === undefined;
}

/** Second pass: puts copies where a step needs memory that is not there as it needs it. Returns the values in order, and what is wanted. */
export function place(values: readonly Value[], wanted: Wanted, late: ReadonlySet<number>): { values: Value[]; wanted: Wanted; views: Views; barriers: Set<Value> } {
  const views = new Views();
  const placed: Value[] = [];
  const renamed = new Map<Value, Value>();
  const barriers = new Set<Value>();
  const emit = (value: Value): Value => {
    placed.push(value);
    return value;
  };
  const copies = new Map<Value, Value>();
  const copyOf = (value: Value): Value => {
    let copy = copies.get(value);
    if (copy === undefined) copies.set(value, (copy = emit(copyValue(value))));
    return copy;
  };
  const inMemory = (value: Value, strided: boolean): Value => {
    const resolved = value.kind === "constant" ? undefined : views.resolve(value);
    return resolved === undefined || resolved.virtual || (!strided && !isContiguous(resolved.view)) ? copyOf(value) : value;
  };

  const now = (value: Value): Value => renamed.get(value) ?? value;
  for (const value of values) {
    let inputs = value.inputs.map(now);
    if (value.kind === "op") {
      const { trait } = value.op;
      if (trait === "contract") {
        inputs = inputs.map((input) => inMemory(input, true));
        if (isScattered(inputs[0], inputs[1], value, views)) inputs = [copyOf(inputs[0]), inputs[1]];
      } else if (trait === "opaque" || trait === "gather" || trait === "random") {
        const strided = value.op.kernel?.(inputs, value.attrs, outputSpecs(value))?.strided === true;
        inputs = inputs.map((input) => inMemory(input, strided));
      }
    }
    let next = withInputs(value, inputs);
    if (isMovement(next) && views.resolve(next) === undefined) next = { ...next, inputs: [copyOf(inputs[0])] };
    if (next !== value) renamed.set(value, next);
    emit(next);
  }

  // Every output and every overwritten input gets a value of its own that a step can store where it belongs. A reshaped output is what it is a reshape of.
  const taken = new Set<Value>();
  const unshaped = (value: Value): Value => {
    const found = isMovement(value) ? views.resolve(value) : undefined;
    const whole = found !== undefined && found.view.offset === 0 && isContiguous(found.view) && sizeOf(found.view.shape) === sizeOf(found.base.shape);
    return whole ? found.base : value;
  };
  const ownStorage = (value: Value, scalarOnly: boolean): Value => {
    const stored = value.kind === "op" && !isMovement(value) && views.resolve(value)?.virtual === false && !taken.has(value) && (!scalarOnly || isScalar(value));
    const own = stored ? value : emit(copyValue(value));
    taken.add(own);
    return own;
  };
  const assignments = wanted.assignments.map(({ old, value }, i): Assignment => {
    if (!late.has(i)) return { old, value: ownStorage(now(value), true) };
    const source = now(value);
    const computed = source.kind === "op" && views.resolve(source)?.base.kind === "op"; // else it is an input, which may itself be overwritten
    const copy = emit(copyValue(inMemory(computed ? source : copyOf(source), true)));
    barriers.add(copy);
    taken.add(copy);
    return { old, value: copy };
  });
  const outputs = wanted.outputs.map((value) => ownStorage(unshaped(now(value)), false));
  return { values: placed, wanted: { outputs, assignments }, views, barriers };
}
