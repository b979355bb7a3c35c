import { env, GraftError } from "../base/index.js";
import type { LoaderState } from "../data/index.js";
import type { Module } from "../nn/index.js";
import { ReduceLROnPlateau } from "../optim/index.js";
import { F, getRandomState, setRandomState } from "../ops/index.js";
import { realize } from "../runtime/index.js";
import { objective } from "./batch.js";
import type { RunFolder, RunState } from "./checkpoints.js";
import { locate } from "./errors.js";
import { evaluate, type Evaluation } from "./evaluate.js";
import { makeOptimizer, makeSchedule, type Schedule } from "./fit-options.js";
import type { Interrupt } from "./interrupt.js";
import { MetricsLog } from "./log.js";
import { withBatchAdvice } from "./memory.js";
import { Meter } from "./meter.js";
import { accuracy } from "./metrics.js";
import { restore } from "./restore.js";
import { Progress } from "./progress.js";
import { takeSnapshot, type Snapshot } from "./snapshot.js";
import { evaluationLoader, trainLoader } from "./sources.js";
import { compiledStep, trainStep, type StepNumbers, type StepParts } from "./step.js";
import { Watcher } from "./stopping.js";
import type { Batch, BatchSource, Callbacks, FitOptions, FitResult, HistoryRecord, StopReason } from "./types.js";

/** Random streams of training begin here, far from those that made the initial weights of a model with the same seed. */
const firstStream = 2 ** 40;
const evaluationBatch = 256;

/** One call of `fit`: everything that changes while it trains. */
export class TrainRun {
  private readonly loader: BatchSource;
  private readonly valid: BatchSource | undefined;
  private readonly test: BatchSource | undefined;
  private readonly parts: StepParts;
  private readonly schedule: Schedule | undefined;
  private readonly watcher: Watcher;
  private readonly progress: Progress;
  private readonly callbacks: readonly Callbacks[];
  private readonly epochs: number;
  private readonly maxSteps: number;
  private readonly accumulate: number;
  private readonly stepsPerEpoch: number;
  private readonly restoreBest: boolean;
  private readonly log: MetricsLog | undefined;

  private epoch = 0;
  private step = 0;
  private meter = new Meter();
  private history: HistoryRecord[] = [];
  private bestWeights: Snapshot | undefined;
  private resumedFrom: string | undefined;
  /** Steps done when this part of the run began. */
  private firstStep = 0;
  /** Where the loader is once the present step or epoch is done with everything that belongs to it. */
  private position: LoaderState;
  private trained = { samples: 0, seconds: 0 };
  /** Seconds of earlier parts of the run, and when this one began. */
  private secondsBefore = 0;
  private readonly started = performance.now();
  /** When the present step began: data are part of it, evaluation and saving are not. */
  private mark = 0;
  private bestIsNew = false;

  constructor(
    private readonly model: Module,
    private readonly options: FitOptions,
    private readonly folder: RunFolder | undefined,
    private readonly interrupt: Interrupt,
  ) {
    const { valid, test, loss, step, metrics, clip, regularize, stop, batchSize, epochs, maxSteps, accumulate = 1, callbacks = [], log } = options;
    this.loader = trainLoader(options);
    this.position = this.loader.stateDict();
    this.valid = valid === undefined ? undefined : evaluationLoader("train.fit", "valid", valid, batchSize ?? evaluationBatch);
    this.test = test === undefined ? undefined : evaluationLoader("train.fit", "test", test, batchSize ?? evaluationBatch);
    this.epochs = epochs ?? (maxSteps === undefined ? 10 : Infinity);
    this.maxSteps = maxSteps ?? Infinity;
    this.accumulate = accumulate;
    this.stepsPerEpoch = Math.ceil(this.loader.length / accumulate);
    const optimizer = makeOptimizer(model, options.optimizer);
    this.schedule = makeSchedule(options.scheduler, optimizer, { stepsPerEpoch: this.stepsPerEpoch, totalSteps: this.totalSteps });
    const mixed = typeof options.augment === "object" && options.augment.batch !== undefined && loss === undefined && step === undefined;
    // a batch transform such as mixup turns labels into probabilities: still a matter of cross entropy
    const cost = objective(mixed ? (output, target) => F.crossEntropy(output, target) : loss, step);
    this.parts = { model, optimizer, cost, metrics: metrics ?? (mixed ? { accuracy } : undefined), clip, regularize, count: options.count?.of };
    if (options.compile && !env.check) this.parts = { ...this.parts, compiled: compiledStep(this.parts) }; // a replay does not look for NaN
    this.watcher = new Watcher(stop ?? {}, this.valid !== undefined);
    this.restoreBest = options.restoreBest ?? stop?.patience !== undefined;
    this.progress = new Progress(Progress.modeOf(options.progress ?? true), process.stdout, Date.now, options.count?.unit);
    this.callbacks = Array.isArray(callbacks) ? (callbacks as readonly Callbacks[]) : [callbacks as Callbacks];
    const file = log === true ? `${this.folder!.dir}/metrics.ndjson` : log;
    if (typeof file === "string") this.log = new MetricsLog(file, (text) => this.progress.line(`warning: ${text}`));
  }

  private get totalSteps(): number {
    return Math.min(this.maxSteps, this.epochs * this.stepsPerEpoch);
  }
  private get seconds(): number {
    return this.secondsBefore + (performance.now() - this.started) / 1000;
  }
  private get samplesPerSecond(): number {
    return this.trained.seconds > 0 ? this.trained.samples / this.trained.seconds : 0;
  }

  /** Trains to the end, or until something stops it. */
  async run(resumeFrom: string | undefined): Promise<FitResult> {
    const { model, options } = this;
    const modes = model.modules().map((module) => [module, module.training] as const);
    let stopped: StopReason;
    let test: Evaluation | undefined;
    try {
      if (!model.training) model.train();
      await realize(); // what the user recorded before is no part of a step that may be given up
      if (resumeFrom === undefined) setRandomState({ seed: options.seed ?? 0, stream: firstStream });
      else await this.resume(resumeFrom);
      await this.log?.start(resumeFrom === undefined ? undefined : this.step);
      stopped = await this.loop();
      if (stopped !== "interrupted" && this.meter.samples > 0) stopped = (await this.record()) === "interrupted" ? "interrupted" : stopped;
      await this.saveLast();
      if (stopped === "interrupted") this.sayInterrupted();
      else if (this.restoreBest && this.bestWeights !== undefined) model.loadStateDict(this.bestWeights);
      if (stopped !== "interrupted" && this.test !== undefined) test = await this.evaluate(this.test);
    } finally {
      this.progress.clear();
      for (const [module, training] of modes) module.training = training;
    }
    const { history, watcher, step: steps, seconds, samplesPerSecond, folder, resumedFrom } = this;
    const result: FitResult = { history, best: watcher.best, stopped, steps, seconds, samplesPerSecond, test, checkpoint: folder?.last, resumedFrom };
    for (const callbacks of this.callbacks) await callbacks.onStop?.(result);
    return result;
  }

  private async loop(): Promise<StopReason> {
    const { model, epochs, stepsPerEpoch } = this;
    const last = this.history.at(-1);
    const verdict = last?.step === this.step && this.meter.samples === 0 ? this.watcher.verdict(last) : undefined; // a finished run that is resumed
    if (verdict !== undefined) return verdict;
    this.mark = performance.now();
    if (await this.ask((to) => to.onStart?.({ model, optimizer: this.parts.optimizer, epochs, stepsPerEpoch, step: this.step }))) return "callback";
    while (this.epoch < epochs) {
      if (this.step >= this.maxSteps) return "steps";
      if (this.interrupt.aborted) return "interrupted";
      if (await this.ask((to) => to.onEpochStart?.({ epoch: this.epoch + 1, step: this.step }))) return "callback";
      const reason = (await this.trainEpoch()) ?? (await this.endEpoch());
      if (reason !== undefined) return reason;
    }
    return "epochs";
  }

  /** The rest of an epoch. A reason to stop that comes with its last step is left to `endEpoch`, unless it is an interruption. */
  private async trainEpoch(): Promise<StopReason | undefined> {
    const { loader } = this;
    loader.setEpoch(this.epoch);
    let group: Batch[] = [];
    for await (const batch of loader) {
      group.push(batch);
      this.position = loader.stateDict();
      const { batch: read } = this.position;
      const isLast = read >= loader.length;
      if (group.length < this.accumulate && !isLast) continue;
      const reason = await this.oneStep(group, read - 1);
      group = [];
      if (reason === "interrupted") return reason;
      if (isLast) this.pending = reason;
      else if (reason !== undefined) return reason;
      else if (this.folder?.isDue(this.step, { epochEnd: false, best: this.bestIsNew })) await this.save(false);
    }
    return undefined;
  }
  private pending: StopReason | undefined;

  /** A step, and what is due after it. */
  private async oneStep(batches: readonly Batch[], number: number): Promise<StopReason | undefined> {
    const { samples, values } = await this.compute(batches, number);
    this.step++;
    this.trained.samples += samples;
    this.trained.seconds += (performance.now() - this.mark) / 1000;
    this.mark = performance.now();
    if (!Number.isFinite(values.loss)) throw this.notFinite(values.loss, number);
    this.meter.add(values, samples);
    if (this.schedule?.every === "step") (this.schedule.scheduler as { step(): void }).step();
    this.progress.step(() => this.view(number));
    const { loss, ...metrics } = values;
    let reason: StopReason | undefined;
    if (this.callbacks.length > 0 && (await this.ask((to) => to.onBatchEnd?.({ epoch: this.epoch + 1, step: this.step, loss, samples, metrics })))) reason = "callback";
    if (this.interrupt.aborted) return "interrupted";
    const { evalEvery = "epoch" } = this.options;
    if (evalEvery !== "epoch" && this.step % evalEvery === 0) reason = (await this.record()) ?? reason;
    if (this.watcher.outOfTime(this.seconds)) reason ??= "time";
    if (this.step >= this.maxSteps) reason ??= "steps";
    return this.interrupt.aborted ? "interrupted" : reason;
  }

  private async compute(batches: readonly Batch[], number: number): Promise<StepNumbers> {
    try {
      return await trainStep(this.parts, batches);
    } catch (error) {
      const [batch] = batches;
      const known = error instanceof GraftError && error.code === "memory" ? withBatchAdvice(error, this.parts, batch) : error;
      throw locate(known, { op: "train.fit", batch, model: this.model, loader: this.loader, epoch: this.epoch, number, step: this.step + 1 });
    }
  }

  private notFinite(loss: number, number: number): GraftError {
    return new GraftError(
      "numeric",
      `train.fit: the loss is ${loss} at step ${this.step} (epoch ${this.epoch + 1}, batch ${number + 1}). Training stops; the model's weights may hold NaN now. ` +
        `${this.folder === undefined ? "" : `${this.folder.advice()} `}GRAFT_CHECK=1 names the op and the line that made the first NaN or Inf; a lower learning rate or clip: { norm: 1 } often helps.`,
    );
  }

  private async endEpoch(): Promise<StopReason | undefined> {
    let reason = this.pending;
    this.pending = undefined;
    const { evalEvery = "epoch" } = this.options;
    if (evalEvery === "epoch" && this.meter.samples > 0) {
      const verdict = await this.record();
      if (verdict === "interrupted") return verdict;
      reason = verdict ?? reason;
    }
    if (this.schedule?.every === "epoch") (this.schedule.scheduler as { step(): void }).step();
    this.epoch++;
    this.position = this.loader.stateDict();
    if (await this.ask((to) => to.onEpochEnd?.({ epoch: this.epoch, step: this.step, history: this.history }))) reason ??= "callback";
    if (reason === "steps" && this.epoch >= this.epochs) reason = undefined; // the last step of the last epoch
    const ends = reason !== undefined || this.epoch >= this.epochs; // the end of a run saves anyway
    if (!ends && this.folder?.isDue(this.step, { epochEnd: true, best: this.bestIsNew })) await this.save(false);
    return reason;
  }

  private evaluate(loader: BatchSource): Promise<Evaluation> {
    const { loss, step, metrics, count } = this.options;
    return evaluate(this.model, loader, { loss, step, metrics, count: count?.of, signal: this.interrupt });
  }

  /** Measures, and adds a line to the history. Gives the reason to stop, if there is one now. */
  private async record(): Promise<StopReason | undefined> {
    const evaluation = this.valid === undefined ? undefined : await this.evaluate(this.valid);
    if (evaluation?.aborted) return "interrupted";
    const { derive = () => ({}) } = this.options;
    const means = this.meter.means() as { readonly loss: number };
    const { loss, metrics } = evaluation ?? {};
    const found: Readonly<Record<string, number>> = loss === undefined ? {} : { loss, ...metrics, ...derive({ ...metrics, loss }) };
    const measured = Object.fromEntries(Object.entries(found).map(([name, value]) => [`valid_${name}`, value]));
    const { lr } = this.parts.optimizer.paramGroups[0];
    const { seconds, samplesPerSecond } = this;
    const record: HistoryRecord = { epoch: this.epoch + 1, step: this.step, ...means, ...(evaluation === undefined ? derive(means) : {}), ...measured, lr, seconds, samplesPerSecond };
    this.history.push(record);
    this.meter = new Meter();
    this.bestIsNew = this.watcher.take(record);
    if (this.bestIsNew && this.restoreBest) this.bestWeights = await takeSnapshot(this.model);
    if (this.schedule?.scheduler instanceof ReduceLROnPlateau) this.schedule.scheduler.step(this.watcher.valueOf(record));
    this.progress.record(record, this.epochs, this.bestIsNew && this.history.length > 1);
    await this.log?.write(record);
    const stop = await this.ask((to) => to.onEvaluate?.(record, evaluation));
    this.mark = performance.now();
    return this.watcher.verdict(record) ?? (stop ? "callback" : undefined);
  }

  /** Calls a function of all callbacks; true when one answers "stop". */
  private async ask(call: (to: Callbacks) => void | "stop" | Promise<void | "stop">): Promise<boolean> {
    let stop = false;
    for (const callbacks of this.callbacks) if ((await call(callbacks)) === "stop") stop = true;
    return stop;
  }

  private view(number: number) {
    const { epoch, epochs, step, samplesPerSecond } = this;
    const perStep = (performance.now() - this.started) / 1000 / Math.max(1, step - this.firstStep);
    const byTime = this.options.stop?.seconds === undefined ? Infinity : this.options.stop.seconds - this.seconds;
    const left = Math.min((this.totalSteps - step) * perStep, byTime);
    const inEpoch = Math.floor(number / this.accumulate) + 1;
    return { epoch: epoch + 1, epochs, step, inEpoch, perEpoch: this.stepsPerEpoch, values: this.meter.means(), samplesPerSecond, left: Number.isFinite(left) ? left : undefined };
  }

  /* ---- saving and resuming ---- */

  private async saveLast(): Promise<void> {
    if (this.folder !== undefined && !this.folder.isSaved(this.step) && this.step > 0) await this.save(true);
  }

  /** Saves a checkpoint. A full disk in the middle of a run is only said; at the end it is an error. */
  private async save(final: boolean): Promise<void> {
    this.bestIsNew = false;
    const { optimizer } = this.parts;
    const folder = this.folder!;
    const { tensors, values } = optimizer.stateDict();
    const state: RunState = {
      model: this.model.constructor.name,
      optimizer: { name: optimizer.constructor.name, values },
      scheduler: this.schedule?.scheduler.stateDict() ?? null,
      random: getRandomState(),
      loader: this.position,
      epoch: this.epoch,
      step: this.step,
      seconds: this.seconds,
      trained: { ...this.trained },
      meter: this.meter.stateDict(),
      history: this.history,
      watch: this.watcher.stateDict(),
    };
    try {
      const saved = await folder.save(state, { model: await takeSnapshot(this.model), optimizer: tensors, best: this.bestWeights });
      await this.ask((to) => to.onSave?.({ folder: saved, step: this.step }));
    } catch (error) {
      if (!(error instanceof GraftError) || error.code !== "file") throw error;
      const text = `the checkpoint of step ${this.step} was not saved: ${error.message} The training itself is intact: the model holds the weights of step ${this.step}. ${folder.advice()}`;
      if (final) throw new GraftError("file", `train.fit: ${text}`, { cause: error });
      this.progress.line(`warning: ${text} Training goes on.`);
    }
    this.mark = performance.now();
  }

  private async resume(from: string): Promise<void> {
    const { state, tensors } = await restore(from, { model: this.model, optimizer: this.parts.optimizer, scheduler: this.schedule?.scheduler, loader: this.loader });
    setRandomState(state.random);
    this.meter.loadStateDict(state.meter);
    this.watcher.loadStateDict(state.watch);
    this.bestWeights = this.restoreBest && tensors.best !== undefined ? new Map(tensors.best) : undefined;
    this.history = [...state.history];
    this.trained = { ...state.trained };
    this.position = state.loader;
    [this.epoch, this.step, this.firstStep, this.secondsBefore] = [state.epoch, state.step, state.step, state.seconds];
    this.resumedFrom = from;
    this.folder?.adopt(from, state.step);
    this.progress.line(`resumed from ${from}: step ${state.step}, epoch ${state.epoch + 1}`);
  }

  private sayInterrupted(): void {
    const { folder, step, options } = this;
    const hint = options.resumeHint ?? "train.fit(model, { ..., resume: true })";
    this.progress.line(`interrupted after step ${step}. ${folder?.last === undefined ? "There is no checkpoint folder, so nothing was saved (checkpoint: { dir })." : `Saved to ${folder.last}. Go on with ${hint}.`}`);
  }
}
