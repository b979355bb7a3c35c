import { parentPort, workerData, type TransferListItem } from "node:worker_threads";
import { GraftError } from "../base/index.js";
import { fetchSamples } from "./fetch.js";
import { fromModule } from "./module-dataset.js";
import { stack } from "./sample.js";
import type { WorkerReply, WorkerRequest, WorkerSetup } from "./worker-pool.js";

// The body of a loader's worker thread: makes the data set once, then answers one request for a batch after the other.
const { spec, raw, dtypes } = workerData as WorkerSetup;
const dataset = fromModule(spec);
dataset.catch(() => undefined); // reported by the first request

async function answer({ id, job }: WorkerRequest): Promise<void> {
  let reply: WorkerReply;
  let transfer: TransferListItem[] = [];
  try {
    const samples = await fetchSamples(await dataset, job);
    const batch = raw ? samples : stack(samples, dtypes, job.indices);
    if (!raw) transfer = Object.values(batch as Record<string, { data: { buffer: ArrayBuffer } }>).map(({ data }) => data.buffer);
    reply = { id, batch };
  } catch (error) {
    reply = failure(id, error);
  }
  try {
    parentPort!.postMessage(reply, transfer);
  } catch (error) {
    const problem = `loader: batch ${job.batch} cannot leave its worker thread: ${(error as Error).message}. Let samples be plain data.`;
    parentPort!.postMessage(failure(id, new GraftError("argument", problem)));
  }
}

function failure(id: number, cause: unknown): WorkerReply {
  const error = cause instanceof Error ? cause : new Error(String(cause));
  return { id, error: { code: error instanceof GraftError ? error.code : "argument", message: error.message, stack: error.stack } };
}

parentPort!.on("message", (request: WorkerRequest) => void answer(request));
