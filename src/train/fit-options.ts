import { checkNumber, checkOptions, GraftError } from "../base/index.js";
import { Module } from "../nn/index.js";
import { Adam, LBFGS, ReduceLROnPlateau, type Scheduler } from "../optim/index.js";
import type { FitOptions, TrainOptimizer } from "./types.js";

const known = [
  "train", "valid", "test", "loss", "step", "optimizer", "scheduler", "epochs", "maxSteps", "batchSize", "seed", "shuffle", "metrics", "stop", "clip", "regularize", "augment",
  "accumulate", "count", "derive", "compile", "callbacks", "checkpoint", "resume", "restoreBest", "ema", "watchdog", "overfitBatches", "fastDevRun", "log", "logEvery", "tensorboard", "keys",
  "progress", "evalEvery", "signal", "handleSignals", "resumeHint",
] as const;

/** Throws `argument` for unknown keys and values out of range. */
export function checkFitOptions(model: unknown, options: FitOptions): void {
  if (!(model instanceof Module)) throw new GraftError("argument", `train.fit: the model is ${String(model)}. Pass an nn.Module.`);
  checkOptions("train.fit", options, [...known]);
  const { epochs, maxSteps, seed, accumulate, clip, regularize, evalEvery, loss, step, optimizer, checkpoint, overfitBatches, logEvery } = options;
  const whole = { min: 1, whole: true } as const;
  if (epochs !== undefined && epochs !== Infinity) checkNumber("train.fit", "epochs", epochs, { min: 0, whole: true });
  if (maxSteps !== undefined) checkNumber("train.fit", "maxSteps", maxSteps, whole);
  if (seed !== undefined) checkNumber("train.fit", "seed", seed, { min: 0, max: Number.MAX_SAFE_INTEGER, whole: true });
  if (accumulate !== undefined) checkNumber("train.fit", "accumulate", accumulate, whole);
  if (evalEvery !== undefined && evalEvery !== "epoch") checkNumber("train.fit", "evalEvery", evalEvery, whole);
  if (overfitBatches !== undefined) checkNumber("train.fit", "overfitBatches", overfitBatches, whole);
  if (logEvery !== undefined) checkNumber("train.fit", "logEvery", logEvery, whole);
  checkOptions("train.fit clip", clip, ["norm", "value"]);
  if (clip?.norm !== undefined) checkNumber("train.fit clip", "norm", clip.norm, { above: 0 });
  if (clip?.value !== undefined) checkNumber("train.fit clip", "value", clip.value, { above: 0 });
  checkOptions("train.fit regularize", regularize, ["l1", "l2"]);
  for (const [name, value] of Object.entries(regularize ?? {})) checkNumber("train.fit regularize", name, value as number, { min: 0 });
  if (loss !== undefined && step !== undefined) throw new GraftError("argument", "train.fit: both loss and step are given. A step computes the loss itself: leave loss out.");
  if (optimizer instanceof LBFGS && (accumulate ?? 1) > 1) throw new GraftError("argument", "train.fit: LBFGS computes its gradients itself and cannot accumulate. Use a larger batchSize.");
  if (options.compile && (optimizer instanceof LBFGS || (accumulate ?? 1) > 1)) throw new GraftError("argument", "train.fit: compile is for one batch per step and optimizers without a closure. Leave compile out with accumulate and LBFGS.");
  for (const [name, place] of [["log", "the file's name"], ["tensorboard", "a folder's name"]] as const) {
    if (options[name] === true && checkpoint === undefined) throw new GraftError("argument", `train.fit: ${name} is true, but there is no checkpoint folder to keep it in. Give ${place} as ${name}.`);
  }
  if (model.parameters().every((parameter) => !parameter.requiresGrad)) throw new GraftError("argument", `train.fit: ${model.constructor.name} has no parameters that learn. Unfreeze some, or check that layers are fields of the model.`);
}

/** The optimiser of a run. Throws `argument` when it has no parameter of the model. */
export function makeOptimizer(model: Module, option: FitOptions["optimizer"]): TrainOptimizer {
  const optimizer = typeof option === "function" ? option(model) : (option ?? new Adam(model.namedParameters(), { lr: 1e-3 }));
  if (typeof optimizer !== "object" || optimizer === null || typeof optimizer.step !== "function") {
    throw new GraftError("argument", `train.fit: the optimizer is ${JSON.stringify(optimizer)}. Pass new optim.Adam(model.parameters(), { lr }), or a function (model) => optimizer.`);
  }
  const own = new Set<unknown>(model.parameters());
  if (!optimizer.paramGroups.some(({ params }) => params.some((parameter) => own.has(parameter)))) {
    throw new GraftError("argument", `train.fit: the optimizer has no parameter of this ${model.constructor.name}, which would learn nothing. Make it from model.parameters() of the model that you pass.`);
  }
  return optimizer;
}

/** A scheduler and when it goes on. */
export interface Schedule {
  readonly scheduler: Scheduler | ReduceLROnPlateau;
  readonly every: "step" | "epoch" | "record";
}

/** The scheduler of a run; one that looks at a metric goes on at every record. */
export function makeSchedule(option: FitOptions["scheduler"], optimizer: TrainOptimizer, info: { readonly stepsPerEpoch: number; readonly totalSteps: number }): Schedule | undefined {
  if (option === undefined) return undefined;
  const made = typeof option === "function" ? option(optimizer, info) : option;
  const { scheduler, every } = "scheduler" in made ? made : { scheduler: made, every: "epoch" as const };
  if (typeof scheduler?.step !== "function") throw new GraftError("argument", `train.fit: the scheduler is ${JSON.stringify(made)}. Pass one of optim, made over the optimizer that you pass, or { scheduler, every: "step" }.`);
  if (scheduler.optimizer !== (optimizer as unknown)) throw new GraftError("argument", "train.fit: the scheduler belongs to another optimizer than the one that trains. Pass both, or scheduler: (optimizer) => ...");
  if (scheduler instanceof ReduceLROnPlateau) return { scheduler, every: "record" };
  if (every !== "step" && every !== "epoch") throw new GraftError("argument", `train.fit scheduler: every is ${JSON.stringify(every)}. Use "step" or "epoch".`);
  return { scheduler, every };
}
