import { Option, type Command } from "commander";
import { GraftError } from "../../base/index.js";
import { classNames } from "../../models/index.js";
import { F } from "../../ops/index.js";
import { modelFolder } from "../../io/index.js";
import { evaluate, metrics, type DataSource as Samples } from "../../train/index.js";
import { evalText, isTextModel, textTasks, type EvalTextFlags } from "../eval-text.js";
import { UsageError } from "../exit.js";
import { namedSource, openData } from "../open-data.js";
import { allowCodeOption, openModel } from "../open-model.js";
import { numberFlag } from "../open-text-model.js";
import { print } from "../output.js";
import { countsOf, showTest } from "../show-test.js";

interface Flags extends EvalTextFlags {
  readonly allowCode?: boolean;
}

const help = `
Pictures and tables: without --data the model is measured on the data it was trained on (config.json names them), cut with the seed of its training, so that the
parts are the same ones. Of a folder or a table given with --data all samples are used, unless --split names a part.

Language models: --data names text (.txt, or rows with a field text), of which loss, perplexity and bits per byte are printed; or rows as graft finetune takes
them, of whose answers these are. --task multiple-choice takes rows with query (or question), choices and gold (or answer), and finds the most likely choice, as
lm-eval does. --task exact-match takes rows with a prompt and its completion, or a question and its answers, generates greedily and compares. Text classifiers
take rows with text and label.

Examples:
  graft eval runs/digits
  graft eval runs/digits --split valid
  graft eval runs/animals --data more-animals --json
  graft eval runs/declarations --data valid.txt
  graft eval runs/ada --data valid.jsonl
  graft eval runs/mini --data questions.jsonl --task multiple-choice --prompt "Question: {}\\nAnswer:"
  graft eval runs/mini --data answers.jsonl --task exact-match --max-tokens 16
  graft eval runs/sentiment --data reviews.csv --json`;

/** `graft eval MODEL` */
export function setUp(command: Command): void {
  allowCodeOption(command)
    .argument("<model>", "folder of a saved model or adapter, or owner/name on the Hugging Face hub")
    .option("--data <name|path>", "known data set, folder with one subfolder per class, .csv file; text or rows for text models")
    .addOption(new Option("--split <part>", "which part (default: test)").choices(["train", "valid", "test", "all"]))
    .addOption(new Option("--task <name>", "what is measured of a text model (default: perplexity; classification for classifiers)").choices(textTasks))
    .option("--batch-size <n>", "samples at a time (default: 256 pictures, 8 texts)")
    .option("--max-length <n>", "tokens that a text model sees at once (default: what it allows, at most 1024 for running text)")
    .option("--stride <n>", "new tokens in each window of a long text (default: --max-length, windows without overlap)")
    .option("--max-tokens <n>", "exact-match: tokens of an answer at most (default: 32)")
    .option("--stop <text...>", "exact-match: what ends an answer (default: a line break)")
    .option("--prompt <text>", "multiple-choice, exact-match: words around the question, which stands where {} is")
    .option("--text-field <name>", "field with the text (default: text)")
    .option("--label-field <name>", "field with the class (default: label)")
    .option("--limit <n>", "only the first n rows of text data")
    .option("--json", "print the numbers as JSON")
    .addHelpText("after", help)
    .action(evalModel);
}

/** Flags that mean something for text models only. */
const textFlags = ["task", "maxLength", "stride", "maxTokens", "stop", "prompt", "textField", "labelField", "limit"] as const;

async function evalModel(path: string, flags: Flags): Promise<void> {
  const folder = await modelFolder(path);
  if (await isTextModel(folder)) return evalText(path, folder, flags);
  const wrong = textFlags.find((name) => flags[name] !== undefined);
  if (wrong !== undefined) throw new UsageError(`eval: --${wrong.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} is for text models, and ${path} is none. Leave it out.`);
  return evalPictures(path, flags);
}

async function evalPictures(path: string, { data, split, batchSize, json, allowCode }: Flags): Promise<void> {
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
  const evaluation = await evaluate(model, samples, { batchSize: numberFlag("--batch-size", batchSize ?? "256"), classes, loss, ...(loss === undefined ? { metrics: metrics.classification } : {}) });
  if (json) {
    const { samples: count, perClass } = evaluation;
    return print(JSON.stringify({ samples: count, loss: evaluation.loss, ...evaluation.metrics, perClass, confusion: countsOf(evaluation) }));
  }
  showTest(evaluation, part);
}
