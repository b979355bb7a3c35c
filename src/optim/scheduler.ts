import { GraftError } from "../base/index.js";
import type { Optimizer, BaseOptions, ParamGroup } from "./optimizer.js";

/** What schedulers see of an optimiser, whatever its options. */
export type AnyOptimizer = Pick<Optimizer<BaseOptions>, "defaults"> & { readonly paramGroups: readonly ParamGroup<BaseOptions>[] };

/** What a scheduler saves: numbers and lists of numbers, and the states of schedulers inside it. */
export interface SchedulerState {
  readonly [name: string]: number | readonly number[] | boolean | readonly SchedulerState[];
}

/**
 * The base of all schedulers. `step()` after each optimiser step (or epoch) sets the learning rates of all groups; making the scheduler sets those of
 * the first step. A subclass computes the rates in `rates()` from the current ones, as PyTorch's chainable forms do, so that schedulers can be
 * combined and other changes of the rate are kept.
 */
export abstract class Scheduler {
  /** Learning rate of each group at the start. */
  baseLrs: number[];
  /** Number of steps done; 0 after construction. */
  lastEpoch = -1;
  /** Whether the first rates are being set. */
  protected starting = false;
  protected lastLrs: number[] = [];

  constructor(readonly optimizer: AnyOptimizer) {
    if (typeof optimizer !== "object" || optimizer === null || !("paramGroups" in optimizer)) throw new GraftError("argument", `${new.target.name}: the first argument is ${String(optimizer)}. Pass the optimizer.`);
    for (const group of optimizer.paramGroups) group.initialLr ??= group.lr;
    this.baseLrs = optimizer.paramGroups.map((group) => group.initialLr!);
  }

  /** Called at the end of every constructor. */
  protected start(): void {
    this.starting = true;
    this.step();
    this.starting = false;
  }

  /** The rates of all groups at `lastEpoch`. */
  protected abstract rates(): number[];

  /** The current rates of all groups. */
  protected get current(): number[] {
    return this.optimizer.paramGroups.map((group) => group.lr);
  }

  /** Goes on by one step and sets the learning rates. */
  step(): void {
    this.lastEpoch++;
    this.apply(this.rates());
  }

  protected apply(rates: readonly number[]): void {
    this.optimizer.paramGroups.forEach((group, i) => (group.lr = rates[i]));
    this.lastLrs = this.current;
  }

  /** The learning rate of each group as set last. */
  getLastLr(): readonly number[] {
    return this.lastLrs;
  }

  /** Starts again from step 0, with the rates from the start; used when one scheduler follows another. */
  restart(): void {
    this.lastEpoch = -1;
    this.optimizer.paramGroups.forEach((group, i) => (group.lr = this.baseLrs[i]));
    this.start();
  }

  /** Numbers that `step` changes; subclasses add theirs. */
  stateDict(): SchedulerState {
    return { lastEpoch: this.lastEpoch, baseLrs: [...this.baseLrs], lastLrs: [...this.lastLrs] };
  }

  /** Restores what `stateDict` returned; load the optimiser's state too, which holds the rates. Throws `state` for another number of groups. */
  loadStateDict(state: SchedulerState): void {
    const { lastEpoch, baseLrs, lastLrs } = state;
    if (typeof lastEpoch !== "number" || !Array.isArray(baseLrs) || !Array.isArray(lastLrs)) throw new GraftError("state", `${this.constructor.name}.loadStateDict: lastEpoch, baseLrs or lastLrs is missing. Pass what stateDict() returned.`);
    if (baseLrs.length !== this.baseLrs.length) throw new GraftError("state", `${this.constructor.name}.loadStateDict: the state has ${baseLrs.length} parameter groups, the optimizer ${this.baseLrs.length}.`);
    this.lastEpoch = lastEpoch;
    this.baseLrs = [...(baseLrs as number[])];
    this.lastLrs = [...(lastLrs as number[])];
  }
}
