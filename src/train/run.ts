import { env, GraftError } from "../base/index.js";
import type { LoaderState } from "../data/index.js";
import { rememberModes, type Module } from "../nn/index.js";
import { EMA, LBFGS, Optimizer } from "../optim/index.js";
import { F, getRandomState, setRandomState } from "../ops/index.js";
import { profiling, realize } from "../runtime/index.js";
import { objective, samplesIn } from "./batch.js";
import type { RunFolder, RunState } from "./checkpoints.js";
import { locate } from "./errors.js";
import { describeDevRun } from "./dev-run.js";
import type { Evaluation } from "./evaluate.js";
import { makeOptimizer, makeSchedule, type Schedule } from "./fit-options.js";
import type { Interrupt } from "./interrupt.js";
import { Keys, keysHelp } from "./keys.js";
import type { Moment } from "./log-lines.js";
import { RunLog } from "./log.js";
import { withBatchAdvice } from "./memory.js";
import { accuracy } from "./metrics.js";
import { Progress } from "./progress.js";
import { Recorder } from "./recorder.js";
import { restore } from "./restore.js";
import { takeSnapshot } from "./snapshot.js";
import { runSources } from "./sources.js";
import { compiledStep, trainStep, type StepNumbers, type StepParts } from "./step.js";
import { timedBatches } from "./timed-batches.js";
import { badStepError, Watchdog } from "./watchdog.js";
import type { Batch, BatchSource, Callbacks, FitOptions, FitResult, StopReason } from "./types.js";

/** Random streams of training begin here, far from those that made the initial weights of a model with the same seed. */
const firstStream = 2 ** 40;
/** The answer to a wish for a checkpoint where there is nowhere to put it. */
const noFolder = "there is no checkpoint folder, so nothing can be saved (checkpoint: { dir })";

/** One call of `fit`: everything that changes while it trains. */
export class TrainRun {
  private readonly loader: BatchSource;
  private readonly parts: StepParts;
  private readonly schedule: Schedule | undefined;
  private readonly recorder: Recorder;
  private readonly progress: Progress;
  private readonly callbacks: readonly Callbacks[];
  private readonly epochs: number;
  private readonly maxSteps: number;
  private readonly accumulate: number;
  private readonly stepsPerEpoch: number;
  private readonly log: RunLog;
  private readonly watchdog: Watchdog | undefined;
  private keys: Keys | undefined;

  private epoch = 0;
  private step = 0;
  private resumedFrom: string | undefined;
  /** Steps done, and seconds of training, when this part of the run began. */
  private firstStep = 0;
  private firstSeconds = 0;
  /** Where the loader is once the present step or epoch is done with everything that belongs to it. */
  private position: LoaderState;
  private trained = { samples: 0, rows: 0, seconds: 0 };
  /** Seconds of earlier parts of the run, and when this one began. */
  private secondsBefore = 0;
  private readonly started = performance.now();
  /** When the present step began: data are part of it, evaluation and saving are not. */
  private mark = 0;

  constructor(
    private readonly model: Module,
    private readonly options: FitOptions,
    private readonly folder: RunFolder | undefined,
    private readonly interrupt: Interrupt,
  ) {
    const { loss, step, metrics, clip, regularize, epochs, maxSteps, accumulate = 1, callbacks = [], fastDevRun } = options;
    const { all, train, valid, test } = runSources(options);
    [this.loader, this.position] = [train, train.stateDict()];
    this.epochs = epochs ?? (maxSteps === undefined ? 10 : Infinity);
    this.maxSteps = maxSteps ?? Infinity;
    this.accumulate = accumulate;
    this.stepsPerEpoch = Math.ceil(this.loader.length / accumulate);
    const optimizer = makeOptimizer(model, options.optimizer);
    const perEpoch = fastDevRun ? Math.ceil(all.length / accumulate) : this.stepsPerEpoch;
    this.schedule = makeSchedule(options.scheduler, optimizer, { stepsPerEpoch: perEpoch, totalSteps: Math.min(this.maxSteps, this.epochs * perEpoch) });
    if (fastDevRun) [this.epochs, this.maxSteps] = [1, 1];
    if ((options.ema !== undefined || options.watchdog !== undefined) && (!(optimizer instanceof Optimizer) || optimizer instanceof LBFGS)) {
      throw new GraftError("argument", `train.fit: ema and watchdog are part of a step's plan, which ${optimizer.constructor.name} has not. Use another optimizer of optim, or leave them out.`);
    }
    const ema = options.ema === undefined ? undefined : new EMA([...model.namedParameters()].filter(([, parameter]) => parameter.requiresGrad), options.ema);
    const watchdog = (this.watchdog = options.watchdog === undefined ? undefined : new Watchdog(options.watchdog));
    const highestLoss = watchdog && ((): number => watchdog.highestLoss);
    const mixed = typeof options.augment === "object" && options.augment.batch !== undefined && loss === undefined && step === undefined;
    // a batch transform such as mixup turns labels into probabilities: still a matter of cross entropy
    const cost = objective(mixed ? (output, target) => F.crossEntropy(output, target) : loss, step);
    this.parts = { model, optimizer, cost, metrics: metrics ?? (mixed ? { accuracy } : undefined), clip, regularize, count: options.count?.of, ema, highestLoss };
    if (options.compile && !env.check) this.parts = { ...this.parts, compiled: compiledStep(this.parts) }; // a replay does not look for NaN
    this.progress = new Progress(Progress.modeOf(options.progress ?? true), process.stdout, Date.now, options.count?.unit);
    this.callbacks = Array.isArray(callbacks) ? (callbacks as readonly Callbacks[]) : [callbacks as Callbacks];
    const place = (option: boolean | string | undefined, name: string): string | undefined => (option === true ? `${this.folder!.dir}${name}` : option || undefined);
    this.log = new RunLog({ metrics: place(options.log, "/metrics.jsonl"), tensorboard: place(options.tensorboard, "") }, (text) => this.progress.line(`warning: ${text}`));
    const { schedule, progress, log } = this;
    this.recorder = new Recorder({ model, options, valid, test, ema, schedule, progress, log, epochs: this.epochs, ask: (call) => this.ask(call), interrupt });
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
    const restoreModes = rememberModes(model);
    let stopped: StopReason;
    let test: Evaluation | undefined;
    if (options.keys) {
      const input = typeof options.keys === "object" ? options.keys : process.stdin;
      this.keys = new Keys({ input, say: (text) => this.progress.line(text), quit: () => (this.interrupt.aborted = true) });
    }
    if (this.keys?.listening) this.progress.line(keysHelp);
    try {
      if (!model.training) model.train();
      await realize(); // what the user recorded before is no part of a step that may be given up
      if (resumeFrom === undefined) setRandomState({ seed: options.seed ?? 0, stream: firstStream });
      else await this.resume(resumeFrom);
      await this.log.start(resumeFrom === undefined ? undefined : this.step);
      stopped = await this.loop();
      if (stopped !== "interrupted" && this.recorder.pending) stopped = (await this.record()) === "interrupted" ? "interrupted" : stopped;
      await this.saveLast();
      if (stopped === "interrupted") this.sayInterrupted();
      else test = await this.recorder.finish(this.moment, { ...this.trained, seconds: this.seconds });
    } finally {
      this.keys?.close();
      this.progress.clear();
      restoreModes();
    }
    const { recorder: { history, watcher }, step: steps, seconds, samplesPerSecond, folder, resumedFrom } = this;
    const result: FitResult = { history, best: watcher.best, stopped, steps, seconds, samplesPerSecond, test, checkpoint: folder?.last, resumedFrom };
    if (options.fastDevRun) this.progress.line(describeDevRun(result));
    for (const callbacks of this.callbacks) await callbacks.onStop?.(result);
    return result;
  }

  private async loop(): Promise<StopReason> {
    const { model, epochs, stepsPerEpoch } = this;
    const { verdict, history } = this.recorder;
    if (verdict !== undefined && history.at(-1)?.step === this.step) return verdict; // a finished run that is resumed
    if (this.evalIsDue && history.at(-1)?.step !== this.step) {
      const reason = await this.record(); // the run that is resumed was interrupted before it could
      if (reason !== undefined) return reason;
    }
    this.mark = performance.now();
    if (await this.ask((to) => to.onStart?.({ model, optimizer: this.parts.optimizer, epochs, stepsPerEpoch, step: this.step }))) return "callback";
    while (this.epoch < epochs) {
      if (this.step >= this.maxSteps) return "steps";
      if (this.interrupt.aborted) return "interrupted";
      if (await this.ask((to) => to.onEpochStart?.({ epoch: this.epoch + 1, step: this.step }))) return "callback";
      const outcome = await this.trainEpoch();
      if (outcome === "restore") {
        await this.goBack();
        continue;
      }
      const reason = outcome ?? (await this.endEpoch());
      if (reason !== undefined) return reason;
    }
    return "epochs";
  }

  /** The rest of an epoch. A reason to stop that comes with its last step is left to `endEpoch`, unless it is an interruption. */
  private async trainEpoch(): Promise<StopReason | "restore" | undefined> {
    const { loader } = this;
    loader.setEpoch(this.epoch);
    let group: Batch[] = [];
    for await (const batch of profiling() ? timedBatches(loader) : loader) {
      group.push(batch);
      this.position = loader.stateDict();
      const { batch: read } = this.position;
      const isLast = read >= loader.length;
      if (group.length < this.accumulate && !isLast) continue;
      const reason = await this.oneStep(group, read - 1);
      group = [];
      if (reason === "interrupted" || reason === "restore") return reason;
      if (isLast) this.pending = reason;
      else if (reason !== undefined) return reason;
      else if (this.saveIsDue(false)) await this.save(false);
      const paused = (await this.keys?.wait(() => this.interrupt.aborted, () => this.saveNow())) ?? 0;
      if (paused > 0) [this.secondsBefore, this.mark] = [this.secondsBefore - paused, performance.now()];
      if (this.interrupt.aborted) return "interrupted";
    }
    return undefined;
  }
  private pending: StopReason | undefined;

  /** A step, and what is due after it. */
  private async oneStep(batches: readonly Batch[], number: number): Promise<StopReason | "restore" | undefined> {
    const { samples, values, gradNorm, applied } = await this.compute(batches, number);
    this.step++;
    this.trained.samples += samples;
    this.trained.rows += batches.reduce((sum, batch) => sum + samplesIn(batch), 0);
    this.trained.seconds += (performance.now() - this.mark) / 1000;
    this.mark = performance.now();
    if (!applied) {
      if (this.onBadStep(values.loss, gradNorm, number) === "restore") return "restore";
    } else {
      this.recorder.meter.add(values, samples);
      this.log.add(values, samples, { lr: this.lr, gradNorm });
      this.watchdog?.accept(values.loss);
    }
    if (this.schedule?.every === "step") (this.schedule.scheduler as { step(): void }).step();
    this.progress.step(() => this.view(number));
    const { loss, ...metrics } = values;
    let reason: StopReason | undefined;
    if (this.callbacks.length > 0 && (await this.ask((to) => to.onBatchEnd?.({ epoch: this.epoch + 1, step: this.step, loss, samples, metrics })))) reason = "callback";
    const { logEvery } = this.options;
    if (logEvery !== undefined && this.step % logEvery === 0) await this.recorder.logSteps(this.moment);
    if (this.interrupt.aborted) return "interrupted";
    if (this.evalIsDue) reason = (await this.record()) ?? reason;
    if (this.recorder.watcher.outOfTime(this.seconds)) reason ??= "time";
    if (this.step >= this.maxSteps) reason ??= "steps";
    return this.interrupt.aborted ? "interrupted" : reason;
  }

  /** Whether `evalEvery` asks for an evaluation after the present step, and there is something to record. */
  private get evalIsDue(): boolean {
    const { evalEvery = "epoch" } = this.options;
    return evalEvery !== "epoch" && this.recorder.pending && this.step % evalEvery === 0;
  }
  private saveIsDue(epochEnd: boolean): boolean {
    const wanted = this.keys?.takeSave() ?? false;
    if (wanted && this.folder === undefined) this.progress.line(noFolder);
    return this.folder !== undefined && (wanted || this.folder.isDue(this.step, { epochEnd, best: this.recorder.bestIsNew }));
  }
  private async saveNow(): Promise<void> {
    if (this.folder === undefined) return this.progress.line(noFolder);
    if (!this.folder.isSaved(this.step)) await this.save(false);
    this.progress.line(`saved to ${this.folder.last}`);
  }

  /** A step that changed nothing because its loss or its gradients were not as they should be, or (without a watchdog) one whose loss is not finite. */
  private onBadStep(loss: number, gradNorm: number | undefined, number: number): "restore" | undefined {
    const left = { watched: this.watchdog !== undefined, advice: this.folder?.advice() };
    const where = `step ${this.step} (epoch ${this.epoch + 1}, batch ${number + 1})`;
    if (this.watchdog === undefined) throw badStepError(`the loss is ${loss}`, where, left);
    const { action, reason } = this.watchdog.judge(loss, gradNorm);
    if (action === "stop") throw badStepError(reason, where, left);
    if (action === "restore" && this.folder?.last === undefined) throw badStepError(`${reason}, and there is no checkpoint to go back to`, where, left);
    this.progress.line(`warning: ${where}: ${reason}. ${action === "skip" ? "The step is skipped: weights and optimizer stay as they were." : `Going back to ${this.folder!.last}.`}`);
    return action === "restore" ? action : undefined;
  }

  /** Back to the last checkpoint, to go on with a lower rate. */
  private async goBack(): Promise<void> {
    const { watchdog } = await this.load(this.folder!.last!);
    this.watchdog!.restored(watchdog);
    await this.log.start(this.step);
    this.mark = performance.now();
    this.progress.line(`back at step ${this.step}, learning rate times ${this.watchdog!.lrScale}`);
  }

  private async compute(batches: readonly Batch[], number: number): Promise<StepNumbers> {
    const { paramGroups } = this.parts.optimizer;
    const rates = paramGroups.map(({ lr }) => lr);
    const { lrScale = 1 } = this.watchdog ?? {};
    if (lrScale !== 1) for (const group of paramGroups) group.lr *= lrScale;
    try {
      return await trainStep(this.parts, batches);
    } catch (error) {
      const [batch] = batches;
      const known = error instanceof GraftError && error.code === "memory" ? withBatchAdvice(error, this.parts, batch) : error;
      throw locate(known, { op: "train.fit", batch, model: this.model, loader: this.loader, epoch: this.epoch, number, step: this.step + 1 });
    } finally {
      paramGroups.forEach((group, i) => (group.lr = rates[i])); // a schedule knows nothing of the watchdog's factor
    }
  }

  /** The learning rate of the first group. */
  private get lr(): number {
    return this.parts.optimizer.paramGroups[0].lr * (this.watchdog?.lrScale ?? 1);
  }

  private async endEpoch(): Promise<StopReason | undefined> {
    let reason = this.pending;
    this.pending = undefined;
    const { evalEvery = "epoch" } = this.options;
    if (evalEvery === "epoch" && this.recorder.pending) {
      const verdict = await this.record();
      if (verdict === "interrupted") return verdict;
      reason = verdict ?? reason;
    }
    if (this.schedule?.every === "epoch") (this.schedule.scheduler as { step(): void }).step();
    this.epoch++;
    this.position = this.loader.stateDict();
    if (await this.ask((to) => to.onEpochEnd?.({ epoch: this.epoch, step: this.step, history: this.recorder.history }))) reason ??= "callback";
    if (reason === "steps" && this.epoch >= this.epochs) reason = undefined; // the last step of the last epoch
    const ends = reason !== undefined || this.epoch >= this.epochs; // the end of a run saves anyway
    if (!ends && this.saveIsDue(true)) await this.save(false);
    return reason;
  }

  /** Where the run stands, for the log. */
  private get moment(): Moment {
    const { epoch, batch } = this.position;
    return { epoch: epoch + batch / this.loader.length, step: this.step };
  }

  /** Measures, and adds a line to the history. Gives the reason to stop, if there is one now. */
  private async record(): Promise<StopReason | undefined> {
    const { moment, lr, seconds, samplesPerSecond } = this;
    const reason = await this.recorder.record({ epoch: this.epoch + 1, moment, lr, seconds, samplesPerSecond });
    this.mark = performance.now();
    return reason;
  }

  /** Calls a function of all callbacks; true when one answers "stop". */
  private async ask(call: (to: Callbacks) => void | "stop" | Promise<void | "stop">): Promise<boolean> {
    let stop = false;
    for (const callbacks of this.callbacks) if ((await call(callbacks)) === "stop") stop = true;
    return stop;
  }

  private view(number: number) {
    const { epoch, epochs, step, samplesPerSecond } = this;
    const perStep = (this.seconds - this.firstSeconds) / Math.max(1, step - this.firstStep); // without pauses
    const byTime = this.options.stop?.seconds === undefined ? Infinity : this.options.stop.seconds - this.seconds;
    const left = Math.min((this.totalSteps - step) * perStep, byTime);
    const inEpoch = Math.floor(number / this.accumulate) + 1;
    const perEpoch = Math.min(this.stepsPerEpoch, inEpoch + this.maxSteps - step); // the last epoch may end early
    return { epoch: epoch + 1, epochs, step, inEpoch, perEpoch, values: this.recorder.meter.means(), samplesPerSecond, left: Number.isFinite(left) ? left : undefined };
  }

  /* ---- saving and resuming ---- */

  private async saveLast(): Promise<void> {
    if (this.folder !== undefined && !this.folder.isSaved(this.step) && this.step > 0) await this.save(true);
  }

  /** Saves a checkpoint. A full disk in the middle of a run is only said; at the end it is an error. */
  private async save(final: boolean): Promise<void> {
    const { parts: { optimizer, ema }, recorder } = this;
    recorder.bestIsNew = false;
    const folder = this.folder!;
    const { tensors, values } = optimizer.stateDict();
    const state: RunState = {
      model: this.model.constructor.name,
      optimizer: { name: optimizer.constructor.name, values },
      ...(ema === undefined ? {} : { ema: { updates: ema.updates } }),
      ...(this.watchdog === undefined ? {} : { watchdog: this.watchdog.stateDict() }),
      scheduler: this.schedule?.scheduler.stateDict() ?? null,
      random: getRandomState(),
      loader: this.position,
      epoch: this.epoch,
      step: this.step,
      seconds: this.seconds,
      trained: { ...this.trained },
      log: this.log.stateDict(),
      ...recorder.stateDict(),
    };
    try {
      const saved = await folder.save(state, { model: await takeSnapshot(this.model), optimizer: tensors, best: recorder.bestWeights, ema: ema?.stateDict().tensors });
      await this.ask((to) => to.onSave?.({ folder: saved, step: this.step }));
    } catch (error) {
      if (!(error instanceof GraftError) || error.code !== "file") throw error;
      const text = `the checkpoint of step ${this.step} was not saved: ${error.message} The training itself is intact: the model holds the weights of step ${this.step}. ${folder.advice()}`;
      if (final) throw new GraftError("file", `train.fit: ${text}`, { cause: error });
      this.progress.line(`warning: ${text} Training goes on.`);
    }
    this.mark = performance.now();
  }

  /** Takes a checkpoint's state. */
  private async load(from: string): Promise<RunState> {
    const { model, parts: { optimizer, ema }, schedule, loader } = this;
    const { state, tensors } = await restore(from, { model, optimizer, ema, scheduler: schedule?.scheduler, loader });
    setRandomState(state.random);
    this.recorder.loadStateDict(state, tensors.best);
    if (state.log !== undefined) this.log.loadStateDict(state.log);
    this.pending = undefined;
    this.position = state.loader;
    [this.epoch, this.step] = [state.epoch, state.step];
    return state;
  }

  private async resume(from: string): Promise<void> {
    const { trained, step, seconds, epoch, watchdog } = await this.load(from);
    this.watchdog?.loadStateDict(watchdog);
    this.trained = { rows: trained.samples, ...trained };
    [this.firstStep, this.firstSeconds, this.secondsBefore] = [step, seconds, seconds];
    this.resumedFrom = from;
    this.folder?.adopt(from, step);
    this.progress.line(`resumed from ${from}: step ${step}, epoch ${epoch + 1}`);
  }

  private sayInterrupted(): void {
    const { folder, step, options } = this;
    const hint = options.resumeHint ?? "train.fit(model, { ..., resume: true })";
    this.progress.line(`interrupted after step ${step}. ${folder?.last === undefined ? "There is no checkpoint folder, so nothing was saved (checkpoint: { dir })." : `Saved to ${folder.last}. Go on with ${hint}.`}`);
  }
}
