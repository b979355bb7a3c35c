import { checkChoice, checkNumber, checkOptions, GraftError } from "../base/index.js";
import { LinearLR } from "./schedulers.js";
import { Scheduler, type AnyOptimizer, type SchedulerState } from "./scheduler.js";

function checkSchedulers(name: string, optimizer: AnyOptimizer, schedulers: readonly Scheduler[]): void {
  if (schedulers.length === 0) throw new GraftError("argument", `${name}: there are no schedulers. Give at least one.`);
  schedulers.forEach((scheduler, i) => {
    if (scheduler.optimizer !== optimizer) throw new GraftError("argument", `${name}: scheduler ${i} (${scheduler.constructor.name}) belongs to another optimizer. Make all of them over the same.`);
  });
}

/** The states of schedulers inside another one. */
function loadAll(name: string, schedulers: readonly Scheduler[], state: SchedulerState): void {
  const states = state.schedulers as readonly SchedulerState[] | undefined;
  if (!Array.isArray(states) || states.length !== schedulers.length) throw new GraftError("state", `${name}.loadStateDict: the state has ${Array.isArray(states) ? states.length : "no"} schedulers, not ${schedulers.length}.`);
  schedulers.forEach((scheduler, i) => scheduler.loadStateDict(states[i] as SchedulerState));
}

/**
 * One scheduler after the other: the next takes over at each milestone, counting from 0.
 * @example
 * const warm = new optim.LinearLR(optimizer, { startFactor: 0.01, totalIters: 100 });
 * const fall = new optim.CosineAnnealingLR(optimizer, { tMax: 900 });
 * new optim.SequentialLR(optimizer, [warm, fall], { milestones: [100] });
 */
export class SequentialLR extends Scheduler {
  readonly milestones: readonly number[];
  constructor(
    optimizer: AnyOptimizer,
    readonly schedulers: readonly Scheduler[],
    options: { readonly milestones: readonly number[] },
  ) {
    checkOptions("SequentialLR", options, ["milestones"]);
    super(optimizer);
    checkSchedulers("SequentialLR", optimizer, schedulers);
    this.milestones = options.milestones;
    if (this.milestones.length !== schedulers.length - 1) throw new GraftError("argument", `SequentialLR: ${schedulers.length} schedulers need ${schedulers.length - 1} milestones, not ${this.milestones.length}.`);
    this.start();
  }

  private get active(): number {
    return this.milestones.filter((milestone) => milestone <= this.lastEpoch).length;
  }

  override step(): void {
    this.lastEpoch++;
    const scheduler = this.schedulers[this.active];
    if (this.starting || this.milestones.includes(this.lastEpoch)) scheduler.restart();
    else scheduler.step();
    this.lastLrs = this.current;
  }
  protected rates(): number[] {
    return this.current;
  }

  override stateDict(): SchedulerState {
    return { ...super.stateDict(), schedulers: this.schedulers.map((scheduler) => scheduler.stateDict()) };
  }
  override loadStateDict(state: SchedulerState): void {
    super.loadStateDict(state);
    loadAll("SequentialLR", this.schedulers, state);
  }
}

/** All schedulers at every step, each on the rate that the ones before it left. */
export class ChainedScheduler extends Scheduler {
  constructor(readonly schedulers: readonly Scheduler[]) {
    super(schedulers[0]?.optimizer);
    checkSchedulers("ChainedScheduler", this.optimizer, schedulers);
    this.lastEpoch = 0;
    this.lastLrs = this.current;
  }
  override step(): void {
    this.lastEpoch++;
    for (const scheduler of this.schedulers) scheduler.step();
    this.lastLrs = this.current;
  }
  protected rates(): number[] {
    return this.current;
  }
  override restart(): void {
    this.lastEpoch = 0;
    for (const scheduler of this.schedulers) scheduler.restart();
    this.lastLrs = this.current;
  }
  override stateDict(): SchedulerState {
    return { ...super.stateDict(), schedulers: this.schedulers.map((scheduler) => scheduler.stateDict()) };
  }
  override loadStateDict(state: SchedulerState): void {
    super.loadStateDict(state);
    loadAll("ChainedScheduler", this.schedulers, state);
  }
}

/**
 * A linear rise over `steps` steps, then another scheduler from its start.
 * @example
 * optim.warmup(optimizer, { steps: 100 }, () => new optim.CosineAnnealingLR(optimizer, { tMax: 900 }));
 */
export function warmup(optimizer: AnyOptimizer, options: { readonly steps: number; readonly startFactor?: number }, then: () => Scheduler): SequentialLR {
  checkOptions("warmup", options, ["steps", "startFactor"]);
  const steps = checkNumber("warmup", "steps", options.steps, { min: 1, whole: true });
  const next = then();
  const rise = new LinearLR(optimizer, { startFactor: options.startFactor ?? 1 / (steps + 1), totalIters: steps });
  return new SequentialLR(optimizer, [rise, next], { milestones: [steps] });
}

/** Options of {@link WSD}. */
export interface WSDOptions {
  readonly warmupSteps: number;
  readonly stableSteps: number;
  readonly decaySteps: number;
  /** Lowest factor of the rate. Default: 0. */
  readonly minFactor?: number;
  /** Shape of the fall. Default: "linear". */
  readonly decay?: "linear" | "cosine" | "sqrt";
}

/**
 * Warm-up, stable, decay: a linear rise, a constant rate, a fall to `minFactor` (Hu et al., "MiniCPM", 2024; `sqrt`, 1 - sqrt(t), from
 * Hägele et al., "Scaling laws and compute-optimal training beyond fixed training durations", 2024).
 */
export class WSD extends Scheduler {
  private readonly options: Required<WSDOptions>;
  constructor(optimizer: AnyOptimizer, options: WSDOptions) {
    checkOptions("WSD", options, ["warmupSteps", "stableSteps", "decaySteps", "minFactor", "decay"]);
    super(optimizer);
    this.options = { minFactor: 0, decay: "linear", ...options };
    for (const name of ["warmupSteps", "stableSteps", "decaySteps"] as const) checkNumber("WSD", name, options[name], { min: 0, whole: true });
    checkNumber("WSD", "minFactor", this.options.minFactor, { min: 0, max: 1 });
    checkChoice("WSD", "decay", this.options.decay, ["linear", "cosine", "sqrt"]);
    this.start();
  }
  protected rates(): number[] {
    const { warmupSteps, stableSteps, decaySteps, minFactor, decay } = this.options;
    const t = this.lastEpoch;
    if (t < warmupSteps) return this.baseLrs.map((lr) => (lr * (t + 1)) / (warmupSteps + 1));
    const share = Math.min(1, Math.max(0, (t - warmupSteps - stableSteps) / Math.max(1, decaySteps)));
    const left = decay === "linear" ? 1 - share : decay === "cosine" ? (1 + Math.cos(Math.PI * share)) / 2 : 1 - Math.sqrt(share);
    return this.baseLrs.map((lr) => lr * (minFactor + (1 - minFactor) * left));
  }
}

/** Options of {@link ReduceLROnPlateau}. */
export interface PlateauOptions {
  /** Whether the metric should fall or rise. Default: "min". */
  readonly mode?: "min" | "max";
  /** Default: 0.1. */
  readonly factor?: number;
  /** Steps without improvement that are borne. Default: 10. */
  readonly patience?: number;
  /** Least change that counts as improvement. Default: 1e-4. */
  readonly threshold?: number;
  /** Whether the threshold is a share of the best value or an amount. Default: "rel". */
  readonly thresholdMode?: "rel" | "abs";
  /** Steps after a reduction in which nothing is counted. Default: 0. */
  readonly cooldown?: number;
  /** Default: 0. */
  readonly minLr?: number | readonly number[];
  /** Reductions by less are not made. Default: 1e-8. */
  readonly eps?: number;
}

const plateauKnown = ["mode", "factor", "patience", "threshold", "thresholdMode", "cooldown", "minLr", "eps"] as const;

/**
 * Multiplies the rate by `factor` when a metric has stopped improving.
 * @example
 * const scheduler = new optim.ReduceLROnPlateau(optimizer, { patience: 3 });
 * scheduler.step(validationLoss); // once per epoch
 */
export class ReduceLROnPlateau {
  private readonly options: Required<PlateauOptions>;
  private best: number;
  private bad = 0;
  private cooling = 0;
  private lastLrs: number[];
  /** Number of steps done. */
  lastEpoch = 0;

  constructor(
    readonly optimizer: AnyOptimizer,
    options: PlateauOptions = {},
  ) {
    checkOptions("ReduceLROnPlateau", options, plateauKnown);
    this.options = { mode: "min", factor: 0.1, patience: 10, threshold: 1e-4, thresholdMode: "rel", cooldown: 0, minLr: 0, eps: 1e-8, ...options };
    checkNumber("ReduceLROnPlateau", "factor", this.options.factor, { min: 0, max: 1 - Number.EPSILON });
    checkChoice("ReduceLROnPlateau", "mode", this.options.mode, ["min", "max"]);
    checkChoice("ReduceLROnPlateau", "thresholdMode", this.options.thresholdMode, ["rel", "abs"]);
    this.best = this.options.mode === "min" ? Infinity : -Infinity;
    this.lastLrs = optimizer.paramGroups.map((group) => group.lr);
  }

  private isBetter(value: number): boolean {
    const { mode, threshold, thresholdMode } = this.options;
    if (thresholdMode === "rel") return mode === "min" ? value < this.best * (1 - threshold) : value > this.best * (1 + threshold);
    return mode === "min" ? value < this.best - threshold : value > this.best + threshold;
  }

  /** Takes the metric of this epoch and reduces the rates if need be. */
  step(metric: number): void {
    if (typeof metric !== "number") throw new GraftError("argument", `ReduceLROnPlateau: step takes the metric as a number, not ${String(metric)}. Pass loss.item().`);
    this.lastEpoch++;
    if (this.isBetter(metric)) [this.best, this.bad] = [metric, 0];
    else this.bad++;
    if (this.cooling > 0) [this.cooling, this.bad] = [this.cooling - 1, 0];
    if (this.bad > this.options.patience) {
      this.reduce();
      [this.cooling, this.bad] = [this.options.cooldown, 0];
    }
    this.lastLrs = this.optimizer.paramGroups.map((group) => group.lr);
  }

  private reduce(): void {
    const { factor, minLr, eps } = this.options;
    this.optimizer.paramGroups.forEach((group, i) => {
      const lr = Math.max(group.lr * factor, typeof minLr === "number" ? minLr : (minLr[i] ?? 0));
      if (group.lr - lr > eps) group.lr = lr;
    });
  }

  /** The learning rate of each group as set last. */
  getLastLr(): readonly number[] {
    return this.lastLrs;
  }
  /** All that `step` changes. */
  stateDict(): SchedulerState {
    return { lastEpoch: this.lastEpoch, best: this.best, bad: this.bad, cooling: this.cooling, lastLrs: [...this.lastLrs] };
  }
  /** Restores what `stateDict` returned. */
  loadStateDict(state: SchedulerState): void {
    for (const name of ["lastEpoch", "best", "bad", "cooling"]) if (typeof state[name] !== "number") throw new GraftError("state", `ReduceLROnPlateau.loadStateDict: ${name} is missing. Pass what stateDict() returned.`);
    [this.lastEpoch, this.best, this.bad, this.cooling] = [state.lastEpoch, state.best, state.bad, state.cooling] as [number, number, number, number];
    this.lastLrs = [...(state.lastLrs as number[])];
  }
}
