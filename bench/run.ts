// npm run bench: one training step in Graft and in its peers, in turns on one machine. --filter NAME, --seconds N, --rounds N, --json FILE,
// --compare A.json B.json.
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { compare } from "./compare.js";
import { allPeers, Runner, type Peer } from "./peer.js";
import { measurePeak } from "./peak.js";
import { workloads, type Round, type Workload } from "./workloads.js";

const { values, positionals } = parseArgs({
  options: { filter: { type: "string", default: "" }, peers: { type: "string", default: "" }, seconds: { type: "string", default: "4" }, rounds: { type: "string", default: "5" }, json: { type: "string" }, compare: { type: "boolean" }, help: { type: "boolean", short: "h" } },
  allowPositionals: true,
});
/** Lines up columns: the first two to the left. */
function show(rows: readonly string[][]): void {
  const widths = rows[0].map((_, column) => Math.max(...rows.filter((row) => row.length > 3).map((row) => (row[column] ?? "").length)));
  for (const row of rows) process.stdout.write(`${row.map((cell, i) => (i < 2 || row.length === 3 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join("  ")}\n`);
}
function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}
if (values.help) {
  process.stdout.write("npm run bench -- [--filter NAME] [--peers graft,pytorch] [--seconds 4] [--rounds 5] [--json FILE]\nnpm run bench -- --compare A.json B.json\n\nTimes one training step; peers take turns. `npm run bench:peers` installs the JavaScript peers; PyTorch is used if GRAFT_BENCH_PYTHON (or python3) has it.\n");
  process.exit(0);
}
if (values.compare) {
  if (positionals.length !== 2) fail("bench: --compare takes two files that --json wrote.");
  try {
    show(compare(positionals[0], positionals[1]));
  } catch (error) {
    fail((error as Error).message);
  }
  process.exit(0);
}
if (positionals.length > 0) fail(`bench: ${positionals[0]} is no option. npm run bench -- --help lists them.`);
const python = process.env.GRAFT_BENCH_PYTHON ?? "python3";
const hasTorch = spawnSync(python, ["-c", "import torch"], { stdio: "ignore" }).status === 0;
const wanted = values.peers.split(",").filter(Boolean);
const peers = allPeers(hasTorch, python).filter(({ name }) => wanted.length === 0 || wanted.some((word) => name.startsWith(word)));
const missing = peers.filter((peer) => peer.missing !== undefined);
const present = peers.filter((peer) => peer.missing === undefined);
const chosen = workloads.filter(({ name }) => name.includes(values.filter));
if (chosen.length === 0) fail(`bench: no workload matches "${values.filter}". There are: ${workloads.map(({ name }) => name).join(", ")}.`);

const median = (times: readonly number[]): number => [...times].sort((a, b) => a - b)[times.length >> 1];

/** Runs all peers in turns; each keeps its process, so that caches and compiled plans stay warm. */
async function measure(workload: Workload, milliseconds: number, rounds: number): Promise<{ results: Map<Peer, Round>; peak: number | undefined }> {
  const runners = new Map(present.map((peer) => [peer, new Runner(peer, workload.name)]));
  const total = new Map<Peer, { times: number[]; rss: number; first?: number; error?: string }>();
  const peaks: number[] = []; // of each round, because the clock of the machine changes with its load
  for (let round = 0; round < rounds; round++) {
    const peak = measurePeak();
    if (peak !== undefined) peaks.push(peak);
    for (const [peer, runner] of runners) {
      const sum = total.get(peer) ?? { times: [], rss: 0 };
      total.set(peer, sum);
      if (sum.error !== undefined) continue;
      const result = await runner.round(milliseconds);
      sum.times = sum.times.concat(result.times);
      sum.rss = Math.max(sum.rss, result.rss);
      sum.first ??= result.first;
      sum.error = result.error;
    }
  }
  for (const runner of runners.values()) runner.stop();
  return { results: total, peak: peaks.length === 0 ? undefined : median(peaks) };
}

const rounds = Math.max(1, Number(values.rounds));
const milliseconds = (Number(values.seconds) * 1000) / rounds;
process.stdout.write(`${cpus()[0].model}, ${cpus().length} CPUs\n`);
for (const { name, missing: how } of missing) process.stdout.write(`${name}: not here; ${how}\n`);
const header = ["workload", "peer", "median ms", "min ms", "ratio", "GFLOP/s", "peak", "of peak", "peak MiB", "first ms", "tokens/s"];
const rows: string[][] = [];
const report: Record<string, unknown>[] = [];
for (const workload of chosen) {
  const { results, peak } = await measure(workload, milliseconds, rounds);
  const own = [...results.entries()].find(([{ name }]) => name === "graft")?.[1];
  for (const [{ name }, { times, rss, first, error }] of results) {
    if (error !== undefined) {
      rows.push([workload.name, name, `cannot run it: ${error}`]);
      report.push({ workload: workload.name, peer: name, error });
      continue;
    }
    const mid = median(times);
    const least = times.reduce((a, b) => Math.min(a, b), Infinity);
    const gflops = workload.flops / mid / 1e6;
    const ratio = own && own.times.length > 0 ? mid / median(own.times) : NaN;
    rows.push([workload.name, name, mid.toFixed(3), least.toFixed(3), `${ratio.toFixed(2)}x`, gflops.toFixed(2), peak?.toFixed(0) ?? "", peak === undefined ? "" : `${((100 * gflops) / peak).toFixed(1)} %`, (rss / 2 ** 20).toFixed(0), (first ?? NaN).toFixed(0), workload.tokens === undefined ? "" : ((1000 * workload.tokens) / mid).toFixed(0)]);
    report.push({ workload: workload.name, peer: name, median: mid, minimum: least, ratio, gflops, peak, rss, first, tokens: workload.tokens, steps: times.length });
  }
}
show([header, ...rows]);
process.stdout.write("ratio: the peer's median step over Graft's; above 1 Graft is faster. peak: GFLOP/s of fused multiply-adds, the median of one measurement per round.\n");
if (values.json) writeFileSync(values.json, `${JSON.stringify({ machine: cpus()[0].model, results: report }, null, 2)}\n`);
