import { checkNumber, checkOptions, GraftError } from "../base/index.js";
import { Scheduler, type AnyOptimizer } from "./scheduler.js";

const whole = { min: 1, whole: true } as const;

/**
 * Multiplies the rate by `gamma` every `stepSize` steps.
 * @example
 * new optim.StepLR(optimizer, { stepSize: 30, gamma: 0.1 });
 */
export class StepLR extends Scheduler {
  readonly stepSize: number;
  readonly gamma: number;
  constructor(optimizer: AnyOptimizer, options: { readonly stepSize: number; readonly gamma?: number }) {
    checkOptions("StepLR", options, ["stepSize", "gamma"]);
    super(optimizer);
    this.stepSize = checkNumber("StepLR", "stepSize", options.stepSize, whole);
    this.gamma = options.gamma ?? 0.1;
    this.start();
  }
  protected rates(): number[] {
    const falls = this.lastEpoch > 0 && this.lastEpoch % this.stepSize === 0;
    return falls ? this.current.map((lr) => lr * this.gamma) : this.current;
  }
}

/** Multiplies the rate by `gamma` at each of the given steps (several times where one is named several times). */
export class MultiStepLR extends Scheduler {
  readonly milestones: readonly number[];
  readonly gamma: number;
  constructor(optimizer: AnyOptimizer, options: { readonly milestones: readonly number[]; readonly gamma?: number }) {
    checkOptions("MultiStepLR", options, ["milestones", "gamma"]);
    super(optimizer);
    this.milestones = options.milestones;
    this.gamma = options.gamma ?? 0.1;
    this.start();
  }
  protected rates(): number[] {
    const times = this.milestones.filter((milestone) => milestone === this.lastEpoch).length;
    return times > 0 ? this.current.map((lr) => lr * this.gamma ** times) : this.current;
  }
}

/** Multiplies the rate by `gamma` at every step. */
export class ExponentialLR extends Scheduler {
  readonly gamma: number;
  constructor(optimizer: AnyOptimizer, options: { readonly gamma: number }) {
    checkOptions("ExponentialLR", options, ["gamma"]);
    super(optimizer);
    this.gamma = checkNumber("ExponentialLR", "gamma", options.gamma);
    this.start();
  }
  protected rates(): number[] {
    return this.starting ? this.current : this.current.map((lr) => lr * this.gamma);
  }
}

/** The rate times `factor` for the first `totalIters` steps. */
export class ConstantLR extends Scheduler {
  readonly factor: number;
  readonly totalIters: number;
  constructor(optimizer: AnyOptimizer, options: { readonly factor?: number; readonly totalIters?: number } = {}) {
    checkOptions("ConstantLR", options, ["factor", "totalIters"]);
    super(optimizer);
    this.factor = checkNumber("ConstantLR", "factor", options.factor ?? 1 / 3, { above: 0, max: 1 });
    this.totalIters = options.totalIters ?? 5;
    this.start();
  }
  protected rates(): number[] {
    if (this.lastEpoch === 0) return this.current.map((lr) => lr * this.factor);
    return this.lastEpoch === this.totalIters ? this.current.map((lr) => lr * (1 / this.factor)) : this.current;
  }
}

/** A factor that goes linearly from `startFactor` to `endFactor` in `totalIters` steps and stays there. Default: 1/3 to 1 in 5. */
export class LinearLR extends Scheduler {
  readonly startFactor: number;
  readonly endFactor: number;
  readonly totalIters: number;
  constructor(optimizer: AnyOptimizer, options: { readonly startFactor?: number; readonly endFactor?: number; readonly totalIters?: number } = {}) {
    checkOptions("LinearLR", options, ["startFactor", "endFactor", "totalIters"]);
    super(optimizer);
    this.startFactor = checkNumber("LinearLR", "startFactor", options.startFactor ?? 1 / 3, { above: 0, max: 1 });
    this.endFactor = checkNumber("LinearLR", "endFactor", options.endFactor ?? 1, { min: 0, max: 1 });
    this.totalIters = checkNumber("LinearLR", "totalIters", options.totalIters ?? 5, whole);
    this.start();
  }
  protected rates(): number[] {
    if (this.lastEpoch === 0) return this.current.map((lr) => lr * this.startFactor);
    if (this.lastEpoch > this.totalIters) return this.current;
    const slope = this.endFactor - this.startFactor;
    return this.current.map((lr) => lr * (1 + slope / (this.totalIters * this.startFactor + (this.lastEpoch - 1) * slope)));
  }
}

/** The rate times (1 - t / totalIters)^power, 0 from then on. */
export class PolynomialLR extends Scheduler {
  readonly totalIters: number;
  readonly power: number;
  constructor(optimizer: AnyOptimizer, options: { readonly totalIters?: number; readonly power?: number } = {}) {
    checkOptions("PolynomialLR", options, ["totalIters", "power"]);
    super(optimizer);
    this.totalIters = checkNumber("PolynomialLR", "totalIters", options.totalIters ?? 5, whole);
    this.power = options.power ?? 1;
    this.start();
  }
  protected rates(): number[] {
    if (this.starting || this.lastEpoch > this.totalIters) return this.current;
    const factor = ((1 - this.lastEpoch / this.totalIters) / (1 - (this.lastEpoch - 1) / this.totalIters)) ** this.power;
    return this.current.map((lr) => lr * factor);
  }
}

/** The rate at the start times a function of the step, the same for all groups or one each. The function is not saved. */
export class LambdaLR extends Scheduler {
  private readonly lambdas: readonly ((step: number) => number)[];
  constructor(optimizer: AnyOptimizer, lrLambda: ((step: number) => number) | readonly ((step: number) => number)[]) {
    super(optimizer);
    this.lambdas = typeof lrLambda === "function" ? this.baseLrs.map(() => lrLambda) : lrLambda;
    if (this.lambdas.length !== this.baseLrs.length) throw new GraftError("argument", `LambdaLR: there are ${this.lambdas.length} functions for ${this.baseLrs.length} parameter groups. Give one, or one per group.`);
    this.start();
  }
  protected rates(): number[] {
    return this.baseLrs.map((lr, i) => lr * this.lambdas[i](this.lastEpoch));
  }
}
