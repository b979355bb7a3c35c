import type { Module } from "../nn/index.js";
import { ReduceLROnPlateau, type EMA } from "../optim/index.js";
import { evaluate, type Evaluation } from "./evaluate.js";
import type { RunState, RunTensors } from "./checkpoints.js";
import type { Schedule } from "./fit-options.js";
import { evalLine, summaryLine, testLine, type Moment } from "./log-lines.js";
import type { RunLog } from "./log.js";
import { Meter } from "./meter.js";
import type { Progress } from "./progress.js";
import { takeSnapshot, type Snapshot } from "./snapshot.js";
import { Watcher } from "./stopping.js";
import type { BatchSource, Callbacks, FitOptions, HistoryRecord, StopReason } from "./types.js";

/** What a recorder measures with, and whom it tells. */
export interface RecorderParts {
  readonly model: Module;
  readonly options: FitOptions;
  readonly valid: BatchSource | undefined;
  readonly test: BatchSource | undefined;
  readonly ema: EMA | undefined;
  readonly schedule: Schedule | undefined;
  readonly progress: Progress;
  readonly log: RunLog;
  /** Number of epochs, for the display. */
  readonly epochs: number;
  /** Calls a function of all callbacks; true when one answers "stop". */
  readonly ask: (call: (to: Callbacks) => void | "stop" | Promise<void | "stop">) => Promise<boolean>;
  readonly interrupt: { readonly aborted: boolean };
}

/** Where a run stands when something is recorded. */
export interface RecordedAt {
  /** From 1. */
  readonly epoch: number;
  readonly moment: Moment;
  readonly lr: number;
  readonly seconds: number;
  readonly samplesPerSecond: number;
}

/** The history of a run: what was measured, which record was the best, and whether it is time to stop. */
export class Recorder {
  /** Means of the training steps since the last record. */
  meter = new Meter();
  history: HistoryRecord[] = [];
  /** Whether the last record was the best so far, until a checkpoint is saved. */
  bestIsNew = false;
  /** Weights of the best record, where the run ends with them. */
  bestWeights: Snapshot | undefined;
  readonly watcher: Watcher;
  private readonly restoreBest: boolean;

  constructor(private readonly parts: RecorderParts) {
    const { options: { stop, overfitBatches, restoreBest }, valid } = parts;
    this.watcher = new Watcher(overfitBatches === undefined ? (stop ?? {}) : { ...stop, monitor: stop?.monitor?.replace(/^valid_/, "") }, valid !== undefined);
    this.restoreBest = restoreBest ?? stop?.patience !== undefined;
  }

  /** Whether there were steps since the last record. */
  get pending(): boolean {
    return this.meter.samples > 0;
  }

  /** Why a run stops that has recorded all its steps. */
  get verdict(): StopReason | undefined {
    const last = this.history.at(-1);
    return last === undefined || this.pending ? undefined : this.watcher.verdict(last);
  }

  private evaluate(loader: BatchSource): Promise<Evaluation> {
    const { model, options: { loss, step, metrics, count }, interrupt } = this.parts;
    return evaluate(model, loader, { loss, step, metrics, count: count?.of, signal: interrupt });
  }

  /** Measures, and adds a line to the history. Gives the reason to stop, if there is one now. With an average of the weights, it is what is measured and what callbacks see. */
  async record(at: RecordedAt): Promise<StopReason | undefined> {
    const back = await this.parts.ema?.apply();
    try {
      return await this.measure(at);
    } finally {
      back?.();
    }
  }

  private async measure({ epoch, moment, lr, seconds, samplesPerSecond }: RecordedAt): Promise<StopReason | undefined> {
    const { options: { derive = () => ({}), count }, valid, schedule, progress, log, epochs, ask, model } = this.parts;
    const started = performance.now();
    const evaluation = valid === undefined ? undefined : await this.evaluate(valid);
    if (evaluation?.aborted) return "interrupted";
    const evaluated = (performance.now() - started) / 1000;
    const means = this.meter.means() as { readonly loss: number };
    const { loss, metrics } = evaluation ?? {};
    const found: Readonly<Record<string, number>> = loss === undefined ? {} : { loss, ...metrics, ...derive({ ...metrics, loss }) };
    const measured = Object.fromEntries(Object.entries(found).map(([name, value]) => [`valid_${name}`, value]));
    const record: HistoryRecord = {
      epoch, step: moment.step, ...means, ...(evaluation === undefined ? derive(means) : {}), ...measured,
      lr, seconds: seconds + evaluated, samplesPerSecond,
    };
    this.history.push(record);
    this.meter = new Meter();
    this.bestIsNew = this.watcher.take(record);
    if (this.bestIsNew && this.restoreBest) this.bestWeights = await takeSnapshot(model);
    if (schedule?.scheduler instanceof ReduceLROnPlateau) schedule.scheduler.step(this.watcher.valueOf(record));
    progress.record(record, epochs, this.bestIsNew && this.history.length > 1);
    await this.logSteps(moment);
    if (evaluation !== undefined) await log.write(evalLine(record, { seconds: evaluated, samples: count === undefined ? evaluation.samples : undefined, batches: valid!.length }, moment));
    const stop = await ask((to) => to.onEvaluate?.(record, evaluation));
    return this.watcher.verdict(record) ?? (stop ? "callback" : undefined);
  }

  /** A line of the log for the steps since the last one. */
  logSteps(moment: Moment): Promise<void> {
    const { valid, options, log } = this.parts;
    return log.steps(moment, valid === undefined ? options.derive : undefined);
  }

  /** Gives the model the weights that it is to end with, tests them, and closes the log. */
  async finish(moment: Moment, { seconds, rows, samples }: { readonly seconds: number; readonly rows: number; readonly samples: number }): Promise<Evaluation | undefined> {
    const { model, ema, log, test, options: { count } } = this.parts;
    if (this.restoreBest && this.bestWeights !== undefined) model.loadStateDict(this.bestWeights);
    else await ema?.copyTo();
    const evaluation = test === undefined ? undefined : await this.evaluate(test);
    if (evaluation !== undefined) await log.write(testLine(evaluation, moment));
    if (moment.step > 0) await log.write(summaryLine(log.meanLoss, { seconds, rows, tokens: count === undefined ? undefined : samples }, moment));
    return evaluation;
  }

  stateDict(): Pick<RunState, "meter" | "history" | "watch"> {
    return { meter: this.meter.stateDict(), history: this.history, watch: this.watcher.stateDict() };
  }
  loadStateDict({ meter, history, watch }: Pick<RunState, "meter" | "history" | "watch">, best: RunTensors["best"]): void {
    this.meter.loadStateDict(meter);
    this.watcher.loadStateDict(watch);
    this.history = [...history];
    this.bestWeights = this.restoreBest && best !== undefined ? new Map(best) : undefined;
    this.bestIsNew = false;
  }
}
