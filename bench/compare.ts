import { readFileSync } from "node:fs";

interface Row {
  readonly workload: string;
  readonly peer: string;
  readonly median?: number;
  readonly minimum?: number;
  readonly rss?: number;
}

function read(file: string): Row[] {
  let parsed: { results?: unknown };
  try {
    parsed = JSON.parse(readFileSync(file, "utf8")) as { results?: unknown };
  } catch (error) {
    throw new Error(`bench: ${file} cannot be read: ${(error as Error).message}. Give a file that --json wrote.`);
  }
  if (!Array.isArray(parsed.results)) throw new Error(`bench: ${file} holds no results. Give a file that --json wrote.`);
  return parsed.results as Row[];
}

/** A table of two files that `--json` wrote: how much faster the second is, by median, by minimum, and its memory over the first's. */
export function compare(first: string, second: string): string[][] {
  const after = new Map(read(second).map((row) => [`${row.workload} ${row.peer}`, row]));
  const rows: string[][] = [];
  for (const a of read(first)) {
    const b = after.get(`${a.workload} ${a.peer}`);
    if (a.median === undefined || b?.median === undefined) continue;
    rows.push([a.workload, a.peer, a.median.toFixed(3), b.median.toFixed(3), `${(a.median / b.median).toFixed(2)}x`, `${(a.minimum! / b.minimum!).toFixed(2)}x`, `${(b.rss! / a.rss!).toFixed(2)}x`]);
  }
  if (rows.length === 0) throw new Error(`bench: ${first} and ${second} have no workload and peer in common.`);
  return [["workload", "peer", "median A", "median B", "faster", "by min", "memory"], ...rows];
}
