import { readFileSync } from "node:fs";
import type { Limits } from "./limits.js";
import type { Group, Workload } from "./workloads.js";

/** What a peer answers to a round. */
export interface Round {
  /** Milliseconds of each step. */
  readonly times: readonly number[];
  /** Milliseconds inside kernels of the steps of another process, which is profiled; Graft only. */
  readonly kernels?: readonly number[];
  /** Peak resident memory of the process, in bytes. */
  readonly rss: number;
  /** Milliseconds of the first step (first round only). */
  readonly first?: number;
  readonly error?: string;
}

/** One row of the tables: a peer in a workload, or why it has none. */
export interface Result {
  readonly workload: string;
  readonly group: Group;
  /** What is computed, and for kernels which bytes are counted. */
  readonly what: string;
  readonly peer: string;
  /** Milliseconds of a step. */
  readonly median?: number;
  readonly minimum?: number;
  /** The median over Graft's: above 1 Graft is faster. */
  readonly ratio?: number;
  readonly gflops?: number;
  /** GB/s of the bytes that must be moved. */
  readonly bandwidth?: number;
  /** Of the peak of fused multiply-adds, or of the copy bandwidth, measured in the same rounds: 0 to 1. */
  readonly share?: number;
  /** Milliseconds that a step spends inside kernels: without recording, the look-up of plans, the hop between threads and garbage collection. */
  readonly kernels?: number;
  /** The share that these milliseconds would give. */
  readonly kernelShare?: number;
  readonly limits?: Limits;
  /** Peak resident memory in bytes. */
  readonly rss?: number;
  /** Milliseconds of the first step, with everything that is compiled in it. */
  readonly first?: number;
  readonly tokensPerSecond?: number;
  readonly steps?: number;
  readonly error?: string;
}

/** What `--json` writes. */
export interface Report {
  readonly machine: string;
  /** Day of the run, as YYYY-MM-DD. */
  readonly date: string;
  readonly versions: Readonly<Record<string, string>>;
  /** The command line behind `npm run bench`. */
  readonly command: string;
  readonly results: readonly Result[];
}

/** A mistake of the user, said without a stack. */
export class BenchError extends Error {}

export const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1];

/** Rows of one workload from what its peers measured; `limits` are those of its rounds. */
export function resultsOf(workload: Workload, measured: ReadonlyMap<string, Round>, limits: Limits | undefined): Result[] {
  const { name, group, what, flops, bytes, tokens } = workload;
  const own = measured.get("graft");
  const shareOf = (milliseconds: number): number | undefined => {
    if (limits === undefined) return undefined;
    if (flops !== undefined) return flops / milliseconds / 1e6 / limits.peak;
    return bytes === undefined ? undefined : bytes / milliseconds / 1e6 / limits.copy;
  };
  return [...measured].map(([peer, { times, kernels = [], rss, first, error }]): Result => {
    const head = { workload: name, group, what, peer };
    if (error !== undefined || times.length === 0) return { ...head, error: error ?? "no step was measured" };
    const middle = median(times);
    const inKernels = kernels.length === 0 ? undefined : median(kernels);
    return {
      ...head,
      median: middle,
      minimum: times.reduce((a, b) => Math.min(a, b), Infinity),
      ratio: own === undefined || own.times.length === 0 ? undefined : middle / median(own.times),
      gflops: flops === undefined ? undefined : flops / middle / 1e6,
      bandwidth: bytes === undefined ? undefined : bytes / middle / 1e6,
      share: shareOf(middle),
      kernels: inKernels,
      kernelShare: inKernels === undefined ? undefined : shareOf(inKernels),
      limits,
      rss,
      first,
      tokensPerSecond: tokens === undefined ? undefined : (1000 * tokens) / middle,
      steps: times.length,
    };
  });
}

/** A file that `--json` wrote; files of older versions have fewer fields. */
export function readReport(file: string): Report {
  let parsed: Partial<Report>;
  try {
    parsed = JSON.parse(readFileSync(file, "utf8")) as Partial<Report>;
  } catch (error) {
    throw new BenchError(`bench: ${file} cannot be read: ${(error as Error).message}. Give a file that --json wrote.`);
  }
  if (!Array.isArray(parsed?.results)) throw new BenchError(`bench: ${file} holds no results. Give a file that --json wrote.`);
  return { machine: parsed.machine ?? "", date: parsed.date ?? "", versions: parsed.versions ?? {}, command: parsed.command ?? "", results: parsed.results as Result[] };
}
