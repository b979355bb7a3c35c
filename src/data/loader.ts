import { GraftError } from "../base/index.js";
import { fromData, type Tensor } from "../graph/index.js";
import { getRandomState } from "../ops/index.js";
import { timed } from "../runtime/index.js";
import type { Dataset } from "./dataset.js";
import { fetchSamples, type BatchJob } from "./fetch.js";
import { ModuleDataset } from "./module-dataset.js";
import { Random } from "./random.js";
import { stack, type Field, type FieldTypes, type HostArray, type HostBatch, type Sample } from "./sample.js";
import { randomSampler, sequentialSampler, type Sampler } from "./sampler.js";
import { WorkerPool } from "./worker-pool.js";

/** What a loader gives for samples of type S: a tensor for each field. */
export type BatchOf<S> = S extends readonly unknown[] ? { -readonly [K in keyof S]: Tensor } : S extends Field ? [Tensor] : { -readonly [K in keyof S]: Tensor };

/** Where a batch stands, for `collate`. */
export interface BatchContext {
  readonly epoch: number;
  readonly batch: number;
  /** The samples' numbers in the data set. */
  readonly indices: readonly number[];
  /** The batch's own random numbers: the same on every run and after a resume. */
  readonly random: Random;
}

/** Changes a whole batch in plain memory, before it becomes tensors (mixup, cutmix). */
export type BatchTransform = (batch: HostBatch, random: Random) => HostBatch;

/** Options of {@link DataLoader}. */
export interface LoaderOptions<S, B> {
  /** Samples per batch; the last one may be smaller. Default 1. */
  readonly batchSize?: number;
  /** A new random order each epoch. Default false. */
  readonly shuffle?: boolean;
  /** Seed of order and augmentation. Default: the seed of `manualSeed`. */
  readonly seed?: number;
  /** Leave out a last batch that is not full. Default false. */
  readonly dropLast?: boolean;
  /** Chooses samples and order instead of `shuffle`. */
  readonly sampler?: Sampler;
  /** dtype of fields, by position or name, where it is not the field's own; e.g. `[undefined, "f32"]` for regression targets given as numbers. */
  readonly dtypes?: FieldTypes;
  readonly batchTransform?: BatchTransform;
  /** Makes the batch from the samples itself. Runs when the batch is handed out. Default: a tensor [B, ...] for each field. */
  readonly collate?: (samples: readonly S[], context: BatchContext) => B | Promise<B>;
  /** Batches prepared ahead. Default 1, with workers 2 for each. */
  readonly prefetch?: number;
  /** Threads that read the data set, which must then come from `fromModule`. Default 0: this thread. */
  readonly workers?: number;
}

/** A loader's position, as plain JSON: for checkpoints. */
export interface LoaderState {
  readonly seed: number;
  readonly epoch: number;
  /** Batches of this epoch that were handed out. */
  readonly batch: number;
  readonly samples: number;
  readonly batchSize: number;
  readonly order: "sequential" | "shuffled" | "sampler";
}

/**
 * Batches of a data set. One `for await` is one epoch (or what is left of it after `loadStateDict`); the next one shuffles anew.
 *
 * Order, augmentation and batch transforms depend on (seed, epoch, position) only, so the same batches come in the same order whatever `prefetch` and
 * `workers` are, and after a resume. A sample that cannot be read throws with its number; leaving the loop early ends the worker threads.
 *
 * @example
 * const loader = new DataLoader(digits.train, { batchSize: 64, shuffle: true, seed: 1 });
 * for await (const [input, target] of loader) { ... } // [64, 1, 16, 16] f32, [64] i32
 */
export class DataLoader<S = Sample, B = BatchOf<S>> implements AsyncIterable<B> {
  readonly batchSize: number;
  readonly seed: number;
  private readonly sampler: Sampler;
  private readonly ahead: number;
  private readonly workers: number;
  private pool: WorkerPool | undefined;
  private place: { readonly seed: number; readonly epoch: number; readonly batch: number };
  private resume = false; // the next epoch starts at place.batch instead of its beginning
  private readers = 0; // number of the iteration that moves `place`

  constructor(
    readonly dataset: Dataset<S>,
    private readonly options: LoaderOptions<S, B> = {},
  ) {
    const { batchSize = 1, shuffle = false, sampler, workers = 0, prefetch = workers > 0 ? 2 * workers : 1, seed = getRandomState().seed } = options;
    checkCount("batchSize", batchSize, 1);
    checkCount("workers", workers, 0);
    checkCount("prefetch", prefetch, 0);
    if (sampler !== undefined && shuffle) throw new GraftError("argument", "DataLoader: shuffle and sampler exclude each other. Use randomSampler, or leave shuffle out.");
    if (workers > 0 && !(dataset instanceof ModuleDataset)) {
      throw new GraftError("argument", "DataLoader: with workers the data set must be made in each thread. Make it with await fromModule({ module, export, args }), or leave workers out.");
    }
    new Random(seed); // checks it
    this.batchSize = batchSize;
    this.seed = seed;
    this.workers = workers;
    this.ahead = workers > 0 ? Math.max(prefetch, 1) : prefetch;
    this.sampler = sampler ?? (shuffle ? randomSampler : sequentialSampler)(dataset.length);
    this.place = { seed, epoch: 0, batch: 0 };
  }

  /** Batches per epoch. */
  get length(): number {
    return Math[this.options.dropLast ? "floor" : "ceil"](this.sampler.length / this.batchSize);
  }

  /** The epoch that is being read or comes next, from 0. */
  get epoch(): number {
    return this.place.epoch;
  }

  /** Chooses the epoch to read next. Without it they follow each other. Naming the present one keeps the position in it. */
  setEpoch(epoch: number): void {
    checkCount("epoch", epoch, 0);
    if (epoch === this.place.epoch) return;
    this.move({ ...this.place, epoch, batch: 0 });
  }

  /** The samples' numbers in one batch of an epoch, both from 0, as the loader gives them. */
  batchIndices(epoch: number, batch: number): number[] {
    const order = this.sampler.indices(new Random(this.place.seed, { purpose: "order", epoch }));
    return Array.from(slice(order, batch * this.batchSize, (batch + 1) * this.batchSize));
  }

  /** The position: a batch counts as read once it was handed out. */
  stateDict(): LoaderState {
    return { ...this.place, ...this.identity() };
  }

  /**
   * Continues where `stateDict` was taken: the next `for await` gives the rest of that epoch.
   *
   * Throws `state` when the loader reads other data or in other batches than the one that was saved.
   */
  loadStateDict(state: LoaderState): void {
    const own = this.identity();
    for (const key of ["samples", "batchSize", "order"] as const) {
      if (state[key] !== own[key]) {
        throw new GraftError(
          "state",
          `DataLoader: the saved position has ${key} ${state[key]}, this loader has ${own[key]}. Resume with the data and options of the saved run.`,
        );
      }
    }
    for (const key of ["seed", "epoch", "batch"] as const) {
      if (!Number.isSafeInteger(state[key]) || state[key] < 0) {
        throw new GraftError("state", `DataLoader: the saved ${key} is ${String(state[key])}. Use what stateDict() gave.`);
      }
    }
    this.move({ seed: state.seed, epoch: state.epoch, batch: state.batch });
    this.resume = true;
  }

  /** Ends the worker threads, if there are any; the next epoch starts new ones. Idle threads do not keep the process alive. */
  async close(): Promise<void> {
    const pool = this.pool;
    this.pool = undefined;
    await pool?.close();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<B, void, undefined> {
    const reader = ++this.readers;
    const { seed, epoch } = this.place;
    const start = this.resume ? this.place.batch : 0;
    this.resume = false;
    this.place = { seed, epoch, batch: start };
    const count = this.length;
    const order = start < count ? this.sampler.indices(new Random(seed, { purpose: "order", epoch })) : [];
    const job = (batch: number): BatchJob => ({ seed, epoch, batch, indices: Array.from(slice(order, batch * this.batchSize, (batch + 1) * this.batchSize)) });

    const queue: { readonly job: BatchJob; readonly ready: Promise<S[] | HostBatch> }[] = [];
    let next = start;
    const fill = (wanted: number, now: boolean): void => {
      for (; queue.length < wanted && next < count; next++) {
        const made = job(next);
        const ready = this.prepare(made, now);
        ready.catch(() => undefined); // reported when its turn comes, or never when the loop ends before
        queue.push({ job: made, ready });
      }
    };
    let complete = false;
    try {
      for (let batch = start; batch < count; batch++) {
        fill(Math.max(1, this.workers > 0 ? this.ahead : 0), true);
        const { job: made, ready } = queue.shift()!;
        const result = await this.finish(made, await ready);
        fill(this.ahead, false);
        if (reader === this.readers) this.place = { seed, epoch, batch: batch + 1 };
        yield result;
      }
      complete = true;
      if (reader === this.readers) this.place = { seed, epoch: epoch + 1, batch: 0 };
    } finally {
      if (!complete) await this.close();
    }
  }

  /** Reads the samples of a batch, in a worker thread or here; not `now`: once the caller waits for something else. */
  private async prepare(job: BatchJob, now: boolean): Promise<S[] | HostBatch> {
    const { collate, dtypes } = this.options;
    if (this.workers > 0) {
      if (!this.pool?.usable) this.pool = new WorkerPool({ spec: (this.dataset as ModuleDataset<S>).spec, raw: collate !== undefined, dtypes }, this.workers);
      return this.transformed(job, (await this.pool.run(job)) as S[] | HostBatch);
    }
    if (!now) await new Promise((resolve) => setImmediate(resolve));
    const samples = await timed("loader", () => fetchSamples(this.dataset, job));
    return collate === undefined ? timed("loader", () => this.transformed(job, stack(samples, dtypes, job.indices))) : samples;
  }

  private transformed(job: BatchJob, batch: S[] | HostBatch): S[] | HostBatch {
    const { collate, batchTransform } = this.options;
    return collate !== undefined || batchTransform === undefined ? batch : batchTransform(batch as HostBatch, batchRandom(job));
  }

  private async finish(job: BatchJob, batch: S[] | HostBatch): Promise<B> {
    const { collate } = this.options;
    if (collate === undefined) return toTensors(batch as HostBatch) as B;
    return collate(batch as S[], { epoch: job.epoch, batch: job.batch, indices: job.indices, random: batchRandom(job) });
  }

  private move(place: { readonly seed: number; readonly epoch: number; readonly batch: number }): void {
    this.place = place;
    this.resume = false;
    this.readers++; // an iteration under way no longer moves the position
  }

  private identity(): Pick<LoaderState, "samples" | "batchSize" | "order"> {
    const { shuffle, sampler } = this.options;
    return { samples: this.sampler.length, batchSize: this.batchSize, order: sampler !== undefined ? "sampler" : shuffle ? "shuffled" : "sequential" };
  }
}

const batchRandom = ({ seed, epoch, batch }: BatchJob): Random => new Random(seed, { purpose: "batch", epoch, index: batch });

/** Makes tensors of a batch in plain memory, without a copy. */
export function toTensors(batch: HostBatch): Tensor[] | Record<string, Tensor> {
  const toTensor = ({ data, shape, dtype }: HostArray): Tensor => fromData(data, shape, dtype);
  if (Array.isArray(batch)) return (batch as readonly HostArray[]).map(toTensor);
  return Object.fromEntries(Object.entries(batch).map(([name, array]) => [name, toTensor(array as HostArray)]));
}

const slice = (order: ArrayLike<number>, from: number, to: number): ArrayLike<number> => Array.prototype.slice.call(order, from, to) as number[];

function checkCount(name: string, value: number, least: number): void {
  if (!Number.isSafeInteger(value) || value < least) throw new GraftError("argument", `DataLoader: ${name} is ${value}. Use a whole number of ${least} or more.`);
}
