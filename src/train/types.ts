import type { BatchTransform, Dataset, LoaderState, Transform } from "../data/index.js";
import type { Tensor } from "../graph/index.js";
import type { Module } from "../nn/index.js";
import type { AnyOptimizer, Closure, EMAOptions, OptimizerState, ReduceLROnPlateau, Scheduler, StateSource } from "../optim/index.js";
import type { ClassProbabilities } from "./class-probabilities.js";
import type { ConfusionMatrix } from "./confusion.js";
import type { Evaluation } from "./evaluate.js";
import type { KeyInput } from "./keys.js";
import type { WatchdogOptions } from "./watchdog.js";

/** What a loader gives: tensors in a list (inputs, then the target) or by name. */
export type Batch = readonly Tensor[] | { readonly [name: string]: Tensor };

/** A source of batches: a `DataLoader`, or anything of the same shape. */
export interface BatchSource extends AsyncIterable<Batch> {
  /** Batches per epoch. */
  readonly length: number;
  readonly epoch: number;
  setEpoch(epoch: number): void;
  stateDict(): LoaderState;
  loadStateDict(state: LoaderState): void;
  /** The samples' numbers in the data set, for error messages. */
  batchIndices?(epoch: number, batch: number): readonly number[];
}

/** Data to train on or to evaluate with. */
export type DataSource = Dataset<unknown> | BatchSource;

/** The cost of a batch, 0-d: the mean over its samples. */
export type LossFunction = (output: Tensor, target: Tensor) => Tensor;

/** A number per batch, 0-d: a mean over its samples, so that batches can be averaged. Recorded as part of the step. */
export type BatchMetric = (output: Tensor, target: Tensor) => Tensor;
/** A number that needs all predictions, read from the confusion matrix of an evaluation. */
export interface ConfusionMetric {
  of(matrix: ConfusionMatrix): number;
}
/** A number that needs the probabilities of all samples of an evaluation. */
export interface ProbabilityMetric {
  ofProbabilities(probabilities: ClassProbabilities): number;
}
/** A number to report beside the loss; those that are no functions are of evaluations only. */
export type Metric = BatchMetric | ConfusionMetric | ProbabilityMetric;
/** Metrics by the name under which they are reported. */
export type Metrics = { readonly [name: string]: Metric };

/** What a custom step gives back: the cost to minimise, and what metrics need. */
export interface StepOutcome {
  readonly loss: Tensor;
  readonly output?: Tensor;
  readonly target?: Tensor;
}
/** Computes the cost of a batch where `loss(model.forward(...inputs), target)` is not enough (contrastive or reconstruction tasks). */
export type BatchStep = (model: Module, batch: Batch) => Tensor | StepOutcome;

/** What `fit` and schedulers need of an optimiser; every class of `optim` is one. */
export interface TrainOptimizer extends AnyOptimizer {
  zeroGrad(): void;
  record(): void;
  step(closure?: Closure): Promise<Tensor | undefined>;
  stateDict(): OptimizerState;
  loadStateDict(source: StateSource): void;
}

/** A scheduler that goes on by one at every epoch, or at every step with `every: "step"`. */
export type SchedulerOption = Scheduler | ReduceLROnPlateau | { readonly scheduler: Scheduler | ReduceLROnPlateau; readonly every: "step" | "epoch" };

/** When to stop before the last epoch. */
export interface StopOptions {
  /** Evaluations in a row without an improvement of `monitor`. */
  readonly patience?: number;
  /** Changes up to this count as none. Default: 0. */
  readonly minDelta?: number;
  /** The number that is watched, a name in the history. Default: "valid_loss", without validation data "loss". */
  readonly monitor?: string;
  /** Which way is better. Default: "min" for names that end in "loss", otherwise "max". */
  readonly mode?: "min" | "max";
  /** Stops once the loss (of the validation data where there are some) is this low. */
  readonly targetLoss?: number;
  /** Stops after this time, counted over all parts of a resumed run. */
  readonly seconds?: number;
}

/** Where and when to save. */
export interface CheckpointOptions {
  /** Folder of the run; checkpoints are folders `checkpoint-<step>` in it. */
  readonly dir: string;
  /** After every so many steps, or at each epoch's end. Default: "epoch". */
  readonly every?: number | "epoch";
  /** How many to keep. Default: 3. */
  readonly keep?: number;
  /** Saves the best one too, and keeps it. Default: true. */
  readonly best?: boolean;
  /** Deletes the checkpoints of an earlier run in `dir` when a new run starts there. Default: false, which is an error. */
  readonly overwrite?: boolean;
}

/** One line of the history: what was measured at an evaluation (at each epoch's end by default). */
export interface HistoryRecord {
  /** From 1. */
  readonly epoch: number;
  /** Optimiser steps done. */
  readonly step: number;
  /** Mean over the samples since the last record, without the regularisation. */
  readonly loss: number;
  readonly lr: number;
  /** Since the start of the run. */
  readonly seconds: number;
  readonly samplesPerSecond: number;
  /** Metrics of the training data by name, and of the validation data as `valid_<name>`. */
  readonly [name: string]: number;
}

/** The best record so far. */
export interface Best {
  readonly step: number;
  readonly epoch: number;
  readonly monitor: string;
  readonly value: number;
}

/** Why a run ended. */
export type StopReason = "epochs" | "steps" | "patience" | "target" | "time" | "interrupted" | "callback";

/** What `fit` returns. */
export interface FitResult {
  readonly history: readonly HistoryRecord[];
  readonly best: Best | undefined;
  readonly stopped: StopReason;
  readonly steps: number;
  /** Time of the whole run, its earlier parts included. */
  readonly seconds: number;
  /** Training samples per second, without evaluation and saving. */
  readonly samplesPerSecond: number;
  /** The evaluation of `test`, with the weights that the model has at the end. */
  readonly test: Evaluation | undefined;
  /** The folder of the last checkpoint, where some are saved. */
  readonly checkpoint: string | undefined;
  /** The checkpoint that the run went on from. */
  readonly resumedFrom: string | undefined;
}

/** What a callback may answer. */
export type Reply = void | "stop" | Promise<void | "stop">;

/** Functions that `fit` calls; each may return "stop" to end the run after the present step. */
export interface Callbacks {
  onStart?(info: { readonly model: Module; readonly optimizer: TrainOptimizer; readonly epochs: number; readonly stepsPerEpoch: number; readonly step: number }): Reply;
  onEpochStart?(info: { readonly epoch: number; readonly step: number }): Reply;
  onBatchEnd?(info: { readonly epoch: number; readonly step: number; readonly loss: number; readonly samples: number; readonly metrics: { readonly [name: string]: number } }): Reply;
  /** After each evaluation: the new line of the history. */
  onEvaluate?(record: HistoryRecord, evaluation: Evaluation | undefined): Reply;
  onEpochEnd?(info: { readonly epoch: number; readonly step: number; readonly history: readonly HistoryRecord[] }): Reply;
  onSave?(info: { readonly folder: string; readonly step: number }): Reply;
  onStop?(result: FitResult): void | Promise<void>;
}

/** What batches count for, where it is not their samples. */
export interface CountOption {
  /** How many of them a batch holds: what its loss is a mean over. */
  readonly of: (batch: Batch) => number;
  /** Their name, for speeds: "tokens". */
  readonly unit: string;
}

/** Options of {@link fit}. */
export interface FitOptions {
  /** Samples [inputs..., target], or a loader of batches of them. */
  readonly train: DataSource;
  readonly valid?: DataSource;
  /** Evaluated once, at the end. */
  readonly test?: DataSource;
  /** Default: cross entropy where the targets are class labels. */
  readonly loss?: LossFunction;
  /** Computes the cost of a batch itself, instead of `loss`. */
  readonly step?: BatchStep;
  /** An optimiser, or a function that makes one for the model. Default: Adam with lr 0.001. */
  readonly optimizer?: TrainOptimizer | ((model: Module) => TrainOptimizer);
  /** A scheduler of the optimiser, or a function that makes one. Goes on once per epoch, or as `every` says. */
  readonly scheduler?: SchedulerOption | ((optimizer: TrainOptimizer, info: { readonly stepsPerEpoch: number; readonly totalSteps: number }) => SchedulerOption);
  /** Default: 10, or no limit where `maxSteps` is given. */
  readonly epochs?: number;
  /** Ends after this many optimiser steps. */
  readonly maxSteps?: number;
  /** Where `train` is a data set. Default: 64. */
  readonly batchSize?: number;
  /** Seed of order, augmentation and dropout. Default: 0. */
  readonly seed?: number;
  /** Where `train` is a data set. Default: true. */
  readonly shuffle?: boolean;
  /** Numbers to report beside the loss. Default: accuracy where the targets are class labels. */
  readonly metrics?: Metrics;
  readonly stop?: StopOptions;
  /** Limits the gradients: all together to a norm, or each value. */
  readonly clip?: { readonly norm?: number; readonly value?: number };
  /** Adds l1 * sum |w| + l2 * sum w^2 to the cost, over all weights of two or more dimensions (not biases and gains). */
  readonly regularize?: { readonly l1?: number; readonly l2?: number };
  /** Changes training pictures (and, as `batch`, whole batches) at random; where `train` is a data set. */
  readonly augment?: Transform | { readonly sample?: Transform; readonly batch?: BatchTransform };
  /** What losses, metrics, accumulated gradients and speeds are weighted by. Default: samples. */
  readonly count?: CountOption;
  /** Further numbers of a record, computed from its means: `({ loss }) => ({ perplexity: Math.exp(loss) })`. Of the validation data where there are some. */
  readonly derive?: (means: { readonly loss: number; readonly [name: string]: number }) => { readonly [name: string]: number };
  /** Batches whose gradients are averaged (by samples, or what `count` counts) for one optimiser step. Default: 1. */
  readonly accumulate?: number;
  /**
   * Records a step once per shape of a batch and replays it: for networks so small that recording costs more than computing. Branches of model and loss on
   * anything but shapes are then frozen, and so is what callbacks change in the model. Default: false.
   */
  readonly compile?: boolean;
  readonly callbacks?: Callbacks | readonly Callbacks[];
  readonly checkpoint?: CheckpointOptions;
  /** Goes on from the latest checkpoint in `checkpoint.dir` (true or "latest"; starts afresh where there is none), or from a run's or a checkpoint's folder. */
  readonly resume?: boolean | string;
  /** Ends with the weights of the best record. Default: true with `stop.patience`, otherwise false. */
  readonly restoreBest?: boolean;
  /** Follows the weights with an exponential moving average (see `optim.EMA`), which is evaluated, and is what the model holds at the end; training goes on with the weights themselves. */
  readonly ema?: EMAOptions;
  /** What happens at a loss or gradient that is NaN or Inf, and at a loss that jumps. Steps that are held back change nothing. Default: a NaN loss stops the run with an error. */
  readonly watchdog?: WatchdogOptions;
  /** Trains on the first so many batches only, the same in every epoch, without validation and test: a model that can learn anything brings their loss to almost 0. */
  readonly overfitBatches?: number;
  /** One batch each of `train`, `valid` and `test`, one step, no files: shows in seconds whether everything runs. Default: false. */
  readonly fastDevRun?: boolean;
  /** A file of one JSON object per line with what was measured, with the key names of the Hugging Face Trainer; true: `metrics.jsonl` in `checkpoint.dir`. */
  readonly log?: boolean | string;
  /** Writes a line of the log with the mean loss every so many steps. Default: at each evaluation only. */
  readonly logEvery?: number;
  /** A folder for a TensorBoard event file with the same numbers; true: `checkpoint.dir`. */
  readonly tensorboard?: boolean | string;
  /** Listens to keys while it trains (p pause, s save, q save and quit, ? help), where the input (default: stdin) is a terminal. Default: false. */
  readonly keys?: boolean | KeyInput;
  /** true: a live line on a terminal, plain lines elsewhere. Default: true. */
  readonly progress?: boolean | "plain" | "live";
  /** Evaluates (and writes a line of history) every so many steps. Default: at each epoch's end. */
  readonly evalEvery?: number | "epoch";
  /** Ends the run as Ctrl-C does. */
  readonly signal?: AbortSignal;
  /** Reacts to SIGINT and SIGTERM: finishes the step, saves, returns. Default: true. */
  readonly handleSignals?: boolean;
  /** What to tell a user who interrupted the run, after "Go on with". Default: how to call `fit` again. */
  readonly resumeHint?: string;
}
