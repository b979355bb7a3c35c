// npm run bench: a training step, a kernel or a function in Graft and in its peers, in turns on one machine. options.ts says what it can be asked for.
import { readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { currentBackend } from "../src/index.js";
import { compare } from "./compare.js";
import { checkMarkers, replaceGroup } from "./markdown.js";
import { measure } from "./measure.js";
import { help, parseOptions, type Options } from "./options.js";
import { findPeers, versionsOf } from "./peer.js";
import { BenchError, readReport, type Report, type Result } from "./report.js";
import { groupRows, limitsLine, textTable } from "./table.js";
import { groups, type Group } from "./workloads.js";

const say = (text: string): void => void process.stdout.write(text);

function readPage(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new BenchError(`bench: --markdown ${file} cannot be read: ${(error as Error).message}. Give a page with the markers.`);
  }
}

function write(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    throw new BenchError(`bench: ${file} cannot be written: ${(error as Error).message}.`);
  }
}

const groupsIn = (found: readonly { readonly group: Group }[]): Group[] => groups.filter((group) => found.some((one) => one.group === group));

function show(report: Report): void {
  for (const group of groupsIn(report.results)) say(`\n${textTable(groupRows(group, report.results.filter((result) => result.group === group)))}`);
  say(`\nratio: a peer's median over Graft's; above 1 Graft is faster. of limit: of the peak, or where GB/s is stated of the copy.\n${limitsLine(report)}\n`);
}

function intoPage(file: string, report: Report, wanted: readonly Group[]): void {
  let page = readPage(file);
  for (const group of wanted) page = replaceGroup(page, file, report, group);
  write(file, page);
}

/** Arguments as one would type them. */
const typed = (given: readonly string[]): string => {
  const isFile = (arg: string | undefined): boolean => arg === "--json" || arg === "--markdown";
  const args = given.filter((arg, i) => !isFile(arg) && !isFile(given[i - 1]) && !/^--(json|markdown)=/.test(arg)); // where results go says nothing about them
  return ["npm run bench", ...(args.length > 0 ? ["--"] : []), ...args].join(" ");
};

async function run(options: Extract<Options, { does: "measure" }>): Promise<void> {
  const { workloads, markdown, json } = options;
  if (markdown !== undefined) for (const group of groupsIn(workloads)) checkMarkers(readPage(markdown), markdown, group); // before the hours, not after
  const all = findPeers(options.peers);
  const peers = all.filter((peer) => peer.missing === undefined);
  for (const { name, missing } of all) if (missing !== undefined) say(`${name}: not here; ${missing}\n`);
  if (peers.length === 0) throw new BenchError("bench: none of the peers is here.");
  const results: Result[] = [];
  const report: Report = {
    machine: `${cpus()[0].model}, ${cpus().length} CPUs, ${currentBackend().description}`,
    date: new Date().toISOString().slice(0, 10),
    versions: versionsOf(peers),
    command: typed(process.argv.slice(2)),
    results,
  };
  const save = (): void => void (json !== undefined && write(json, `${JSON.stringify(report, null, 2)}\n`));
  save();
  say(`${report.machine}\n`);
  for (const [i, workload] of workloads.entries()) {
    process.stderr.write(`${i + 1} of ${workloads.length}: ${workload.name}: ${workload.what}\n`);
    results.push(...(await measure(workload, peers, options.milliseconds, options.rounds)));
    save();
  }
  show(report);
  if (markdown !== undefined) intoPage(markdown, report, groupsIn(results));
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  switch (options.does) {
    case "help":
      return say(help);
    case "compare":
      return say(textTable(compare(...options.files)));
    case "render": {
      const read = readReport(options.from);
      const report = { ...read, results: read.results.filter(({ group }) => options.groups.includes(group)) };
      if (report.results.length === 0) throw new BenchError(`bench: ${options.from} has no results of ${options.groups.join(", ")}.`);
      show(report);
      if (options.markdown !== undefined) intoPage(options.markdown, report, groupsIn(report.results));
      return;
    }
    case "measure":
      return run(options);
  }
}

main().catch((error: unknown) => {
  if (!(error instanceof BenchError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});
