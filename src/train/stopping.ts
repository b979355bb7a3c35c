import { checkChoice, checkNumber, checkOptions, didYouMean, GraftError } from "../base/index.js";
import type { Best, HistoryRecord, StopOptions, StopReason } from "./types.js";

/** What a watcher saves. */
export interface WatchState {
  readonly best: Best | null;
  readonly wait: number;
}

const known = ["patience", "minDelta", "monitor", "mode", "targetLoss", "seconds"] as const;

/** Keeps track of the best record and says when a run has come far enough. */
export class Watcher {
  best: Best | undefined;
  /** Records in a row that were no better. */
  private wait = 0;
  private readonly monitor: string;
  private readonly mode: "min" | "max";

  constructor(
    private readonly options: StopOptions,
    private readonly validated: boolean,
  ) {
    checkOptions("train.fit stop", options, [...known]);
    const { patience, minDelta, targetLoss, seconds, monitor = validated ? "valid_loss" : "loss", mode } = options;
    if (patience !== undefined) checkNumber("train.fit stop", "patience", patience, { min: 1, whole: true });
    if (minDelta !== undefined) checkNumber("train.fit stop", "minDelta", minDelta, { min: 0 });
    if (targetLoss !== undefined) checkNumber("train.fit stop", "targetLoss", targetLoss);
    if (seconds !== undefined) checkNumber("train.fit stop", "seconds", seconds, { above: 0 });
    if (monitor.startsWith("valid_") && !validated) throw new GraftError("argument", `train.fit stop: monitor is "${monitor}", but there are no validation data. Pass valid, or monitor "loss".`);
    this.monitor = monitor;
    this.mode = mode === undefined ? (monitor.endsWith("loss") ? "min" : "max") : checkChoice("train.fit stop", "mode", mode, ["min", "max"]);
  }

  /** The monitored number of a record. Throws `argument` when it has none of that name. */
  valueOf(record: HistoryRecord): number {
    const value = record[this.monitor];
    if (value !== undefined) return value;
    const names = Object.keys(record).filter((name) => !["epoch", "step", "seconds", "samplesPerSecond"].includes(name));
    throw new GraftError("argument", `train.fit stop: monitor is "${this.monitor}", which is not measured.${didYouMean(this.monitor, names)} Measured: ${names.join(", ")}.`);
  }

  /** Takes a record; true when it is the best so far. */
  take(record: HistoryRecord): boolean {
    const value = this.valueOf(record);
    const delta = this.best === undefined ? Infinity : this.mode === "min" ? this.best.value - value : value - this.best.value;
    if (delta > (this.options.minDelta ?? 0)) {
      this.best = { step: record.step, epoch: record.epoch, monitor: this.monitor, value };
      this.wait = 0;
      return true;
    }
    this.wait++;
    return false;
  }

  /** Why to stop after a record, if at all. */
  verdict(record: HistoryRecord): StopReason | undefined {
    const { patience, targetLoss } = this.options;
    if (targetLoss !== undefined && (this.validated ? record.valid_loss : record.loss) <= targetLoss) return "target";
    return patience !== undefined && this.wait >= patience ? "patience" : undefined;
  }

  /** Whether the time is up. */
  outOfTime(seconds: number): boolean {
    return this.options.seconds !== undefined && seconds >= this.options.seconds;
  }

  stateDict(): WatchState {
    return { best: this.best ?? null, wait: this.wait };
  }
  loadStateDict({ best, wait }: WatchState): void {
    // a record of another number says nothing about this one
    if (best !== null && best.monitor === this.monitor) [this.best, this.wait] = [best, wait];
  }
}
