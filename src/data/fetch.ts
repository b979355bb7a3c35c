import { GraftError } from "../base/index.js";
import type { Dataset } from "./dataset.js";
import { Random } from "./random.js";

/** What makes one batch: everything that its samples depend on, as plain data. */
export interface BatchJob {
  readonly seed: number;
  readonly epoch: number;
  readonly batch: number;
  readonly indices: readonly number[];
}

/**
 * The samples of a batch, in order. Synchronous data sets are read without a promise per sample.
 * A failure is a `GraftError` that names the sample (an error of another kind gets the code `argument` and is its `cause`).
 */
export async function fetchSamples<S>(dataset: Dataset<S>, job: BatchJob): Promise<S[]> {
  const samples: (S | Promise<S>)[] = [];
  for (const index of job.indices) {
    try {
      const sample = dataset.get(index, new Random(job.seed, { purpose: "sample", epoch: job.epoch, index }));
      samples.push(sample instanceof Promise ? sample.catch((cause: unknown) => Promise.reject(sampleError(job, index, cause))) : sample);
    } catch (cause) {
      for (const sample of samples) if (sample instanceof Promise) sample.catch(() => undefined);
      throw sampleError(job, index, cause);
    }
  }
  return Promise.all(samples);
}

function sampleError({ epoch, batch }: BatchJob, index: number, cause: unknown): GraftError {
  const message = cause instanceof Error ? cause.message : String(cause);
  return new GraftError(cause instanceof GraftError ? cause.code : "argument", `loader: sample ${index} (epoch ${epoch}, batch ${batch}): ${message}`, { cause });
}
