import { parseArgs } from "node:util";
import { didYouMean } from "../src/base/index.js";
import { BenchError } from "./report.js";
import { peerNames, type PeerName } from "./peer.js";
import { groups, workloads, type Group, type Workload } from "./workloads.js";

/** What the command line asks for. */
export type Options =
  | { readonly does: "help" }
  | { readonly does: "compare"; readonly files: readonly [string, string] }
  | {
      readonly does: "measure";
      readonly workloads: readonly Workload[];
      readonly peers: readonly PeerName[];
      /** Milliseconds of each round. */
      readonly milliseconds: number;
      readonly rounds: number;
      readonly json?: string;
      readonly markdown?: string;
    }
  | { readonly does: "render"; readonly from: string; readonly groups: readonly Group[]; readonly markdown?: string };

export const help = `npm run bench -- [options]
npm run bench -- --compare A.json B.json
npm run bench -- --from A.json --markdown FILE

Times a training step (forward, backward, update), a single kernel or a single function in Graft and in its peers, which take turns.
npm run bench:peers installs the JavaScript peers; PyTorch is measured where GRAFT_BENCH_PYTHON (or python3) has it.

  --filter WORDS    only workloads with one of these in their name, as in norm,softmax; of functions only words that begin with fn_
  --group NAMES     only these groups: ${groups.join(", ")} (default: all but functions, which are many)
  --peers NAMES     only these peers: ${peerNames.join(", ")} (default: all that are here)
  --seconds N       how long each peer runs each workload (default 4)
  --rounds N        in how many turns (default 5)
  --json FILE       writes the results to a file, after every workload
  --markdown FILE   replaces the tables of the groups that ran, between <!-- bench:GROUP --> and <!-- /bench:GROUP -->
  --from FILE       shows the results that --json wrote instead of measuring
  --compare         compares two files that --json wrote
`;

const flags = {
  filter: { type: "string" },
  group: { type: "string" },
  peers: { type: "string" },
  seconds: { type: "string" },
  rounds: { type: "string" },
  json: { type: "string" },
  markdown: { type: "string" },
  from: { type: "string" },
  compare: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: flags, allowPositionals: true, strict: true });
  } catch (error) {
    const [, word] = /^Unknown option '--?([^']+)'/.exec((error as Error).message) ?? [];
    if (word === undefined) throw new BenchError(`bench: ${(error as Error).message}`);
    throw new BenchError(`bench: there is no --${word}.${didYouMean(word, Object.keys(flags))} npm run bench -- --help lists the options.`);
  }
}

function chosen<T extends string>(flag: string, given: string | undefined, known: readonly T[]): readonly T[] {
  if (given === undefined) return known;
  return given.split(",").map((word) => {
    const found = known.find((name) => name === word.trim());
    if (found === undefined) throw new BenchError(`bench: --${flag} ${given}: there is no "${word.trim()}".${didYouMean(word, known)} Use ${known.join(", ")}, joined by commas.`);
    return found;
  });
}

/** Whether a word of --filter means a workload. Functions are too many to run unless they are asked for: by their group, or by their prefix. */
const means = (word: string, { name, group }: Workload, inGroup: boolean): boolean => name.includes(word) && (group !== "functions" || inGroup || word.startsWith("fn_"));

function number(flag: string, given: string | undefined, byDefault: number, whole: boolean): number {
  if (given === undefined) return byDefault;
  const value = Number(given);
  if (given.trim() === "" || !(value > 0 && value < 1e6) || (whole && !Number.isInteger(value))) throw new BenchError(`bench: --${flag} ${given}: give a ${whole ? "whole " : ""}number above 0.`);
  return value;
}

/** Reads the arguments behind `npm run bench --`; throws BenchError for what does not fit together. */
export function parseOptions(args: readonly string[]): Options {
  const { values, positionals } = parse(args);
  if (values.help) return { does: "help" };
  if (values.compare) {
    if (positionals.length !== 2) throw new BenchError("bench: --compare takes two files that --json wrote: --compare A.json B.json.");
    return { does: "compare", files: [positionals[0], positionals[1]] };
  }
  if (positionals.length > 0) throw new BenchError(`bench: ${positionals[0]} is no option. npm run bench -- --help lists them.`);
  const inGroups = chosen("group", values.group, groups);
  if (values.from !== undefined) {
    const unused = (["filter", "peers", "seconds", "rounds", "json"] as const).find((flag) => values[flag] !== undefined);
    if (unused !== undefined) throw new BenchError(`bench: --from shows what was measured; --${unused} has no meaning beside it. Leave one of them out.`);
    return { does: "render", from: values.from, groups: inGroups, markdown: values.markdown };
  }
  const rounds = number("rounds", values.rounds, 5, true);
  const having = (words: readonly string[]): Workload[] =>
    workloads.filter((workload) => inGroups.includes(workload.group) && words.some((word) => means(word, workload, values.group !== undefined)));
  const found = having((values.filter ?? "").split(","));
  if (found.length === 0) {
    const names = having([""]).map(({ name }) => name).join(", ");
    throw new BenchError(`bench: no workload matches --filter ${values.filter}. There are: ${names}${values.group === undefined ? "; --group functions has more" : ""}.`);
  }
  const milliseconds = (number("seconds", values.seconds, 4, false) * 1000) / rounds;
  return { does: "measure", workloads: found, peers: chosen("peers", values.peers, peerNames), milliseconds, rounds, json: values.json, markdown: values.markdown };
}
