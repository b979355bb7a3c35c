import { BenchError, type Report } from "./report.js";
import { groupRows, limitsLine, markdownTable } from "./table.js";
import type { Group } from "./workloads.js";

const start = (group: Group): string => `<!-- bench:${group} -->`;
const end = (group: Group): string => `<!-- /bench:${group} -->`;

/** What stands between the markers of a group: machine, day, versions, command, limits, the table, and what its rows are; those that are the same share a line. */
export function renderGroup(report: Report, group: Group): string {
  const results = report.results.filter((result) => result.group === group);
  const versions = Object.entries(report.versions).map(([name, version]) => `${name} ${version}`).join(", ");
  const names = new Map<string, Set<string>>();
  for (const { workload, what } of results) names.set(what, (names.get(what) ?? new Set()).add(`\`${workload}\``));
  const list = [...names].map(([what, of]) => `- ${[...of].join(", ")}: ${what}\n`).join("");
  return `${report.machine}; ${report.date}; ${versions}; \`${report.command}\`.\n${limitsLine({ results })}\n\n${markdownTable(groupRows(group, results))}\n${list}`;
}

/** Where a group's block begins and ends in a page; throws when its markers are not there, once each and in order. */
function blockOf(page: string, file: string, group: Group): readonly [from: number, to: number] {
  const [open, close] = [start(group), end(group)];
  const [from, to] = [page.indexOf(open), page.indexOf(close)];
  if (from < 0 || to < from || page.indexOf(open, from + 1) >= 0 || page.indexOf(close, to + 1) >= 0) {
    throw new BenchError(`bench: ${file} needs ${open} and ${close} once, in this order, each on a line of its own. The table goes between them.`);
  }
  return [from + open.length, to];
}

/** Throws when a page has no place for a group. */
export const checkMarkers = (page: string, file: string, group: Group): void => void blockOf(page, file, group);

/** The page with a group's block replaced by what the report says; everything else stays. */
export function replaceGroup(page: string, file: string, report: Report, group: Group): string {
  const [from, to] = blockOf(page, file, group);
  return `${page.slice(0, from)}\n${renderGroup(report, group)}${page.slice(to)}`;
}
