import { checkNumber, checkOptions, GraftError } from "../base/index.js";
import { inScope, noGrad, showShape, Tensor, withGrad } from "../graph/index.js";
import { assign } from "../ops/index.js";
import { realize } from "../runtime/index.js";
import { readState, writeState, type OptimizerState, type StateSource } from "./state.js";
import { ParameterUpdate, SharedNumbers, type ParamState, type Update } from "./update.js";

export type { ParamState, Update } from "./update.js";

/** Options that every optimiser has. */
export interface BaseOptions {
  /** Learning rate; schedulers change it. */
  lr: number;
}

/** Parameters with the options of their group. */
export type ParamGroup<O> = O & {
  params: Tensor[];
  /** Names of the parameters, where they were given. */
  names?: string[];
  /** The learning rate at the start, which schedulers keep here. */
  initialLr?: number;
};

/** A group as it is given: parameters, or [name, parameter] entries, and the options that differ from the optimiser's. */
export type GroupInput<O> = Partial<O> & { readonly params: Iterable<Tensor> | Iterable<readonly [string, Tensor]> };

/** What an optimiser is made over: parameters, entries such as `model.namedParameters()`, or groups. */
export type ParamsInput<O> = Iterable<Tensor> | Iterable<readonly [string, Tensor]> | Iterable<GroupInput<O>>;

/** Computes the loss and its gradients again; for optimisers that look at several points per step. */
export type Closure = () => Tensor | Promise<Tensor>;

/** Throws `argument`, with what to do instead, for anything but a function: other libraries' steps take a loss. */
export function checkClosure(name: string, closure: unknown, instead: string): void {
  if (closure === undefined || typeof closure === "function") return;
  throw new GraftError("argument", `${name}: step was given ${closure instanceof Tensor ? "a tensor" : `a ${typeof closure}`}, not a function. ${instead}`);
}

/** An object without its undefined entries. */
const defined = <T extends object>(options: T): Partial<T> => Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<T>;

/**
 * The base of all optimisers. A step records the new value of every parameter and state as graph operations and computes everything, with the
 * forward and backward pass that the gradients need, in one plan. Parameters without a gradient are passed over.
 *
 * A subclass gives `defaults` and `update`, which returns the new value of one parameter and assigns its state.
 */
export abstract class Optimizer<O extends BaseOptions> {
  /** Parameter groups; their options may be changed between steps. */
  readonly paramGroups: ParamGroup<O>[] = [];
  /** State by parameter. */
  readonly state = new Map<Tensor, ParamState>();

  /** The options that groups have unless they say otherwise. */
  readonly defaults: O;

  constructor(params: ParamsInput<O>, defaults: O, given: Partial<O>) {
    checkOptions<Partial<O>>(new.target.name, given, Object.keys(defaults) as (keyof O & string)[]);
    this.defaults = { ...defaults, ...defined(given) };
    const items: unknown[] = [...params];
    if (items.length === 0) throw new GraftError("argument", `${new.target.name}: there are no parameters. Pass model.parameters(), or a list of groups [{ params, lr }].`);
    if (items.every((item) => item instanceof Tensor || Array.isArray(item))) this.addParamGroup({ params: items } as unknown as GroupInput<O>);
    else for (const group of items) this.addParamGroup(group as GroupInput<O>);
  }

  /** Adds parameters with options of their own (what is left out comes from the optimiser's). Throws `argument` for parameters that are there already. */
  addParamGroup(group: GroupInput<O>): void {
    const name = this.constructor.name;
    if (typeof group !== "object" || group === null || !("params" in group)) throw new GraftError("argument", `${name}: a parameter group is { params, ...options }. Do not mix groups with single parameters.`);
    const { params, ...options } = group;
    checkOptions<Partial<O>>(`${name} group`, options as unknown as Partial<O>, Object.keys(this.defaults) as (keyof O & string)[]);
    const entries = params instanceof Tensor ? [params] : [...params];
    const known = new Set(this.paramGroups.flatMap((other) => other.params));
    const tensors = entries.map((entry, i) => {
      const tensor: unknown = Array.isArray(entry) ? entry[1] : entry;
      const label = Array.isArray(entry) ? String(entry[0]) : `parameter ${i}`;
      if (!(tensor instanceof Tensor)) throw new GraftError("argument", `${name}: ${label} is ${String(tensor)}, not a Tensor.`);
      if (tensor.node.inputs.length > 0 && tensor.node.variable === undefined) throw new GraftError("argument", `${name}: ${label} ${showShape(tensor.shape)} is computed by ${tensor.node.op.name}. Only leaves can be optimised.`);
      if (known.has(tensor)) throw new GraftError("argument", `${name}: ${label} ${showShape(tensor.shape)} appears twice. Give each parameter once.`);
      known.add(tensor);
      return tensor;
    });
    const full = { ...this.defaults, ...defined(options), params: tensors } as ParamGroup<O>;
    if (entries.some((entry) => Array.isArray(entry))) full.names = entries.map((entry, i) => (Array.isArray(entry) ? String(entry[0]) : String(i)));
    checkNumber(name, "lr", full.lr, { min: 0 });
    this.checkGroup(full);
    this.paramGroups.push(full);
  }

  /** Checks the options of a group; throws `argument`. */
  protected checkGroup(group: O): void {
    void group;
  }

  /** Forgets the gradients of all parameters. */
  zeroGrad(): void {
    for (const group of this.paramGroups) for (const param of group.params) param.grad = null;
  }

  /**
   * Updates all parameters that have a gradient. With a closure, it is called first, to compute the loss and the gradients, and its loss is returned.
   * Throws what computing throws (`numeric`, `memory`, `index`, ...); the parameters are then unchanged.
   */
  async step(closure?: Closure): Promise<Tensor | undefined> {
    checkClosure(this.constructor.name, closure, "Call loss.backward(), then step() without it.");
    const loss = closure === undefined ? undefined : await withGrad(true, closure);
    const before = new Map<Tensor, ParamState>();
    for (const [param, state] of this.state) before.set(param, { ...state });
    this.record();
    try {
      await realize();
    } catch (error) {
      // the runtime has put the tensors back; the counters go with them
      this.state.clear();
      for (const [param, state] of before) this.state.set(param, state);
      throw error;
    }
    return loss;
  }

  /** Records the update of all parameters without computing it; the next computation of anything does it. */
  record(): void {
    inScope("optimizer", () => noGrad(() => this.recordAll()), "update");
  }

  private recordAll(): void {
    const shared = new SharedNumbers();
    for (const group of this.paramGroups) {
      for (const param of group.params) {
        if (param.grad !== null) assign(param, this.update(new ParameterUpdate<O>(param, param.grad, group, this.stateOf(param), shared)));
      }
    }
  }

  /** The new value of one parameter. New values of state tensors are given with `assign`. */
  protected abstract update(update: Update<O>): Tensor;

  /** The state of a parameter, empty at first. */
  protected stateOf(param: Tensor): ParamState {
    let state = this.state.get(param);
    if (state === undefined) this.state.set(param, (state = {}));
    return state;
  }

  /**
   * Everything that must be saved to go on later: `tensors` by `<parameter number>.<name>` (the live ones), and `values`, plain JSON with the
   * numbers per parameter and the options of the groups.
   */
  stateDict(): OptimizerState {
    return writeState(this.paramGroups, this.state);
  }

  /**
   * Restores what `stateDict` returned (tensors may be host data from a file). The groups must have as many parameters as then. All
   * problems are collected and thrown once as `state`, before anything is changed.
   */
  loadStateDict(source: StateSource): void {
    readState(this.constructor.name, source, this.paramGroups, this.state);
  }
}
