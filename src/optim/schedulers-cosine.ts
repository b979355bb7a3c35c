import { checkChoice, checkNumber, checkOptions, GraftError } from "../base/index.js";
import { Scheduler, type AnyOptimizer, type SchedulerState } from "./scheduler.js";

/**
 * From the rate to `etaMin` along half a cosine in `tMax` steps, and back up after that
 * (Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017).
 * @example
 * new optim.CosineAnnealingLR(optimizer, { tMax: epochs * loader.length });
 */
export class CosineAnnealingLR extends Scheduler {
  readonly tMax: number;
  readonly etaMin: number;
  constructor(optimizer: AnyOptimizer, options: { readonly tMax: number; readonly etaMin?: number }) {
    checkOptions("CosineAnnealingLR", options, ["tMax", "etaMin"]);
    super(optimizer);
    this.tMax = checkNumber("CosineAnnealingLR", "tMax", options.tMax, { min: 1, whole: true });
    this.etaMin = options.etaMin ?? 0;
    this.start();
  }
  protected rates(): number[] {
    if (this.starting) return this.current;
    const t = this.lastEpoch;
    // at the bottom the ratio of two cosines would be 0 / 0, so the first step up is taken from the closed form
    if ((t - 1 - this.tMax) % (2 * this.tMax) === 0) return this.current.map((lr, i) => lr + ((this.baseLrs[i] - this.etaMin) * (1 - Math.cos(Math.PI / this.tMax))) / 2);
    const ratio = (1 + Math.cos((Math.PI * t) / this.tMax)) / (1 + Math.cos((Math.PI * (t - 1)) / this.tMax));
    return this.current.map((lr) => ratio * (lr - this.etaMin) + this.etaMin);
  }
}

/** Cosine annealing that jumps back to the top after `t0` steps, then after `t0 * tMult`, and so on (Loshchilov and Hutter 2017). */
export class CosineAnnealingWarmRestarts extends Scheduler {
  readonly t0: number;
  readonly tMult: number;
  readonly etaMin: number;
  /** Steps since the last restart, and length of this cycle. */
  private sinceRestart = -1;
  private cycle: number;
  constructor(optimizer: AnyOptimizer, options: { readonly t0: number; readonly tMult?: number; readonly etaMin?: number }) {
    checkOptions("CosineAnnealingWarmRestarts", options, ["t0", "tMult", "etaMin"]);
    super(optimizer);
    this.t0 = checkNumber("CosineAnnealingWarmRestarts", "t0", options.t0, { min: 1, whole: true });
    this.tMult = checkNumber("CosineAnnealingWarmRestarts", "tMult", options.tMult ?? 1, { min: 1, whole: true });
    this.etaMin = options.etaMin ?? 0;
    this.cycle = this.t0;
    this.start();
  }
  protected rates(): number[] {
    if (this.starting) [this.sinceRestart, this.cycle] = [0, this.t0];
    else if (++this.sinceRestart >= this.cycle) {
      this.sinceRestart -= this.cycle;
      this.cycle *= this.tMult;
    }
    return this.baseLrs.map((lr) => this.etaMin + ((lr - this.etaMin) * (1 + Math.cos((Math.PI * this.sinceRestart) / this.cycle))) / 2);
  }
  override stateDict(): SchedulerState {
    return { ...super.stateDict(), sinceRestart: this.sinceRestart, cycle: this.cycle };
  }
  override loadStateDict(state: SchedulerState): void {
    super.loadStateDict(state);
    [this.sinceRestart, this.cycle] = [state.sinceRestart as number, state.cycle as number];
  }
}

/** Options of {@link OneCycleLR}. */
export interface OneCycleOptions {
  /** The highest rate, for all groups or one each. */
  readonly maxLr: number | readonly number[];
  /** Steps of the whole cycle; or give `epochs` and `stepsPerEpoch`. */
  readonly totalSteps?: number;
  readonly epochs?: number;
  readonly stepsPerEpoch?: number;
  /** Share of the steps in which the rate rises. Default: 0.3. */
  readonly pctStart?: number;
  /** Default: "cos". */
  readonly annealStrategy?: "cos" | "linear";
  /** Lets the momentum (or the first beta) fall while the rate rises. Default: true. */
  readonly cycleMomentum?: boolean;
  /** Default: 0.85. */
  readonly baseMomentum?: number | readonly number[];
  /** Default: 0.95. */
  readonly maxMomentum?: number | readonly number[];
  /** The first rate is maxLr / divFactor. Default: 25. */
  readonly divFactor?: number;
  /** The last rate is the first / finalDivFactor. Default: 1e4. */
  readonly finalDivFactor?: number;
  /** Goes down to the first rate, then to the last, in two phases. Default: false. */
  readonly threePhase?: boolean;
}

const oneCycleKnown = ["maxLr", "totalSteps", "epochs", "stepsPerEpoch", "pctStart", "annealStrategy", "cycleMomentum", "baseMomentum", "maxMomentum", "divFactor", "finalDivFactor", "threePhase"] as const;

interface Phase {
  readonly end: number;
  readonly rate: readonly ["first" | "top" | "last", "first" | "top" | "last"];
  readonly momentum: readonly ["low" | "high", "low" | "high"];
}

type Momentum = { momentum?: number; betas?: readonly [number, number] };

/**
 * Up to a high rate and down to almost nothing, the momentum the other way round (Smith and Topin, "Super-convergence: very fast training of neural networks
 * using large learning rates", 2018). One step per batch. Throws `argument` when it is stepped beyond the cycle.
 */
export class OneCycleLR extends Scheduler {
  readonly totalSteps: number;
  private readonly phases: readonly Phase[];
  private readonly ends: readonly { readonly first: number; readonly top: number; readonly last: number }[];
  private readonly momenta: readonly { readonly low: number; readonly high: number }[] | undefined;
  private readonly anneal: (from: number, to: number, share: number) => number;

  constructor(optimizer: AnyOptimizer, options: OneCycleOptions) {
    checkOptions("OneCycleLR", options, oneCycleKnown);
    super(optimizer);
    const groups = optimizer.paramGroups;
    const perGroup = (name: string, value: number | readonly number[]): number[] => {
      const values = typeof value === "number" ? groups.map(() => value) : [...value];
      if (values.length !== groups.length) throw new GraftError("argument", `OneCycleLR: ${name} has ${values.length} values for ${groups.length} parameter groups. Give one, or one per group.`);
      return values;
    };
    const steps = options.totalSteps ?? (options.epochs ?? NaN) * (options.stepsPerEpoch ?? NaN);
    if (Number.isNaN(steps)) throw new GraftError("argument", "OneCycleLR: the length is unknown. Give totalSteps, or epochs and stepsPerEpoch.");
    this.totalSteps = checkNumber("OneCycleLR", "totalSteps", steps, { min: 1, whole: true });
    const rise = checkNumber("OneCycleLR", "pctStart", options.pctStart ?? 0.3, { min: 0, max: 1 }) * this.totalSteps;
    this.phases = options.threePhase
      ? [
          { end: rise - 1, rate: ["first", "top"], momentum: ["high", "low"] },
          { end: 2 * rise - 2, rate: ["top", "first"], momentum: ["low", "high"] },
          { end: this.totalSteps - 1, rate: ["first", "last"], momentum: ["high", "high"] },
        ]
      : [
          { end: rise - 1, rate: ["first", "top"], momentum: ["high", "low"] },
          { end: this.totalSteps - 1, rate: ["top", "last"], momentum: ["low", "high"] },
        ];
    this.anneal =
      checkChoice("OneCycleLR", "annealStrategy", options.annealStrategy ?? "cos", ["cos", "linear"]) === "cos"
        ? (from, to, share) => to + ((from - to) / 2) * (1 + Math.cos(Math.PI * share))
        : (from, to, share) => (to - from) * share + from;
    this.ends = perGroup("maxLr", options.maxLr).map((top) => {
      const first = top / (options.divFactor ?? 25);
      return { first, top, last: first / (options.finalDivFactor ?? 1e4) };
    });
    groups.forEach((group, i) => (group.initialLr = this.ends[i].first));
    this.baseLrs = this.ends.map((ends) => ends.first);
    if (options.cycleMomentum ?? true) {
      if (!("momentum" in optimizer.defaults || "betas" in optimizer.defaults)) throw new GraftError("argument", "OneCycleLR: the optimizer has neither momentum nor betas. Pass { cycleMomentum: false }.");
      const high = perGroup("maxMomentum", options.maxMomentum ?? 0.95);
      this.momenta = perGroup("baseMomentum", options.baseMomentum ?? 0.85).map((low, i) => ({ low, high: high[i] }));
    }
    this.start();
  }

  protected rates(): number[] {
    const t = this.lastEpoch;
    if (t > this.totalSteps) throw new GraftError("argument", `OneCycleLR: step ${t} is beyond the cycle of ${this.totalSteps} steps. Make it with a larger totalSteps.`);
    const at = Math.max(0, this.phases.findIndex(({ end }, i) => t <= end || i === this.phases.length - 1));
    const begin = at === 0 ? 0 : this.phases[at - 1].end;
    const { end, rate, momentum } = this.phases[at];
    const share = (t - begin) / (end - begin);
    this.momenta?.forEach((ends, i) => this.setMomentum(i, this.anneal(ends[momentum[0]], ends[momentum[1]], share)));
    return this.ends.map((ends) => this.anneal(ends[rate[0]], ends[rate[1]], share));
  }

  private setMomentum(index: number, value: number): void {
    const group = this.optimizer.paramGroups[index] as Momentum;
    if (group.betas) group.betas = [value, group.betas[1]];
    else group.momentum = value;
  }
}
