import { computeDType, fromData, sizeOf, Tensor, type DType, type Shape } from "../graph/index.js";
import { cast, currentTrace, neg, scalarInput } from "../ops/index.js";
import { currentBackend } from "../runtime/index.js";

/** What an optimiser keeps about one parameter: tensors of its shape, and numbers. */
export type ParamState = Record<string, Tensor | number>;

/** What an update rule gets for one parameter. */
export interface Update<O> {
  /** The parameter's value, in arithmetic precision (f32 for bf16 and f16). */
  readonly param: Tensor;
  /** Its gradient, negated with `maximize`. */
  readonly grad: Tensor;
  readonly group: O;
  readonly state: ParamState;
  /** Number of the current step for this parameter, from 1. */
  readonly step: number;
  /**
   * A number that may change from step to step, as a 0-d tensor: it is data, so the plan stays the same. The function is asked again when a compiled step
   * is replayed, so it reads `group`, `state` and `step` itself. Equal numbers are shared.
   */
  readonly number: (value: () => number) => Tensor;
  /** Host-side work of every step (numbers kept in `state`): done now, and again when a compiled step is replayed. */
  readonly everyStep: (work: () => void) => void;
  /** The state tensor of a name; made of zeros (or `fill`) at first. */
  readonly tensor: (name: string, fill?: number, shape?: Shape) => Tensor;
}

/** The numbers of one step as 0-d tensors; equal ones are one. */
export class SharedNumbers {
  private readonly known = new Map<number, { readonly tensor: Tensor; readonly group: object; readonly formula: string }[]>();

  get(value: () => number, dtype: DType, group: object): Tensor {
    const now = value();
    // what is equal now may differ at a replay, unless it is the same formula over the same group
    const formula = currentTrace() === undefined ? "" : String(value);
    let entries = this.known.get(now);
    if (entries === undefined) this.known.set(now, (entries = []));
    for (const entry of entries) if (entry.tensor.dtype === dtype && entry.formula === formula && (formula === "" || entry.group === group)) return entry.tensor;
    const tensor = scalarInput(value, dtype);
    entries.push({ tensor, group, formula });
    return tensor;
  }
}

/** The update of one parameter in one step. */
export class ParameterUpdate<O> implements Update<O> {
  readonly param: Tensor;
  readonly grad: Tensor;
  private readonly dtype: DType;

  constructor(
    private readonly parameter: Tensor,
    gradient: Tensor,
    readonly group: O & object,
    readonly state: ParamState,
    private readonly shared: SharedNumbers,
  ) {
    this.dtype = computeDType(parameter.dtype);
    this.param = cast(parameter, this.dtype);
    const grad = cast(gradient, this.dtype);
    this.grad = (group as { maximize?: boolean }).maximize ? neg(grad) : grad;
    this.everyStep(() => (state.step = ((state.step as number | undefined) ?? 0) + 1));
  }

  get step(): number {
    return this.state.step as number;
  }

  readonly number = (value: () => number): Tensor => this.shared.get(value, this.dtype, this.group);

  readonly everyStep = (work: () => void): void => {
    work();
    currentTrace()?.refresh.push(work);
  };

  readonly tensor = (name: string, fill = 0, shape: Shape = this.parameter.shape): Tensor => {
    const found = this.state[name];
    if (found instanceof Tensor) return found;
    return (this.state[name] = fromData(currentBackend().allocate(this.dtype, sizeOf(shape)).fill(fill), shape, this.dtype)); // where steps like it to be: large ones in huge pages
  };
}
