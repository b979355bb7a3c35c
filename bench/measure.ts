import { measureLimits, type Limits } from "./limits.js";
import type { Peer } from "./peer.js";
import { median, resultsOf, type Result, type Round } from "./report.js";
import { Runner } from "./runner.js";
import type { Workload } from "./workloads.js";

const middle = (measured: readonly Limits[]): Limits | undefined => {
  const of = (key: keyof Limits): number => median(measured.map((limits) => limits[key]));
  return measured.length === 0 ? undefined : { peak: of("peak"), copy: of("copy"), plainCopy: of("plainCopy") };
};

/** Runs all peers in turns; each keeps its process, so that caches and compiled plans stay warm. */
export async function measure(workload: Workload, peers: readonly Peer[], milliseconds: number, rounds: number): Promise<Result[]> {
  const runners = new Map<string, Runner>();
  const profiled = new Map<string, Runner>(); // in processes of their own, since a profile takes time and memory; not for functions, which are too many
  const total = new Map<string, Round>();
  for (const peer of peers.filter((one) => one.runs(workload))) {
    const runner = new Runner(peer.command(workload));
    const { rss, first, error } = await runner.round(0); // one after another: a first step must not share the cores with the start of the next process
    runners.set(peer.name, runner);
    total.set(peer.name, { times: [], rss, first, error });
    if (peer.profiled === undefined || workload.function !== undefined || error !== undefined) continue;
    const kernels = new Runner(peer.profiled(workload));
    await kernels.round(0);
    profiled.set(peer.name, kernels);
  }
  const limits: Limits[] = []; // of each round, because the clock of the machine changes with its load
  for (let round = 0; round < rounds; round++) {
    const now = measureLimits();
    if (now !== undefined) limits.push(now);
    for (const [name, runner] of runners) {
      const sum = total.get(name)!;
      if (sum.error !== undefined) continue;
      const { times, rss, error } = await runner.round(milliseconds);
      const inKernels = await profiled.get(name)?.round(milliseconds / 2);
      const kernels = [...(sum.kernels ?? []), ...(inKernels?.times ?? [])];
      total.set(name, { times: [...sum.times, ...times], kernels, rss: Math.max(sum.rss, rss), first: sum.first, error });
    }
  }
  await Promise.all([...runners.values(), ...profiled.values()].map((runner) => runner.stop()));
  return resultsOf(workload, total, middle(limits));
}
