import { checkChoice, checkNumber, checkOptions, GraftError } from "../base/index.js";

/** What happens to a step that went wrong. */
export type WatchdogAction = "stop" | "skip" | "restore";

/** Options of {@link Watchdog}. */
export interface WatchdogOptions {
  /** At a loss or a gradient that is NaN or Inf. Default: "stop", an error that names the step. */
  readonly nan?: WatchdogAction;
  /** At a loss above mean + deviations * standard deviation of the last `window` losses. Default: such losses are let through. */
  readonly spike?: WatchdogAction;
  /** Losses that a spike is compared with; the first so many steps have no spikes. Default: 50. */
  readonly window?: number;
  /** How many standard deviations above the mean make a spike. Default: 6. */
  readonly deviations?: number;
  /** What the learning rate is multiplied by at each "restore". Default: 0.5. */
  readonly lrFactor?: number;
  /** So many skipped steps in a row, or so many restores, and the run stops. Default: 10. */
  readonly limit?: number;
}

/** What a watchdog saves. */
export interface WatchdogState {
  readonly losses: readonly number[];
  readonly skipped: number;
  readonly restores: number;
  readonly lrScale: number;
}

const actions = ["stop", "skip", "restore"] as const;

/** Decides which steps count: looks at each loss and gradient norm before weights change, and keeps the losses that a spike is told by. */
export class Watchdog {
  /** What learning rates are multiplied by, after so many restores. */
  lrScale = 1;
  private losses: number[] = [];
  /** Steps in a row that were skipped. */
  private skipped = 0;
  private restores = 0;
  private readonly window: number;
  private readonly deviations: number;
  private readonly lrFactor: number;
  private readonly limit: number;

  constructor(private readonly options: WatchdogOptions) {
    checkOptions("train.fit watchdog", options, ["nan", "spike", "window", "deviations", "lrFactor", "limit"]);
    const { nan, spike, window = 50, deviations = 6, lrFactor = 0.5, limit = 10 } = options;
    for (const [name, action] of Object.entries({ nan, spike })) if (action !== undefined) checkChoice("train.fit watchdog", name, action, actions);
    this.window = checkNumber("train.fit watchdog", "window", window, { min: 2, whole: true });
    this.deviations = checkNumber("train.fit watchdog", "deviations", deviations, { above: 0 });
    this.lrFactor = checkNumber("train.fit watchdog", "lrFactor", lrFactor, { above: 0, max: 1 });
    this.limit = checkNumber("train.fit watchdog", "limit", limit, { min: 1, whole: true });
  }

  /** The largest loss that is no spike. */
  get highestLoss(): number {
    const { losses, window, deviations } = this;
    if (this.options.spike === undefined || losses.length < window) return Infinity;
    const mean = losses.reduce((sum, loss) => sum + loss, 0) / window;
    const variance = losses.reduce((sum, loss) => sum + (loss - mean) ** 2, 0) / window;
    return mean + deviations * Math.sqrt(variance);
  }

  /** Takes the loss of a step that was done. */
  accept(loss: number): void {
    this.skipped = 0;
    this.losses.push(loss);
    if (this.losses.length > this.window) this.losses.shift();
  }

  /** What is to be done about a step that was held back, and what was wrong with it, in words. */
  judge(loss: number, gradNorm: number | undefined): { readonly action: WatchdogAction; readonly reason: string } {
    const finite = Number.isFinite(loss) && (gradNorm === undefined || Number.isFinite(gradNorm));
    const reason = !Number.isFinite(loss) ? `the loss is ${loss}` : !finite ? `the norm of the gradients is ${gradNorm}` : `the loss jumped to ${loss.toPrecision(4)}, above ${this.highestLoss.toPrecision(4)}`;
    const action = (finite ? this.options.spike : this.options.nan) ?? "stop";
    if (action === "skip" && ++this.skipped >= this.limit) return { action: "stop", reason: `${reason}, for ${this.skipped} steps in a row` };
    if (action === "restore" && this.restores >= this.limit) return { action: "stop", reason: `${reason}, after ${this.restores} restores` };
    return { action, reason };
  }

  /** Goes back to a checkpoint's state, with a lower rate than that before; restores are counted over the whole run. */
  restored(state: WatchdogState | undefined): void {
    const [lrScale, restores] = [this.lrScale * this.lrFactor, this.restores + 1];
    this.loadStateDict(state);
    [this.lrScale, this.restores, this.skipped] = [lrScale, restores, 0];
  }

  stateDict(): WatchdogState {
    const { losses, skipped, restores, lrScale } = this;
    return { losses: [...losses], skipped, restores, lrScale };
  }
  /** A run that began without a watchdog has no state. */
  loadStateDict({ losses, skipped, restores, lrScale }: WatchdogState = { losses: [], skipped: 0, restores: 0, lrScale: 1 }): void {
    this.losses = losses.slice(-this.window);
    [this.skipped, this.restores, this.lrScale] = [skipped, restores, lrScale];
  }
}

/** The error that ends a run; `advice` says which checkpoint is left. */
export function badStepError(reason: string, where: string, { watched, advice }: { readonly watched: boolean; readonly advice: string | undefined }): GraftError {
  const weights = watched ? "the weights are those of the step before" : "the model's weights may hold NaN now";
  return new GraftError(
    "numeric",
    `train.fit: ${reason} at ${where}. Training stops; ${weights}. ${advice === undefined ? "" : `${advice} `}GRAFT_CHECK=1 names the op and the line that made the first NaN or Inf; a lower learning rate or ` +
      `clip: { norm: 1 } often helps${watched ? "" : '; watchdog: { nan: "skip" } (--watchdog skip) passes over single bad batches'}.`,
  );
}
