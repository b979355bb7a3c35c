/** A step of a range test. */
export interface LearningRatePoint {
  readonly lr: number;
  readonly loss: number;
  /** Moving average of the losses so far. */
  readonly smoothed: number;
}

const rows = 16;

/** What a range test found; as text, a table and the suggestion. */
export class LearningRateCurve {
  /** The rate at which the smoothed loss fell fastest, over the logarithm of the rate; undefined where it did not fall. */
  readonly suggestion: number | undefined;
  /** The rate with the lowest smoothed loss: too high to train with; a tenth of it is a common choice. */
  readonly minimum: number;
  private readonly steepest: number;

  constructor(
    readonly points: readonly LearningRatePoint[],
    /** Whether the loss rose so far that the test ended before its last rate. */
    readonly diverged: boolean,
  ) {
    const losses = points.map(({ smoothed }) => smoothed);
    const lowest = losses.reduce((best, loss, i) => (loss < losses[best] ? i : best), 0);
    this.minimum = points[lowest].lr;
    // slopes over a few steps, since a loss goes up and down from batch to batch; the first steps, of which the average knows little, are left out
    const span = Math.max(1, Math.round(points.length / 20));
    let [steepest, slope] = [-1, 0];
    for (let i = 2 * span; i <= lowest && i + span < losses.length; i++) {
      const here = losses[i + span] - losses[i - span];
      if (here < slope) [steepest, slope] = [i, here];
    }
    this.steepest = steepest;
    this.suggestion = points[steepest]?.lr;
  }

  toString(): string {
    const { points, steepest, suggestion } = this;
    const every = Math.max(1, Math.ceil(points.length / rows));
    const shown = points.map((point, i) => ({ ...point, i })).filter(({ i }) => i % every === 0 || i === steepest || i === points.length - 1);
    const lines = shown.map(({ lr, loss, smoothed, i }) => [lr.toExponential(2), loss.toPrecision(5), smoothed.toPrecision(5), i === steepest ? "steepest descent" : lr === this.minimum ? "lowest" : ""]);
    const table = [["learning rate", "loss", "smoothed", ""], ...lines].map(([lr, loss, smoothed, mark]) => `${lr.padStart(13)}  ${loss.padStart(10)}  ${smoothed.padStart(10)}  ${mark}`.trimEnd());
    const end = this.diverged ? "the loss rose, so the test ended there" : "the test went through all rates";
    const advice = suggestion === undefined ? "The loss did not fall at any rate: check data, loss and model, or test other rates." : `suggested learning rate: ${suggestion.toExponential(2)}`;
    return [...table, `${end}; model and optimizer are as before`, advice].join("\n");
  }
}
