import { median, type Report, type Result } from "./report.js";
import type { Group } from "./workloads.js";

type Column = readonly [heading: string, cell: (result: Result) => string];

const fixed = (value: number | undefined, digits: number): string => (value === undefined ? "" : value.toFixed(digits));
/** Three digits and more, whatever the size. */
const measured = (value: number | undefined): string => fixed(value, value === undefined || value < 10 ? 3 : value < 1000 ? 2 : 1);

const times = (ratio: number | undefined): string => (ratio === undefined ? "" : `${ratio.toFixed(2)}x`);
const percent = (value: number | undefined): string => (value === undefined ? "" : `${(100 * value).toFixed(1)} %`);

const columns: readonly Column[] = [
  ["workload", ({ workload }) => workload],
  ["peer", ({ peer }) => peer],
  ["median ms", (result) => measured(result.median)],
  ["min ms", (result) => measured(result.minimum)],
  ["ratio", ({ ratio }) => times(ratio)],
  ["GFLOP/s", ({ gflops }) => fixed(gflops, 2)],
  ["GB/s", ({ bandwidth }) => fixed(bandwidth, 2)],
  ["of limit", ({ share }) => percent(share)],
  ["kernels ms", (result) => measured(result.kernels)],
  ["of limit", ({ kernelShare }) => percent(kernelShare)],
  ["peak MiB", ({ rss }) => fixed(rss === undefined ? undefined : rss / 2 ** 20, 0)],
  ["first ms", ({ first }) => fixed(first, 0)],
  ["tokens/s", ({ tokensPerSecond }) => fixed(tokensPerSecond, 0)],
];

/** A heading and a row per result; columns without any value are left out. A row that failed ends in its reason. */
export function tableRows(results: readonly Result[]): string[][] {
  const used = columns.filter(([, cell], i) => i < 2 || results.some((result) => cell(result) !== ""));
  return [
    used.map(([heading]) => heading),
    ...results.map((result) => (result.error === undefined ? used.map(([, cell]) => cell(result)) : [result.workload, result.peer, `cannot run it: ${result.error}`])),
  ];
}

/** A row per workload with the milliseconds of its peers side by side, for a group of so many workloads that no more fits; at the end what cannot run. */
function sideBySide(results: readonly Result[]): string[][] {
  const rows = [...new Set(results.map(({ workload }) => workload))].map((name) => results.filter(({ workload }) => workload === name));
  const peers = [...new Set(results.map(({ peer }) => peer))];
  const cells = (heading: string, cell: (result: Result) => string, peer?: string): string[] =>
    [heading, ...rows.map((row) => row.filter((result) => peer === undefined || result.peer === peer).map(cell).filter(Boolean).join("; "))];
  const used = [
    ["function", ...rows.map(([{ workload }]) => workload)],
    ...peers.map((peer) => cells(`${peer} ms`, ({ median: middle }) => measured(middle), peer)),
    ...peers.filter((peer) => peer !== "graft").map((peer) => cells("ratio", ({ ratio }) => times(ratio), peer)),
    cells("cannot run it", ({ peer, error }) => (error === undefined ? "" : `${peer}: ${error}`)),
  ].filter(([, ...column]) => column.some(Boolean));
  return used[0].map((_, i) => used.map((column) => column[i]));
}

/** The table of a group. */
export const groupRows = (group: Group, results: readonly Result[]): string[][] => (group === "functions" ? sideBySide(results) : tableRows(results));

/** Whether a column is of words, which are lined up to the left; numbers are to the right. */
const isWords = (heading: string): boolean => ["workload", "peer", "function", "cannot run it"].includes(heading);

/** Lines up columns for a terminal. */
export function textTable(rows: readonly string[][]): string {
  const [heading] = rows;
  const whole = (row: readonly string[]): boolean => row.length === heading.length; // the others end in a reason, which has no width
  const widths = heading.map((name, i) => Math.max(...rows.filter((row) => whole(row) || isWords(name)).map((row) => (row[i] ?? "").length)));
  const line = (row: readonly string[]): string => row.map((cell, i) => (isWords(heading[i]) || !whole(row) ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i]))).join("  ").trimEnd();
  return rows.map((row) => `${line(row)}\n`).join("");
}

/** The same as a table of Markdown, lined up in the source too. */
export function markdownTable(rows: readonly string[][]): string {
  const [heading, ...body] = rows;
  const full = body.map((row) => heading.map((_, i) => (row[i] ?? "").replaceAll("|", "\\|")));
  const whole = body.map((row) => row.length === heading.length);
  const widths = heading.map((name, i) => Math.max(3, name.length, ...full.map((row, r) => (isWords(name) || whole[r] ? row[i].length : 0))));
  const line = (row: readonly string[]): string => `| ${row.map((cell, i) => (isWords(heading[i]) ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join(" | ")} |\n`;
  const rule = `|${widths.map((width, i) => (isWords(heading[i]) ? "-".repeat(width + 2) : `${"-".repeat(width + 1)}:`)).join("|")}|\n`;
  return line(heading) + rule + full.map(line).join("");
}

/** The limits of the machine, the medians over the workloads of a run. */
export function limitsLine({ results }: Pick<Report, "results">): string {
  const limits = results.flatMap((result) => (result.limits === undefined ? [] : [result.limits]));
  if (limits.length === 0) return "The machine's limits are unknown without native kernels.";
  const [peak, copy, plain] = (["peak", "copy", "plainCopy"] as const).map((key) => median(limits.map((limit) => limit[key])));
  return `Limits measured in the same rounds: ${peak.toFixed(0)} GFLOP/s of fused multiply-adds; a copy of 64 MiB at ${copy.toFixed(1)} GB/s read and written (${plain.toFixed(1)} GB/s with stores that go through the caches).`;
}
