import { mkdir, rm, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { checkNumber, checkOptions, GraftError } from "../base/index.js";
import type { LoaderState } from "../data/index.js";
import { latestCheckpoint, listCheckpoints, loadCheckpoint, saveCheckpoint, type Checkpoint } from "../io/index.js";
import type { EMAState, OptimizerState, SchedulerState } from "../optim/index.js";
import type { RandomState } from "../ops/index.js";
import type { LogState } from "./log.js";
import type { MeterState } from "./meter.js";
import { firstNotFinite, type Snapshot } from "./snapshot.js";
import type { WatchState } from "./stopping.js";
import type { WatchdogState } from "./watchdog.js";
import type { CheckpointOptions, FitOptions, HistoryRecord } from "./types.js";

/** Everything of a run that is not a tensor, as plain JSON. */
export interface RunState {
  readonly model: string;
  readonly optimizer: { readonly name: string; readonly values: OptimizerState["values"] };
  /** Where an average of the weights is kept. */
  readonly ema?: { readonly updates: number };
  readonly watchdog?: WatchdogState;
  readonly scheduler: SchedulerState | null;
  readonly random: RandomState;
  readonly loader: LoaderState;
  /** Epochs and steps done. */
  readonly epoch: number;
  readonly step: number;
  readonly seconds: number;
  /** Samples trained on, and the time that took. */
  readonly trained: { readonly samples: number; readonly rows?: number; readonly seconds: number };
  readonly meter: MeterState;
  readonly log?: LogState;
  readonly history: readonly HistoryRecord[];
  readonly watch: WatchState;
}

/** The tensors of a run. */
export interface RunTensors {
  readonly model: Snapshot;
  readonly optimizer: OptimizerState["tensors"];
  /** The best weights so far, where they are restored at the end. */
  readonly best?: Snapshot;
  /** Averages of the weights. */
  readonly ema?: EMAState["tensors"];
}

/** The checkpoints of one run. */
export class RunFolder {
  /** The last complete checkpoint of this run. */
  last: string | undefined;
  private lastStep = -1;

  private constructor(private readonly options: CheckpointOptions) {}

  /**
   * Opens the folder and finds what to go on from. Throws `argument` for bad options, `state` when the folder holds another run that is not to be
   * resumed, `file` when it cannot be made or a checkpoint is missing.
   */
  static async open(options: CheckpointOptions | undefined, resume: FitOptions["resume"]): Promise<{ readonly folder: RunFolder | undefined; readonly from: string | undefined }> {
    const from = await findResume(options, resume);
    if (options === undefined) return { folder: undefined, from };
    checkOptions("train.fit checkpoint", options, ["dir", "every", "keep", "best", "overwrite"]);
    const { dir, every = "epoch", keep } = options;
    if (typeof dir !== "string" || dir === "") throw new GraftError("argument", `train.fit checkpoint: dir is ${JSON.stringify(dir)}. Name a folder.`);
    if (every !== "epoch") checkNumber("train.fit checkpoint", "every", every, { min: 1, whole: true });
    if (keep !== undefined) checkNumber("train.fit checkpoint", "keep", keep, { min: 1, whole: true });
    await mkdir(dir, { recursive: true }).catch((cause: unknown) => {
      throw new GraftError("file", `train.fit checkpoint: the folder ${dir} cannot be made: ${(cause as Error).message}. Choose another one.`, { cause });
    });
    const folder = new RunFolder(options);
    await folder.claim(from);
    return { folder, from };
  }

  /** A new run must not mix its checkpoints with those of another one, nor with those of steps that it is about to do anew. */
  private async claim(from: string | undefined): Promise<void> {
    const { dir, overwrite = false } = this.options;
    const steps = await listCheckpoints(dir);
    const own = from !== undefined && resolve(from, "..") === resolve(dir) ? Number(/\d+$/.exec(from)?.[0]) : -1;
    const foreign = steps.filter((step) => step > own);
    if (foreign.length > 0 && !overwrite) {
      const what = own < 0 ? `checkpoints of another run (the last: checkpoint-${foreign.at(-1)})` : `later checkpoints (${foreign.map((step) => `checkpoint-${step}`).join(", ")})`;
      throw new GraftError("state", `train.fit checkpoint: ${dir} holds ${what}. Go on from the last one with resume: true, choose another folder, or delete them with checkpoint: { overwrite: true }.`);
    }
    for (const step of foreign) await rm(join(dir, `checkpoint-${step}`), { recursive: true, force: true });
  }

  get dir(): string {
    return this.options.dir;
  }
  /** Whether a checkpoint is due: after a step, at an epoch's end, or because the last record was the best. */
  isDue(step: number, at: { readonly epochEnd: boolean; readonly best: boolean }): boolean {
    const { every = "epoch", best = true } = this.options;
    return (every === "epoch" ? at.epochEnd : step % every === 0) || (best && at.best);
  }
  /** Whether the present state is on the disk. */
  isSaved(step: number): boolean {
    return step === this.lastStep;
  }

  /** Counts the checkpoint that a run went on from as its last one. */
  adopt(folder: string, step: number): void {
    this.last = folder;
    if (resolve(folder, "..") === resolve(this.options.dir)) this.lastStep = step;
  }

  /** Saves. Throws `numeric` rather than save weights with NaN or Inf, `file` when the disk does not take it. */
  async save(state: RunState, tensors: RunTensors): Promise<string> {
    const { dir, keep = 3, best = true } = this.options;
    const bad = firstNotFinite(tensors.model);
    if (bad !== undefined) {
      throw new GraftError("numeric", `train.fit: after step ${state.step} the weights of ${bad} are not finite, so they are not saved. ${this.advice()} Lower the learning rate, or clip the gradients; GRAFT_CHECK=1 names the op that made the first NaN.`);
    }
    const { best: bestWeights, ema } = tensors;
    const parts = { model: tensors.model, optimizer: tensors.optimizer, ...(bestWeights === undefined ? {} : { best: bestWeights }), ...(ema === undefined ? {} : { ema }) };
    this.last = await saveCheckpoint(dir, { step: state.step, tensors: parts, state, keep, best: best ? state.watch.best?.step : undefined });
    this.lastStep = state.step;
    return this.last;
  }

  /** What is left of a run that went wrong. */
  advice(): string {
    return this.last === undefined ? "No checkpoint was saved yet." : `The last good checkpoint is ${this.last}.`;
  }
}

async function findResume(options: CheckpointOptions | undefined, resume: FitOptions["resume"]): Promise<string | undefined> {
  if (resume === undefined || resume === false) return undefined;
  if (resume === true || resume === "latest") {
    if (options === undefined) throw new GraftError("argument", `train.fit: resume is ${JSON.stringify(resume)}, but there is no checkpoint folder. Pass checkpoint: { dir }, or the folder as resume.`);
    return latestCheckpoint(options.dir);
  }
  const isCheckpoint = await stat(join(resume, "state.json")).then(
    () => true,
    () => false,
  );
  const found = isCheckpoint ? resume : await latestCheckpoint(resume);
  if (found === undefined) throw new GraftError("file", `train.fit: there is no checkpoint in ${resume}. Name the folder of a run, or a checkpoint-<step> folder in it.`);
  return found;
}

/** Reads a checkpoint that `fit` wrote. Throws `file` or `format` as `io.loadCheckpoint`, `state` for one of another kind. */
export async function readRun(folder: string): Promise<{ readonly state: RunState; readonly tensors: Checkpoint["tensors"] }> {
  const { state, tensors } = await loadCheckpoint(folder);
  const found = state as Partial<RunState> | null;
  const complete = typeof found === "object" && found !== null && ["optimizer", "random", "loader", "epoch", "step", "meter", "history", "watch"].every((key) => key in found);
  if (!complete || tensors.model === undefined || tensors.optimizer === undefined) throw new GraftError("state", `train.fit: ${folder} was not saved by train.fit. Load it with io.loadCheckpoint.`);
  return { state: found as RunState, tensors };
}
