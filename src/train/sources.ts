import { checkNumber, GraftError } from "../base/index.js";
import { augment as augmented, DataLoader, type BatchTransform, type Dataset, type Image, type Transform } from "../data/index.js";
import { FirstBatches } from "./first-batches.js";
import type { BatchSource, DataSource, FitOptions } from "./types.js";

/** Whether data come as a loader. */
export const isLoader = (source: DataSource): source is BatchSource => typeof source === "object" && source !== null && Symbol.asyncIterator in source;

const isDataset = (source: unknown): source is Dataset<unknown> => typeof source === "object" && source !== null && "length" in source && typeof (source as { get?: unknown }).get === "function";

function checkSource(op: string, name: string, source: unknown): asserts source is DataSource {
  if (isLoader(source as DataSource) || isDataset(source)) {
    if ((source as { length: number }).length === 0) throw new GraftError("argument", `${op}: ${name} is empty: there are no ${isLoader(source as DataSource) ? "batches" : "samples"}. Give data with at least one.`);
    return;
  }
  const kind = Array.isArray(source) ? "a plain list" : source === undefined ? "missing" : `a ${typeof source}`;
  throw new GraftError("argument", `${op}: ${name} is ${kind}. Give a Dataset (for example new data.ArrayDataset(list)) or a DataLoader.`);
}

/** A loader to evaluate with: in order, every sample once. */
export function evaluationLoader(op: string, name: string, source: DataSource, batchSize: number): BatchSource {
  checkSource(op, name, source);
  return isLoader(source) ? source : (new DataLoader(source, { batchSize, seed: 0 }) as BatchSource);
}

const both = (augment: NonNullable<FitOptions["augment"]>): { readonly sample?: Transform; readonly batch?: BatchTransform } => (typeof augment === "function" ? { sample: augment } : augment);

/** The loader that `fit` trains on. Throws `argument` for options that only a loader of `fit`'s own can follow. */
export function trainLoader({ train, batchSize, shuffle, augment, seed = 0, valid, test }: FitOptions): BatchSource {
  checkSource("train.fit", "train", train);
  if (isLoader(train)) {
    for (const [name, value] of Object.entries({ batchSize, shuffle, augment })) {
      if (value !== undefined) throw new GraftError("argument", `train.fit: ${name} is for a Dataset, but train is a loader, which has its own. Set it there, or pass the data set.`);
    }
    if (train === valid || train === test) throw new GraftError("argument", "train.fit: the same loader is given to train on and to evaluate with. Make a second loader.");
    return train;
  }
  checkNumber("train.fit", "batchSize", batchSize ?? 64, { min: 1, whole: true });
  const { sample, batch } = augment === undefined ? {} : both(augment);
  const dataset = sample === undefined ? train : augmented(train as Dataset<readonly [Image, ...unknown[]]>, sample);
  return new DataLoader(dataset as Dataset<readonly [Image, number]>, { batchSize: batchSize ?? 64, shuffle: shuffle ?? true, seed, batchTransform: batch });
}

const evaluationBatch = 256;

/** What a run reads: all training data, those that it trains on, and what it measures with. `overfitBatches` and `fastDevRun` cut them down. */
export function runSources(options: FitOptions): { readonly all: BatchSource; readonly train: BatchSource; readonly valid: BatchSource | undefined; readonly test: BatchSource | undefined } {
  const { overfitBatches, fastDevRun, batchSize = evaluationBatch } = options;
  const all = trainLoader(options);
  const count = fastDevRun ? 1 : overfitBatches;
  const measured = (name: "valid" | "test"): BatchSource | undefined => {
    const source = options[name];
    const loader = source === undefined ? undefined : evaluationLoader("train.fit", name, source, batchSize);
    if (loader === undefined || fastDevRun) return loader && new FirstBatches(loader, 1);
    return overfitBatches === undefined ? loader : undefined;
  };
  return { all, train: count === undefined ? all : new FirstBatches(all, count), valid: measured("valid"), test: measured("test") };
}
