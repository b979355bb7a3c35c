import { join } from "node:path";
import { homedir } from "node:os";
import type { Command } from "commander";
import { env, GraftError } from "../../base/index.js";
import { knownDatasets, load } from "../../data/index.js";
import { print, table, grouped } from "../output.js";

const about: Readonly<Record<string, string>> = {
  digits: "handwritten digits, 8x8 (part of the package)",
  mnist: "handwritten digits, 28x28",
  "fashion-mnist": "pieces of clothing, 28x28",
};

const help = `
Examples:
  graft data list
  graft data fetch mnist
  GRAFT_DATA=/data graft data fetch fashion-mnist`;

const folder = (): string => (env.data === "" ? join(homedir(), ".cache", "graft") : env.data);

/** `graft data list`, `graft data fetch NAME` */
export function setUp(command: Command): void {
  command.addHelpText("after", help);
  const sub = (name: string, text: string): Command => command.command(name).description(text).helpOption("-h, --help", "print this help").exitOverride();
  sub("list", "List the known data sets and whether they are here.").action(list);
  sub("fetch", "Fetch a data set into GRAFT_DATA (or the cache folder) and check it.").argument("<name>", "known data set").option("--root <folder>", "another folder").action(fetchSet);
}

async function list(): Promise<void> {
  const rows = [["name", "train", "test", "shape", "", ""]];
  for (const name of knownDatasets) {
    const found = await load(name, { download: false }).catch(() => undefined);
    const state = found === undefined ? `missing: graft data fetch ${name}` : "here";
    rows.push([name, found ? grouped(found.train.length) : "", found ? grouped(found.test.length) : "", found ? `[${found.inputShape.join(", ")}]` : "", about[name] ?? "", state]);
  }
  print(`${table(rows, { right: [1, 2] })}\n\nData sets are looked for in ${folder()} (GRAFT_DATA chooses another folder).`);
}

async function fetchSet(name: string, { root }: { readonly root?: string }): Promise<void> {
  const { train, test, classes, inputShape } = await load(name, { root });
  if (train.length === 0) throw new GraftError("format", `${name}: is empty.`);
  print(`${name}: ${grouped(train.length)} + ${grouped(test.length)} samples of [${inputShape.join(", ")}], classes ${classes.join(", ")}`);
}
