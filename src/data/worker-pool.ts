import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { GraftError, type ErrorCode } from "../base/index.js";
import type { BatchJob } from "./fetch.js";
import type { ModuleDataset } from "./module-dataset.js";
import type { FieldTypes } from "./sample.js";

/** What a worker thread is started with. */
export interface WorkerSetup {
  readonly spec: ModuleDataset<unknown>["spec"];
  /** Send the samples themselves, for a `collate` that runs on the main thread. */
  readonly raw: boolean;
  readonly dtypes: FieldTypes | undefined;
}

export interface WorkerRequest {
  readonly id: number;
  readonly job: BatchJob;
}

export type WorkerReply = { readonly id: number } & ({ readonly batch: unknown } | { readonly error: { code: ErrorCode; message: string; stack: string | undefined } });

interface Pending {
  readonly resolve: (batch: unknown) => void;
  readonly reject: (error: GraftError) => void;
}

interface Member {
  readonly worker: Worker;
  readonly pending: Map<number, Pending>;
}

/** Starts TypeScript support first where a module is a .ts file; plain text (a script or a module), because this must run before anything can be imported. */
const bootstrap = `
import("node:worker_threads")
  .then(({ workerData: { loader, entry } }) => (loader ? import(loader).then(({ register }) => register()) : Promise.resolve()).then(() => import(entry)));`;

/**
 * The module that teaches a thread TypeScript. Looked up by hand: import.meta.resolve is missing under some test runners, and tsx's CommonJS form
 * does not work in a thread.
 */
function typescriptLoader(): string {
  const require = createRequire(import.meta.url);
  const manifest = require("tsx/package.json") as { exports: { "./esm/api": { import: { default: string } } } };
  return new URL(manifest.exports["./esm/api"].import.default, pathToFileURL(require.resolve("tsx/package.json"))).href;
}

/** Threads that each hold the data set and make batches of it. Idle threads never keep the process alive. */
export class WorkerPool {
  private members: Member[];
  private nextId = 0;
  /** Set once a thread is gone; the pool then refuses work. */
  private broken: GraftError | undefined;

  constructor(setup: WorkerSetup, count: number) {
    this.members = Array.from({ length: count }, () => this.start(setup));
  }

  /** The batch of a job, from the thread with the least to do. */
  run(job: BatchJob): Promise<unknown> {
    if (this.broken !== undefined) return Promise.reject(this.broken);
    const member = this.members.reduce((a, b) => (b.pending.size < a.pending.size ? b : a));
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      member.pending.set(id, { resolve, reject });
      member.worker.ref(); // somebody waits for it
      member.worker.postMessage({ id, job } satisfies WorkerRequest);
    });
  }

  get usable(): boolean {
    return this.broken === undefined;
  }

  /** Ends all threads; batches under way are given up. */
  async close(): Promise<void> {
    this.fail(new GraftError("state", "loader: its worker threads were closed while a batch was under way. Do not close a loader that is being read."));
    await Promise.all(this.members.map(({ worker }) => worker.terminate()));
  }

  private start(setup: WorkerSetup): Member {
    const own = import.meta.url;
    const typescript = own.endsWith(".ts");
    const entry = new URL(typescript ? "./worker.ts" : "./worker.js", own).href;
    const needsLoader = typescript || /\.[mc]?tsx?$/.test(setup.spec.module);
    const loader = needsLoader ? typescriptLoader() : undefined;
    const worker = new Worker(bootstrap, { eval: true, workerData: { ...setup, entry, loader }, name: "graft data" });
    const pending = new Map<number, Pending>();
    worker.unref();
    worker.on("message", (reply: WorkerReply) => {
      const waiting = pending.get(reply.id);
      pending.delete(reply.id);
      if (pending.size === 0) worker.unref();
      if ("error" in reply) waiting?.reject(thrown(reply.error));
      else waiting?.resolve(reply.batch);
    });
    worker.on("error", (cause) => this.fail(new GraftError("state", `loader: a worker thread failed: ${(cause as Error).message}. Check the data set's module.`, { cause })));
    worker.on("exit", (code) => this.fail(new GraftError("state", `loader: a worker thread ended (exit code ${code}). Do not call process.exit in a data set.`)));
    return { worker, pending };
  }

  private fail(error: GraftError): void {
    this.broken ??= error;
    for (const { pending } of this.members ?? []) {
      for (const { reject } of pending.values()) reject(this.broken);
      pending.clear();
    }
  }
}

function thrown({ code, message, stack }: { code: ErrorCode; message: string; stack: string | undefined }): GraftError {
  const error = new GraftError(code, message);
  if (stack !== undefined) error.stack = stack; // where it happened in the thread
  return error;
}
