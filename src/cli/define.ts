import type { Shape } from "../graph/index.js";
import type { Preprocess } from "../models/index.js";
import type { Module } from "../nn/index.js";
import type { DataSource as Samples, Evaluation, FitOptions, FitResult } from "../train/index.js";
import type { DataSource } from "./data-schema.js";

/** A value that a flag can replace. */
export type Setting = number | string | boolean;
/** Values by name, which `--set name=value` replaces. */
export type Settings = { readonly [name: string]: Setting };

/** Settings that every training has; `--epochs`, `--batch-size`, `--lr` and `--seed` replace them. */
export interface CommonSettings {
  /** Default: 10. */
  readonly epochs: number;
  /** Default: 64. */
  readonly batchSize: number;
  /** Learning rate of the optimiser, where `fit` gives no other. Default: 0.001. */
  readonly lr: number;
  /** Of weights, order, augmentation and split. Default: 0. */
  readonly seed: number;
}

/** Data to train on, and what has to be known about them to use the model later. */
export interface TrainingData {
  /** Samples [inputs..., target]. */
  readonly train: Samples;
  readonly valid?: Samples;
  readonly test?: Samples;
  /** Names of the classes. */
  readonly classes?: readonly string[];
  /** Shape of one input. */
  readonly inputShape?: Shape;
  /** How a picture becomes an input; `graft predict` follows it. */
  readonly preprocess?: Preprocess;
  /** Where the data come from; `graft eval` opens them again. */
  readonly source?: DataSource;
}

/** What `after` gets. */
export interface TrainingContext<S extends Settings = Settings, D extends TrainingData = TrainingData> {
  readonly settings: S & CommonSettings;
  readonly data: D;
  /** The trained model. */
  readonly model: Module;
  readonly result: FitResult;
  /** On the test part, where there is one. */
  readonly evaluation: Evaluation | undefined;
  /** The run's folder. */
  readonly out: string;
  /** Writes a line. */
  readonly print: (text?: string) => void;
  /** `train.fit` without progress (unless asked for), that ends the program when the user presses Ctrl-C. */
  readonly fit: (model: Module, options: FitOptions) => Promise<FitResult>;
  /** Saves a further model into a folder of the run, ready for `graft eval` and `graft predict`. Returns the folder. */
  readonly save: (name: string, model: Module) => Promise<string>;
}

/** A training that `graft train FILE.ts` runs; see {@link defineTraining}. */
export interface Training<S extends Settings = Settings, D extends TrainingData = TrainingData> {
  /** Name of the run and of its folder, runs/NAME. Default: the file's name. */
  readonly name?: string;
  readonly settings?: S & Partial<CommonSettings>;
  data(context: { readonly settings: S & CommonSettings }): D | Promise<D>;
  model(context: { readonly settings: S & CommonSettings; readonly data: D }): Module | Promise<Module>;
  /** Options of `train.fit`, or a function that gives them. What is left out comes from settings, data and flags. */
  readonly fit?: Partial<FitOptions> | ((context: { readonly settings: S & CommonSettings; readonly data: D; readonly model: Module }) => Partial<FitOptions>);
  /** What comes after the training: further experiments. */
  after?(context: TrainingContext<S, D>): void | Promise<void>;
}

const defined = new WeakSet<object>();

/**
 * Describes a training for `graft train FILE.ts`: the file's default export. The command adds the run's folder with checkpoints, `--resume`, progress, the
 * test at the end and the saved model; every setting can be replaced by a flag.
 * @example
 * export default defineTraining({
 *   settings: { epochs: 10, hidden: 64 }, // graft train this.ts --set hidden=128
 *   data: () => data.load("digits", { scale: 2 }),
 *   model: ({ settings }) => new models.SimpleCNN({ hidden: settings.hidden }),
 * });
 */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- no settings of its own
export function defineTraining<S extends Settings = {}, D extends TrainingData = TrainingData>(training: Training<S, D>): Training<S, D> {
  defined.add(training);
  return training;
}

/** Whether a default export is a training. */
export const isTraining = (value: unknown): value is Training =>
  typeof value === "object" && value !== null && (defined.has(value) || (typeof (value as Training).data === "function" && typeof (value as Training).model === "function"));
