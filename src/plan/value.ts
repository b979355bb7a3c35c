import type { Attrs, DType, Op, Shape, Spec } from "../graph/index.js";

/**
 * The compiler's own copy of a node: equal computations are one value, constants are folded. Values refer to values only, so that a cached
 * plan holds on to nobody's tensors.
 */
export interface Value extends Spec {
  readonly kind: "input" | "constant" | "op";
  readonly op: Op;
  readonly attrs: Attrs;
  readonly inputs: readonly Value[];
  readonly shape: Shape;
  readonly dtype: DType;
  /** Specs of all outputs of an op that has several. */
  readonly outputs: readonly Spec[] | undefined;
  /** `input`: index of the node that gives the memory; otherwise of the node that it was made from. */
  readonly origin: number;
  /** `constant`: the number that every element has. */
  readonly constant: number;
  /** In memory before what reads it is computed: it is never part of a reader's group. */
  readonly stored?: boolean;
}

/** The same value of other inputs; itself where they are those that it has. */
export const withInputs = (value: Value, inputs: readonly Value[]): Value => (inputs.every((input, i) => input === value.inputs[i]) ? value : { ...value, inputs });

/** Makes values, each distinct computation once. */
export class ValueTable {
  private readonly known = new Map<string, Value>();
  private readonly ids = new Map<Value, number>();
  /** All values, inputs before users. */
  readonly values: Value[] = [];

  add(value: Value, key: string): Value {
    const found = this.known.get(key);
    if (found !== undefined) return found;
    this.known.set(key, value);
    this.ids.set(value, this.values.length);
    this.values.push(value);
    return value;
  }

  id(value: Value): number {
    return this.ids.get(value) as number;
  }
}
