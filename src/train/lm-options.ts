import { checkChoice, checkNumber } from "../base/index.js";
import type { Module } from "../nn/index.js";
import { AdamW, WSD } from "../optim/index.js";
import type { FitOptions, SchedulerOption, TrainOptimizer } from "./types.js";

/** How the learning rate goes on after the warm-up. */
export type ScheduleName = "cosine" | "linear" | "constant" | "wsd";

/** What training a language model can be told besides its data; all options of {@link fit} that are no part of the task itself. */
export interface LmOptions
  extends Pick<
    FitOptions,
    | "epochs" | "maxSteps" | "batchSize" | "seed" | "shuffle" | "stop" | "accumulate" | "compile" | "callbacks" | "checkpoint" | "resume" | "restoreBest" | "ema" | "watchdog"
    | "overfitBatches" | "fastDevRun" | "log" | "logEvery" | "tensorboard" | "keys" | "progress" | "evalEvery" | "signal" | "handleSignals" | "resumeHint"
  > {
  /** The highest learning rate. Default: 0.001 for `pretrain`, 0.0002 for `sft`. */
  readonly lr?: number;
  /** Default: [0.9, 0.95] for `pretrain`, [0.9, 0.999] for `sft`. */
  readonly betas?: readonly [number, number];
  /** Of matrices; norms and biases have none. Default: 0.1 for `pretrain`, 0 for `sft`. */
  readonly weightDecay?: number;
  /** Default: "cosine". */
  readonly schedule?: ScheduleName;
  /** Steps in which the rate rises. Default: 0. */
  readonly warmupSteps?: number;
  /** What is left of the rate at the end, as a factor. Default: 0.1 for cosine, otherwise 0. */
  readonly minFactor?: number;
  /** Share of the steps in which the rate of `wsd` falls. Default: 0.2. */
  readonly decayShare?: number;
  /** Largest norm of all gradients together; null: no limit. Default: 1. */
  readonly clipNorm?: number | null;
  /** Another optimiser than AdamW; `lr`, `betas` and `weightDecay` are then its own affair. */
  readonly optimizer?: (model: Module) => TrainOptimizer;
}

/** Names of {@link LmOptions}. */
export const lmOptionNames = [
  "epochs", "maxSteps", "batchSize", "seed", "shuffle", "stop", "accumulate", "compile", "callbacks", "checkpoint", "resume", "restoreBest", "ema", "watchdog", "overfitBatches", "fastDevRun",
  "log", "logEvery", "tensorboard", "keys", "progress", "evalEvery", "signal", "handleSignals", "resumeHint",
  "lr", "betas", "weightDecay", "schedule", "warmupSteps", "minFactor", "decayShare", "clipNorm", "optimizer",
] as const;

/**
 * Parameters that learn, in two groups: matrices with weight decay, norms, biases and other vectors without.
 * @example
 * new optim.AdamW(train.lmGroups(model, 0.1), { lr: 1e-3 });
 */
export function lmGroups(model: Module, weightDecay: number): { readonly params: (readonly [string, ReturnType<Module["parameters"]>[number]])[]; readonly weightDecay: number }[] {
  const learning = [...model.namedParameters()].filter(([, parameter]) => parameter.requiresGrad);
  const groups = [
    { params: learning.filter(([, parameter]) => parameter.ndim >= 2), weightDecay },
    { params: learning.filter(([, parameter]) => parameter.ndim < 2), weightDecay: 0 },
  ];
  return groups.filter(({ params }) => params.length > 0);
}

/**
 * A scheduler over all steps: a linear rise in `warmupSteps`, then a fall by a cosine or a line, a constant rate, or `wsd`, which stays constant and falls in the last
 * `decayShare` of the steps.
 * @example
 * await train.fit(model, { ..., scheduler: (optimizer, { totalSteps }) => train.lmSchedule(optimizer, totalSteps, { schedule: "wsd", warmupSteps: 100 }) });
 */
export function lmSchedule(
  optimizer: TrainOptimizer,
  totalSteps: number,
  options: Pick<LmOptions, "schedule" | "warmupSteps" | "minFactor" | "decayShare"> = {},
): SchedulerOption {
  const { schedule = "cosine", warmupSteps = 0, minFactor = schedule === "cosine" ? 0.1 : 0, decayShare = 0.2 } = options;
  checkChoice("lmSchedule", "schedule", schedule, ["cosine", "linear", "constant", "wsd"]);
  checkNumber("lmSchedule", "warmupSteps", warmupSteps, { min: 0, whole: true });
  checkNumber("lmSchedule", "minFactor", minFactor, { min: 0, max: 1 });
  checkNumber("lmSchedule", "decayShare", decayShare, { above: 0, max: 1 });
  const rest = Math.max(0, (Number.isFinite(totalSteps) ? totalSteps : Number.MAX_SAFE_INTEGER) - warmupSteps);
  const decaySteps = schedule === "constant" ? 0 : schedule === "wsd" ? Math.round(rest * decayShare) : rest;
  const stableSteps = schedule === "constant" ? Number.MAX_SAFE_INTEGER : rest - decaySteps;
  const scheduler = new WSD(optimizer, { warmupSteps, stableSteps, decaySteps, minFactor, decay: schedule === "cosine" ? "cosine" : "linear" });
  return { scheduler, every: "step" };
}

/** Defaults in which the two tasks differ. */
export interface LmDefaults {
  readonly lr: number;
  readonly betas: readonly [number, number];
  readonly weightDecay: number;
}

/** The options of `fit` that {@link LmOptions} come to. */
export function fitOptionsOf(op: string, options: LmOptions, defaults: LmDefaults): Omit<FitOptions, "train"> {
  const { lr = defaults.lr, betas = defaults.betas, weightDecay = defaults.weightDecay, schedule, warmupSteps, minFactor, decayShare, clipNorm = 1, optimizer, ...more } = options;
  const { batchSize: _, shuffle: __, ...rest } = more; // those of the loader
  checkNumber(op, "lr", lr, { min: 0 });
  checkNumber(op, "weightDecay", weightDecay, { min: 0 });
  return {
    ...rest,
    optimizer: optimizer ?? ((model) => new AdamW(lmGroups(model, weightDecay), { lr, betas: [...betas] })),
    scheduler: (made, { totalSteps }) => lmSchedule(made, totalSteps, { schedule, warmupSteps, minFactor, decayShare }),
    ...(clipNorm === null ? {} : { clip: { norm: clipNorm } }),
    compile: options.compile ?? false,
  };
}

/** Recording a step costs more than computing it in models of few values. */
export const isSmall = (model: Module, { accumulate = 1, optimizer }: Pick<FitOptions, "accumulate" | "optimizer">): boolean =>
  accumulate === 1 && optimizer === undefined && model.parameters().reduce((sum, { size }) => sum + size, 0) < 5e6;
