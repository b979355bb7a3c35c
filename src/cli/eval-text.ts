import { existsSync } from "node:fs";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { GraftError } from "../base/index.js";
import { text } from "../data/index.js";
import { readJson } from "../io/index.js";
import { contextLength } from "../models/index.js";
import { answerQuestions, evaluateSamples, evaluateText, multipleChoice, type TextEvaluation } from "../train/index.js";
import { isAdapter } from "./adapter-base.js";
import { evalClassifier } from "./eval-classifier.js";
import { UsageError } from "./exit.js";
import { lengthLimit, numberFlag } from "./open-text-model.js";
import { openTunedModel } from "./open-tuned-model.js";
import { grouped, note, percent, print } from "./output.js";

/** What can be measured of a text model. */
export const textTasks = ["perplexity", "multiple-choice", "exact-match", "classification"] as const;

/** Flags of `graft eval` for text models, as the user wrote them. */
export interface EvalTextFlags {
  readonly data?: string;
  readonly split?: "train" | "valid" | "test" | "all";
  readonly task?: (typeof textTasks)[number];
  readonly batchSize?: string;
  readonly maxLength?: string;
  readonly stride?: string;
  readonly maxTokens?: string;
  readonly stop?: readonly string[];
  readonly prompt?: string;
  readonly textField?: string;
  readonly labelField?: string;
  readonly limit?: string;
  readonly json?: boolean;
}

/** Whether a folder holds a text model, or an adapter of one. */
export async function isTextModel(folder: string): Promise<boolean> {
  if (isAdapter(folder)) return true;
  if (!existsSync(join(folder, "config.json"))) return false;
  const { model_type, architecture } = await readJson(join(folder, "config.json"));
  return typeof model_type === "string" && architecture === undefined;
}

/** Numbers to print: a line for people, or all of them as JSON. */
export interface Report {
  readonly numbers: Readonly<Record<string, unknown>>;
  readonly show: () => void;
}

/** Measures a text model of a folder, or by its name, and prints what was found. */
export async function evalText(path: string, folder: string, flags: EvalTextFlags): Promise<void> {
  const { data, json } = flags;
  if (data === undefined) throw new UsageError("eval: a text model needs --data FILE: text (.txt), or rows (.jsonl, .csv, .parquet).");
  await access(data).catch(() => {
    throw new GraftError("file", `eval: ${data}: there is no such file or folder. Name a .txt, .jsonl, .csv or .parquet file.`);
  });
  const { numbers, show } = await reportOf(path, folder, data, flags);
  if (json) print(JSON.stringify(numbers));
  else show();
}

async function reportOf(path: string, folder: string, data: string, flags: EvalTextFlags): Promise<Report> {
  const adapter = isAdapter(folder);
  const { architectures } = adapter ? {} : await readJson(join(folder, "config.json"));
  const classifier = Array.isArray(architectures) && architectures.some((name) => typeof name === "string" && name.endsWith("ForSequenceClassification"));
  const task = flags.task ?? (classifier ? "classification" : "perplexity");
  if (classifier !== (task === "classification")) {
    throw new UsageError(classifier ? `eval: ${path} is a classifier, which has no ${task}. Leave --task out.` : `eval: ${path} is no sequence classifier. Make one with graft finetune --task classification.`);
  }
  if (task === "classification") {
    const rows = await listOf(text.labelledRows(await filesOf(data, flags), { textField: flags.textField, labelField: flags.labelField }), flags);
    if (rows.length === 0) throw new GraftError("format", `eval: ${data}: holds no row. Write one text with its class per row.`);
    return evalClassifier(folder, rows, { batchSize: numberFlag("--batch-size", flags.batchSize), maxLength: numberFlag("--max-length", flags.maxLength) });
  }
  const opened = await openTunedModel(path);
  const batchSize = numberFlag("--batch-size", flags.batchSize);
  if (task === "multiple-choice") {
    const questions = await listOf(text.choiceQuestions(await filesOf(data, flags)), flags);
    const found = await multipleChoice(opened.model, opened.tokenizer, questions.map((question) => ({ ...question, prompt: inTemplate(question.prompt, flags) })), { batchSize });
    if (found.truncated > 0) note(`${found.truncated} question(s) are longer than the model's ${contextLength(opened.model)} tokens: their beginnings are left out`);
    const { choices: _, ...numbers } = found;
    const line = (name: "acc" | "acc_norm" | "acc_bytes"): string => `${name} ${percent(found[name])} +- ${(100 * found[`${name}_stderr`]).toFixed(2)}`;
    return { numbers: { task, ...numbers }, show: () => print(`${line("acc")}  ${line("acc_norm")}  ${line("acc_bytes")}  ${grouped(found.questions)} questions`) };
  }
  if (task === "exact-match") {
    const questions = await listOf(text.openQuestions(await filesOf(data, flags)), flags);
    const found = await answerQuestions(opened.model, opened.tokenizer, questions.map((question) => (typeof question.prompt === "string" ? { ...question, prompt: inTemplate(question.prompt, flags) } : question)), {
      batchSize, maxNewTokens: numberFlag("--max-tokens", flags.maxTokens), stop: flags.stop,
    });
    if (found.truncated > 0) note(`${found.truncated} question(s) are longer than the model has room for: their beginnings are left out`);
    const { predictions: _, ...numbers } = found;
    return { numbers: { task, ...numbers }, show: () => print(`exact match ${percent(found.exact_match)}  F1 of words ${percent(found.f1)}  ${grouped(found.questions)} questions`) };
  }
  return perplexity(opened, data, flags);
}

/** A question in the words of `--prompt`, where `{}` stands for it. */
function inTemplate(question: string, { prompt }: EvalTextFlags): string {
  if (prompt === undefined) return question;
  if (!prompt.includes("{}")) throw new UsageError(`eval: --prompt "${prompt}" has no {} where the question goes.`);
  return prompt.replaceAll("\\n", "\n").replaceAll("{}", () => question);
}

/** The first `--limit` ones. */
async function listOf<T>(source: AsyncIterable<T>, { limit }: EvalTextFlags): Promise<T[]> {
  const most = numberFlag("--limit", limit) ?? Infinity;
  const list: T[] = [];
  for await (const one of source) {
    if (list.length >= most) break;
    list.push(one);
  }
  return list;
}

/** The files of the data; of a folder with parts those of one. */
async function filesOf(data: string, { split }: EvalTextFlags): Promise<string[]> {
  const files = await text.listFiles(data);
  if (files.length === 1 && files[0] === data) return files;
  const part = { train: /^train\b/, valid: /^(valid|validation|val|dev)\b/, test: /^test\b/, all: /^/ }[split ?? "test"];
  const found = files.filter((file) => part.test(file.slice(data.length).replace(/^[\\/]/, "")));
  if (found.length > 0) return found;
  if (split === undefined) return files;
  throw new GraftError("config", `eval: ${data}: holds no file for ${split}. Choose another --split.`);
}

/** Of texts, or of the answers in data of the kinds that fine-tuning takes. */
async function perplexity({ model, tokenizer }: Awaited<ReturnType<typeof openTunedModel>>, data: string, flags: EvalTextFlags): Promise<Report> {
  const batchSize = numberFlag("--batch-size", flags.batchSize);
  const files = await filesOf(data, flags);
  const maxLength = numberFlag("--max-length", flags.maxLength);
  const limit = lengthLimit("eval", model, maxLength);
  const examples = flags.textField === undefined ? await answersIn(files, flags) : undefined;
  let found: TextEvaluation;
  let of = "texts";
  if (examples !== undefined) {
    of = "examples";
    const samples = examples.map((example) => text.encodeExample(example, tokenizer, { overLong: "truncate", ...(limit === undefined ? {} : { maxLength: limit }) }));
    const kept = samples.filter((sample) => sample !== undefined);
    const cut = kept.filter(({ inputIds }) => inputIds.length === limit).length;
    if (kept.length < samples.length || cut > 0) note(`examples longer than ${limit} tokens: ${cut} cut at their end, ${samples.length - kept.length} left out because no answer is in sight`);
    found = await evaluateSamples(model, kept, { tokenizer, batchSize });
  } else {
    const most = numberFlag("--limit", flags.limit) ?? Infinity;
    found = await evaluateText(model, tokenizer, firstTexts(text.documents(files, { field: flags.textField }), most), { batchSize, maxLength, stride: numberFlag("--stride", flags.stride) });
    if (found.windowed > 0) note(`${found.windowed} of ${found.documents} text(s) are longer than ${maxLength ?? Math.min(limit ?? 1024, 1024)} tokens: read in windows (--stride sets how far they overlap)`);
  }
  const { loss, perplexity: value, bits_per_byte: bits, tokens, documents } = found;
  return {
    numbers: { task: "perplexity", ...found },
    show: () => print(`loss ${loss.toFixed(4)}  perplexity ${value.toFixed(2)}  ${bits.toFixed(4)} bits per byte  ${grouped(tokens)} tokens in ${grouped(documents)} ${of}`),
  };
}

async function* firstTexts(pieces: AsyncIterable<text.DocumentPiece>, most: number): AsyncGenerator<text.DocumentPiece> {
  let count = 0;
  for await (const piece of pieces) {
    if (count >= most) return;
    yield piece;
    if (piece.last) count++;
  }
}

/** The examples of files of rows; undefined for plain text, and for rows that hold nothing but text. */
async function answersIn(files: readonly string[], flags: EvalTextFlags): Promise<Exclude<text.Example, { kind: "preference" }>[] | undefined> {
  if (!files.every((file) => text.hasRows(file))) return undefined;
  const first = await text.examples(files).next();
  if (first.done || first.value.kind === "text") return undefined;
  return (await listOf(text.examples(files), flags)).map((example) => {
    if (example.kind === "preference") throw new GraftError("format", `${example.place}: is a preference pair, which has no one answer to measure. Use data with answers or texts.`);
    return example;
  });
}
