import { checkChoice, checkNumber, GraftError } from "../base/index.js";
import type { Module } from "../nn/index.js";
import { LearningRateCurve, type LearningRatePoint } from "./learning-rate-curve.js";
import { remember, tasks, withoutTraces, type TrialData, type TrialOptions } from "./trial.js";
import type { Callbacks, FitOptions, TrainOptimizer } from "./types.js";

/** How far a range test goes. */
export interface RangeTestOptions {
  /** The first learning rate. Default: 1e-7. */
  readonly minLr?: number;
  /** The last one, where the loss does not rise before. Default: 10. */
  readonly maxLr?: number;
  /** Steps from one to the other, each with a rate that is larger by the same factor. Default: 100. */
  readonly steps?: number;
}

/** Options of {@link findLearningRate}: those of the training that a rate is looked for. */
export type FindLearningRateOptions = RangeTestOptions & TrialOptions;

/** The weight of the past in the smoothed loss. */
const smoothing = 0.9;
/** The test ends where the smoothed loss is so many times its lowest value. */
const divergence = 4;

/**
 * Learning rate range test (Smith, "Cyclical learning rates for training neural networks", 2017): trains some steps with a rate that grows exponentially, and suggests the
 * rate at which the smoothed loss falls fastest. Model, optimiser, scheduler, loader and random state are as before afterwards, to the bit; gradients are forgotten.
 *
 * Data and options are those of `train.fit`, or with `task` of `train.pretrain`, `train.sft`, `train.classify` and `train.mlm`.
 * Groups of the optimiser keep the ratios of their rates. Throws as these do.
 * @example
 * const curve = await train.findLearningRate(model, digits.train, { batchSize: 64 });
 * console.log(`${curve}`);
 * await train.fit(model, { train: digits.train, optimizer: (m) => new optim.Adam(m.parameters(), { lr: curve.suggestion }) });
 */
export async function findLearningRate(model: Module, data: TrialData, options: FindLearningRateOptions = {}): Promise<LearningRateCurve> {
  const { task = "fit", minLr = 1e-7, maxLr = 10, steps = 100, ...rest } = options;
  const op = "train.findLearningRate";
  checkChoice(op, "task", task, Object.keys(tasks));
  checkNumber(op, "minLr", minLr, { above: 0 });
  checkNumber(op, "maxLr", maxLr, { above: minLr });
  checkNumber(op, "steps", steps, { min: 10, whole: true });
  const range = new RangeTest(minLr, (maxLr / minLr) ** (1 / (steps - 1)));
  const tested = { ...rest, ...withoutTraces, ema: undefined, watchdog: undefined, ...("test" in rest ? { test: undefined } : {}), maxSteps: steps, callbacks: range.callbacks };
  const putBack = await remember(model, data, rest as Partial<FitOptions>);
  try {
    await tasks[task](model, data, tested).catch((error: unknown) => {
      if (!(error instanceof GraftError) || error.code !== "numeric" || range.points.length === 0) throw error;
      range.diverged = true; // a loss that is Inf is the end of the test, not a mistake
    });
  } finally {
    await putBack();
  }
  return new LearningRateCurve(range.points, range.diverged);
}

/** Sets the rate of each step, and notes its loss. */
class RangeTest {
  readonly points: LearningRatePoint[] = [];
  diverged = false;
  private average = 0;
  private lowest = Infinity;
  private optimizer: TrainOptimizer | undefined;
  private ratios: readonly number[] = [];

  constructor(
    private readonly minLr: number,
    private readonly growth: number,
  ) {}

  readonly callbacks: Callbacks = {
    onStart: ({ optimizer }) => {
      this.optimizer = optimizer;
      const rates = optimizer.paramGroups.map(({ lr, initialLr = lr }) => initialLr);
      this.ratios = rates.map((lr) => (rates[0] > 0 ? lr / rates[0] : 1));
    },
    onEpochStart: () => this.setRate(), // a scheduler may have set another one at the end of an epoch
    onBatchEnd: ({ loss }) => {
      const count = this.points.length + 1;
      this.average = smoothing * this.average + (1 - smoothing) * loss;
      const smoothed = this.average / (1 - smoothing ** count); // an average that began with 0
      this.points.push({ lr: this.lr, loss, smoothed });
      this.lowest = Math.min(this.lowest, smoothed);
      this.diverged = smoothed > divergence * this.lowest;
      this.setRate();
      return this.diverged ? "stop" : undefined;
    },
  };

  private get lr(): number {
    return this.minLr * this.growth ** this.points.length;
  }
  private setRate(): void {
    this.optimizer!.paramGroups.forEach((group, i) => (group.lr = this.lr * this.ratios[i]));
  }
}
