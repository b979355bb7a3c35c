import { BenchError, readReport } from "./report.js";

/** A table of two files that `--json` wrote: how much faster the second is, by median, by minimum, and its memory over the first's. */
export function compare(first: string, second: string): string[][] {
  const after = new Map(readReport(second).results.map((row) => [`${row.workload} ${row.peer}`, row]));
  const rows: string[][] = [];
  for (const a of readReport(first).results) {
    const b = after.get(`${a.workload} ${a.peer}`);
    if (a.median === undefined || b?.median === undefined) continue;
    rows.push([a.workload, a.peer, a.median.toFixed(3), b.median.toFixed(3), `${(a.median / b.median).toFixed(2)}x`, `${(a.minimum! / b.minimum!).toFixed(2)}x`, `${(b.rss! / a.rss!).toFixed(2)}x`]);
  }
  if (rows.length === 0) throw new BenchError(`bench: ${first} and ${second} have no workload and peer in common.`);
  return [["workload", "peer", "median A", "median B", "faster", "by min", "memory"], ...rows];
}
