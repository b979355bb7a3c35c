import { GraftError } from "../base/index.js";
import type { Checkpoint } from "../io/index.js";
import type { Module } from "../nn/index.js";
import type { EMA } from "../optim/index.js";
import { readRun, type RunState } from "./checkpoints.js";
import type { Schedule } from "./fit-options.js";
import type { BatchSource, TrainOptimizer } from "./types.js";

/** What a checkpoint is loaded into. */
export interface Restored {
  readonly model: Module;
  readonly optimizer: TrainOptimizer;
  readonly ema: EMA | undefined;
  readonly scheduler: Schedule["scheduler"] | undefined;
  readonly loader: BatchSource;
}

/**
 * Loads a checkpoint into model, optimiser, scheduler and loader. All problems are collected and thrown once as `state`; the weights and the
 * optimiser are then as before.
 */
export async function restore(from: string, { model, optimizer, ema, scheduler, loader }: Restored): Promise<{ readonly state: RunState; readonly tensors: Checkpoint["tensors"] }> {
  const { state, tensors } = await readRun(from);
  const problems: string[] = [];
  const attempt = (body: () => void): void => {
    try {
      body();
    } catch (error) {
      if (!(error instanceof GraftError)) throw error;
      problems.push(error.message);
    }
  };
  const [kind, name] = [model.constructor.name, optimizer.constructor.name];
  if (state.model !== kind) problems.push(`it is of a ${state.model}, the model is a ${kind}.`);
  if (state.optimizer.name !== name) problems.push(`it was trained with ${state.optimizer.name}, now the optimizer is ${name}.`);
  if ((state.scheduler === null) !== (scheduler === undefined)) problems.push(`it was trained ${state.scheduler === null ? "without" : "with"} a scheduler, now there is ${scheduler === undefined ? "none" : "one"}.`);
  const averages = state.ema === undefined ? undefined : tensors.ema;
  if ((averages === undefined) !== (ema === undefined)) problems.push(`it was trained ${averages === undefined ? "without" : "with"} ema, now there is ${ema === undefined ? "none" : "one"}.`);
  attempt(() => loader.loadStateDict(state.loader));
  // weights come last: what does not fit is tried on a copy, so that the model itself stays as it was
  if (problems.length === 0) attempt(() => optimizer.loadStateDict({ tensors: tensors.optimizer, values: state.optimizer.values }));
  if (problems.length === 0 && scheduler !== undefined) attempt(() => scheduler.loadStateDict(state.scheduler!));
  if (problems.length === 0 && ema !== undefined) attempt(() => ema.loadStateDict({ tensors: averages!, updates: state.ema!.updates }));
  attempt(() => void (problems.length === 0 ? model : model.clone()).loadStateDict(tensors.model));
  if (problems.length > 0) {
    throw new GraftError("state", `train.fit: the checkpoint ${from} does not fit this run:\n  ${problems.join("\n  ")}\nResume with the model, optimizer and data of that run, or start a new one in another folder.`);
  }
  return { state, tensors };
}
