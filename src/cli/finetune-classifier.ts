import { join } from "node:path";
import { GraftError } from "../base/index.js";
import { text, tokenizers } from "../data/index.js";
import { modelFolder, readJson } from "../io/index.js";
import { load, save, type TextModel } from "../models/index.js";
import type { Module } from "../nn/index.js";
import { manualSeed } from "../ops/index.js";
import { classify, evaluateClassifier, findLearningRate, metrics, profile } from "../train/index.js";
import { full, head, lora, mergeAndUnload, qlora, savePeft, type TuneSummary } from "../tune/index.js";
import { baseName } from "./adapter-base.js";
import { labelsOf } from "./eval-classifier.js";
import { lengthLimit } from "./open-text-model.js";
import { note, percent, print } from "./output.js";
import { runTuning, type TuningRun } from "./run-tuning.js";
import { showTest } from "./show-test.js";

/** What `graft finetune --task classification` was told. */
export interface ClassifierRun extends TuningRun {
  readonly model: string;
  readonly data: string;
  readonly method: "lora" | "full" | "head" | "qlora" | "dora";
  readonly adapter: { readonly r: number; readonly alpha: number; readonly targetModules?: readonly string[] };
  readonly lr: number | undefined;
  readonly maxLength: number | undefined;
  readonly overLong: "error" | "truncate" | "skip";
  readonly valid: number;
  readonly textField: string | undefined;
  readonly labelField: string | undefined;
}

/** Modules that a checkpoint of a language model lacks, so that they start fresh and have to learn. */
const fresh = ["classifier", "pre_classifier", "pooler", "score"];
const isFresh = (path: string): boolean => path.split(".").some((name) => fresh.includes(name));
const rates = { full: 5e-5, head: 1e-3, lora: 5e-4, dora: 5e-4, qlora: 5e-4 } as const;

/** Puts a fresh head for the classes of the data on an encoder or a decoder, tunes it, and saves a model that `graft eval` and Transformers read. */
export async function finetuneClassifier(run: ClassifierRun): Promise<void> {
  const { out, method, seed, progress } = run;
  const folder = await modelFolder(run.model);
  const splits = await text.loadLabelled(run.data, { textField: run.textField, labelField: run.labelField, validFraction: run.valid, seed });
  const classes = await classesFor(folder, splits.classes);
  if (classes.length < 2) throw new GraftError("format", `finetune: ${run.data}: all texts are of one class, ${classes.join()}. Give texts of two classes or more.`);
  manualSeed(seed);
  const model = await load<TextModel>(folder, { task: "sequence-classification", classes });
  const tokenizer = await tokenizers.Tokenizer.load(folder);
  tokenizer.checkFits(model.config.vocab_size as number, run.model);
  const maxLength = lengthLimit("finetune", model, run.maxLength);
  const encode = (part: readonly text.LabelledText[]): readonly text.ClassSample[] => text.encodeLabelled(part, tokenizer, { classes, maxLength, overLong: run.overLong }).samples;
  const [train, valid, test] = [encode(splits.train), encode(splits.valid), encode(splits.test)];
  const summary = choose(model, run);
  if (progress) note(`${train.length} texts to learn, ${valid.length} to measure with, ${classes.length} classes; ${String(summary)}`);
  const own = { valid, padId: tokenizer.padId, lr: run.lr ?? rates[method] };
  const result = await runTuning(run, [train, valid], {
    train: (options) => classify(model, train, { ...own, ...options }),
    findRate: (options) => findLearningRate(model, train, { task: "classify", ...own, ...options }),
    profile: (options) => profile(model, train, { task: "classify", ...own, ...options }),
  });
  if (result === undefined) return;
  if (method !== "full" && method !== "head") {
    await savePeft(model, join(out, "adapter"), { baseModel: baseName(run.model), taskType: "SEQ_CLS" });
    await mergeAndUnload(model);
  }
  await save(out, model, typeof model.config.pad_token_id !== "number" && tokenizer.padId !== undefined ? { pad_token_id: tokenizer.padId } : {}); // a decoder finds its last token by it
  await tokenizer.save(out);
  if (test.length > 0) showTest(await evaluateClassifier(model, test, { padId: tokenizer.padId, classes, metrics: metrics.classification }));
  const accuracy = result.history.at(-1)?.valid_accuracy;
  print(`${accuracy === undefined ? "" : `validation accuracy ${percent(accuracy)}  `}saved to ${out}; try: graft eval ${out} --data ${run.data}`);
}

/** The classes of the data; those of the model, in its order, where it is a classifier that knows them all. */
async function classesFor(folder: string, found: readonly string[]): Promise<readonly string[]> {
  const own = labelsOf(await readJson(join(folder, "config.json")));
  return own !== undefined && found.every((name) => own.includes(name)) ? own : found;
}

/** Lets the parameters of a method learn; the fresh head always does. */
function choose(model: Module, { method, adapter }: ClassifierRun): TuneSummary {
  if (method === "full") return full(model);
  if (method === "head") return head(model, isFresh);
  const modulesToSave = fresh.filter((name) => [...model.namedModules()].some(([path]) => path === name || path.endsWith(`.${name}`)));
  const options = { targetModules: (path: string) => !isFresh(path), ...adapter, modulesToSave }; // all linear layers of the trunk
  return method === "qlora" ? qlora(model, options) : lora(model, { ...options, dora: method === "dora" });
}
