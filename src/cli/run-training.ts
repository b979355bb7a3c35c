import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { GraftError } from "../base/index.js";
import { writeFileAtomic, type Json } from "../io/index.js";
import { configOf, save, type Preprocess } from "../models/index.js";
import { Module } from "../nn/index.js";
import * as optim from "../optim/index.js";
import { manualSeed } from "../ops/index.js";
import { currentBackend } from "../runtime/index.js";
import { findLearningRate, fit, showTime, type DataSource as Samples, type Evaluation, type FitOptions, type FitResult } from "../train/index.js";
import { checkSameData, hashSamples } from "./data-hash.js";
import type { CommonSettings, Settings, Training, TrainingContext, TrainingData } from "./define.js";
import { Interrupted } from "./exit.js";
import { grouped, print } from "./output.js";
import type { Override } from "./overrides.js";
import { checkUnfinished, readRun, versions, writeRun, type RunRecord } from "./run-folder.js";
import { showTest } from "./show-test.js";
import type { TrainingKeys } from "./training-keys.js";

/** How a training is run: what the flags say, and what its file is. */
export interface RunOptions {
  readonly name: string;
  readonly file: string;
  readonly out: string;
  readonly settings: Settings & CommonSettings;
  readonly overrides: readonly Override[];
  readonly resume: boolean | string;
  readonly overwrite: boolean;
  /** Keys of the training that flags give, over those of the file. */
  readonly keys: TrainingKeys;
  /** What is done instead of training. */
  readonly trial: "find-lr" | "fast-dev-run" | undefined;
  readonly progress: boolean | "plain";
  /** The command line that began it, for the hint how to go on. */
  readonly command: string;
  /** The text of a recipe, kept in the run's folder. */
  readonly recipe?: string;
}

/** What options of `train.fit` come from. */
type FitParts = Omit<RunOptions, "name" | "overrides" | "trial" | "recipe">;

function lengthOf(samples: Samples | undefined): number {
  if (samples === undefined) return 0;
  return Symbol.asyncIterator in samples ? ((samples as { dataset?: { length: number } }).dataset?.length ?? samples.length) : samples.length;
}

/** Trains, tests, saves, and runs what comes after. Throws `Interrupted` when the user ended it; a checkpoint is then saved. */
export async function runTraining(training: Training, options: RunOptions): Promise<void> {
  const { out, settings, command, resume, trial } = options;
  const earlier = await readRun(out);
  if (resume === false && !options.overwrite && trial === undefined) await checkUnfinished(out, earlier, command);
  const { data, model, trained } = await prepareTraining(training, options);
  introduce(options, model, data);
  if (trial === "find-lr") {
    const { train, ...rest } = trained;
    return print(String(await findLearningRate(model, train, rest)));
  }
  if (trial === "fast-dev-run") return void (await fit(model, { ...trained, fastDevRun: true, progress: "plain" }));

  const dataHash = await hashSamples([data.train, data.valid, data.test]);
  if (resume !== false) checkSameData(out, earlier?.dataHash, dataHash);
  const record: RunRecord = {
    name: options.name,
    file: options.file,
    overrides: options.overrides,
    seed: settings.seed,
    settings,
    ...(data.source === undefined ? {} : { data: data.source as Json }),
    ...(dataHash === undefined ? {} : { dataHash }),
    versions: versions(),
    started: (resume === false ? undefined : earlier?.started) ?? new Date().toISOString(),
  };
  await mkdir(out, { recursive: true }).catch((cause: unknown) => {
    throw new GraftError("file", `${out}: the folder cannot be made: ${(cause as Error).message}. Choose another one with --out.`, { cause });
  });
  if (resume === false || earlier === undefined) await writeRun(out, record);
  if (options.recipe !== undefined) await writeFileAtomic(join(out, "recipe.yaml"), options.recipe);

  const result = await fit(model, trained);
  await writeRun(out, { ...record, stopped: result.stopped, results: resultsOf(result, result.test) });
  if (result.stopped === "interrupted") throw new Interrupted();
  if (result.test !== undefined) {
    print();
    showTest(result.test);
  }
  const keep = (folder: string, trained: Module, training?: Json) => save(folder, trained, { ...modelConfig(data, trained), ...(training === undefined ? {} : { training }) });
  await keep(out, model, {
    run: options.name,
    seed: settings.seed,
    epochs: result.history.at(-1)?.epoch ?? 0,
    steps: result.steps,
    ...(data.source === undefined ? {} : { data: data.source as Json }),
    results: resultsOf(result, result.test),
  });
  print(`\nsaved to ${out}: model.safetensors, config.json, run.json, metrics.jsonl (${result.steps} steps, ${showTime(result.seconds)})`);
  if (training.after === undefined) return;
  const context: TrainingContext = {
    settings, data, model, result, out, print,
    evaluation: result.test,
    async fit(other, more) {
      const done = await fit(other, { progress: false, resumeHint: command, ...more });
      if (done.stopped === "interrupted") throw new Interrupted();
      return done;
    },
    async save(name, other) {
      await keep(join(out, name), other, { run: options.name, ...(data.source === undefined ? {} : { data: data.source as Json }) });
      return join(out, name);
    },
  };
  await training.after(context);
}

/** Data, model and options of `train.fit` of a training. */
export async function prepareTraining(
  training: Training,
  options: FitParts,
): Promise<{ readonly data: TrainingData; readonly model: Module; readonly trained: FitOptions }> {
  const { settings, file } = options;
  const data = await training.data({ settings });
  manualSeed(settings.seed);
  const model = await training.model({ settings, data });
  if (!(model instanceof Module)) throw new GraftError("argument", `${file}: model() gave ${String(model)}. Return an nn.Module.`);
  const own = typeof training.fit === "function" ? training.fit({ settings, data, model }) : training.fit;
  return { data, model, trained: fitOptions(options, data, own) };
}

function introduce({ name, out, settings }: RunOptions, model: Module, data: TrainingData): void {
  const parts = (["train", "valid", "test"] as const).flatMap((part) => (data[part] === undefined ? [] : [`${grouped(lengthOf(data[part]))} ${part}`]));
  const parameters = model.parameters().reduce((sum, parameter) => sum + parameter.size, 0);
  print(`${name}: ${model.constructor.name}, ${grouped(parameters)} parameters; samples: ${parts.join(", ")}; seed ${settings.seed}; ${currentBackend().description}; folder ${out}`);
}

function fitOptions(options: FitParts, { train, valid, test }: TrainingData, own: Partial<FitOptions> = {}): FitOptions {
  const { settings, out, resume, overwrite, progress, command, keys } = options;
  const loader = Symbol.asyncIterator in train;
  return {
    train, valid, test,
    epochs: settings.epochs,
    ...(loader ? {} : { batchSize: settings.batchSize }),
    seed: settings.seed,
    optimizer: (model) => new optim.Adam(model.namedParameters(), { lr: settings.lr }),
    log: true,
    progress,
    keys: progress !== false,
    ...own,
    ...keys,
    checkpoint: { keep: 1, best: false, ...own.checkpoint, dir: out, overwrite: resume === false || overwrite },
    resume,
    resumeHint: `${command} --resume`,
  };
}

function resultsOf({ best, history }: FitResult, test: Evaluation | undefined): { readonly [name: string]: Json } {
  const last = history.at(-1);
  return {
    ...(last === undefined ? {} : { loss: last.loss, ...(last.valid_loss === undefined ? {} : { valid_loss: last.valid_loss }) }),
    ...(best === undefined ? {} : { best: { ...best } }),
    ...(test === undefined ? {} : { test: { samples: test.samples, loss: test.loss, ...test.metrics } }),
  };
}

/** What config.json says beside the architecture. */
function modelConfig(data: TrainingData, model: Module): { readonly [key: string]: Json } {
  const own = (model as { config?: { [key: string]: Json } }).config === undefined ? undefined : configOf(model);
  const { classes, inputShape, preprocess } = data;
  return {
    ...(own === undefined ? { architecture: model.constructor.name } : {}),
    ...(inputShape === undefined ? {} : { input_shape: [...inputShape] }),
    ...(classes === undefined ? {} : { classes: [...classes] }),
    ...(preprocess === undefined ? {} : { preprocess: preprocess as Json & Preprocess }),
  };
}
