import { Option, type Command } from "commander";
import { GraftError } from "../../base/index.js";
import { classNames } from "../../models/index.js";
import { F } from "../../ops/index.js";
import { evaluate, type DataSource as Samples } from "../../train/index.js";
import { namedSource, openData } from "../open-data.js";
import { allowCodeOption, openModel } from "../open-model.js";
import { print } from "../output.js";
import { showTest } from "../show-test.js";

interface Flags {
  readonly data?: string;
  readonly split?: "train" | "valid" | "test" | "all";
  readonly batchSize: string;
  readonly json?: boolean;
  readonly allowCode?: boolean;
}

const help = `
Without --data the model is measured on the data it was trained on (config.json names them), cut with the seed of its training, so that the parts are the
same ones. Of a folder or a table given with --data all samples are used, unless --split names a part.

Examples:
  graft eval runs/digits
  graft eval runs/digits --split valid
  graft eval runs/mnist --data fashion-mnist
  graft eval runs/animals --data more-animals --json`;

/** `graft eval MODEL` */
export function setUp(command: Command): void {
  allowCodeOption(command)
    .argument("<model>", "folder of a saved model")
    .option("--data <name|path>", "known data set, folder with one subfolder per class, or .csv file")
    .addOption(new Option("--split <part>", "which part (default: test)").choices(["train", "valid", "test", "all"]))
    .option("--batch-size <n>", "samples at a time", "256")
    .option("--json", "print the numbers as JSON")
    .addHelpText("after", help)
    .action(evalModel);
}

async function evalModel(path: string, { data, split, batchSize, json, allowCode }: Flags): Promise<void> {
  const { model, config, source: own, seed } = await openModel(path, { allowCode });
  if (data === undefined && own === undefined) throw new GraftError("config", `${path}: config.json does not name the data it was trained on. Say --data NAME|PATH.`);
  const source = data === undefined ? own! : await namedSource(data, own);
  const part = split ?? (data !== undefined && source.name === undefined ? "all" : "test");
  const opened = await openData(part === "all" ? { ...source, valid: 0, test: 0, limit: undefined } : source, { seed, preprocess: config.preprocess });
  const samples: Samples | undefined = opened[part === "all" ? "train" : part];
  if (samples === undefined) throw new GraftError("config", `${data ?? path}: there is no ${part} part. Choose another --split.`);
  const classes = classNames(config);
  if (classes !== undefined && opened.classes !== undefined && classes.join("\n") !== opened.classes.join("\n") && (source.folder ?? source.csv) !== undefined) {
    throw new GraftError("config", `${data}: has the classes ${opened.classes.join(", ")}; the model knows ${classes.join(", ")}. Use data with the same classes.`);
  }
  const loss = source.target === undefined ? undefined : F.mseLoss;
  const evaluation = await evaluate(model, samples, { batchSize: Number(batchSize), classes, loss });
  if (json) {
    const { samples: count, metrics, confusion, perClass } = evaluation;
    const rows = confusion === undefined ? undefined : Array.from({ length: confusion.classes }, (_, i) => Array.from({ length: confusion.classes }, (_, j) => confusion.at(i, j)));
    return print(JSON.stringify({ samples: count, loss: evaluation.loss, ...metrics, perClass, confusion: rows }));
  }
  showTest(evaluation, part);
}
