import { checkChoice } from "../base/index.js";
import type { Module } from "../nn/index.js";
import { checkSteps, openProfile, type Profile, type ProfileSteps } from "../runtime/index.js";
import { remember, tasks, withoutTraces, type TrialData, type TrialOptions } from "./trial.js";
import type { Callbacks, FitOptions } from "./types.js";
import type { WatchdogOptions } from "./watchdog.js";

/** Options of {@link profile}: those of the training that is looked at, and how many steps. */
export type ProfileTrainingOptions = ProfileSteps & TrialOptions;

/**
 * Trains some steps and tells where their time goes: per kernel, per module (forward and backward), and outside of kernels (recording, planning, waiting for the
 * loader). Model, optimiser, scheduler, loader and random state are as before afterwards, to the bit; gradients are forgotten.
 *
 * Data and options are those of `train.fit`, or with `task` of `train.pretrain`, `train.sft`, `train.classify` and `train.mlm`; evaluation, checkpoints and callbacks are
 * left out. Ctrl-C ends it early: the profile then has fewer steps. Throws as these do, `argument` for fewer than 1 step, and `state` inside another profile.
 * @example
 * const found = await train.profile(model, digits.train, { batchSize: 64, steps: 20 });
 * console.log(`${found}`);
 * console.log(found.modules.find(({ module }) => module === "fc1")?.backwardMs);
 */
export async function profile(model: Module, data: TrialData, options: ProfileTrainingOptions = {}): Promise<Profile> {
  const { task = "fit", steps: wantedSteps, warmup: wantedWarmup, ...rest } = options;
  const op = "train.profile";
  checkChoice(op, "task", task, Object.keys(tasks));
  const { steps, warmup } = checkSteps(op, { steps: wantedSteps, warmup: wantedWarmup });
  const putBack = await remember(model, data, rest as Partial<FitOptions>);
  const { session, finish } = openProfile(op, warmup, model);
  let done = 0;
  const callbacks: Callbacks = {
    onEpochStart: () => {
      if (session.measuring || done >= warmup) session.begin(); // what came between two epochs is no part of a step
    },
    onBatchEnd: () => {
      session.end();
      if (++done >= warmup && done < warmup + steps) session.begin();
    },
  };
  const { watchdog } = rest as Partial<FitOptions>;
  const tried = {
    ...rest, ...withoutTraces, ...("test" in rest ? { test: undefined } : {}), maxSteps: warmup + steps, overfitBatches: undefined, callbacks,
    ...(watchdog === undefined ? {} : { watchdog: patient(watchdog) }),
  };
  try {
    await tasks[task](model, data, tried);
    return finish();
  } finally {
    session.close();
    await putBack();
  }
}

/** There is no checkpoint to go back to: what a watchdog adds to a step is the same. */
const patient = (options: WatchdogOptions): WatchdogOptions => ({
  ...options,
  ...(options.nan === "restore" ? { nan: "skip" } : {}),
  ...(options.spike === "restore" ? { spike: "skip" } : {}),
});
