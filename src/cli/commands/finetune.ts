import { access } from "node:fs/promises";
import { join, resolve } from "node:path";
import { Option, type Command } from "commander";
import { GraftError } from "../../base/index.js";
import { text, type tokenizers } from "../../data/index.js";
import { save, type CausalModel } from "../../models/index.js";
import { manualSeed } from "../../ops/index.js";
import { findLearningRate, profile, sft } from "../../train/index.js";
import { full, head, lora, qlora, savePeft, type TuneSummary } from "../../tune/index.js";
import { baseName } from "../adapter-base.js";
import { UsageError } from "../exit.js";
import { finetuneClassifier, type ClassifierRun } from "../finetune-classifier.js";
import { lengthLimit, numberFlag, openTextModel } from "../open-text-model.js";
import { note, print } from "../output.js";
import { holdsRun } from "../run-folder.js";
import { runTuning, type TuningRun } from "../run-tuning.js";
import { keysText, trainingFlags, trainingKeys, trainingOverrides, trialOf, type TrainingFlags } from "../training-keys.js";

type Method = ClassifierRun["method"];

interface Flags extends TrainingFlags {
  readonly model: string;
  readonly data: string;
  readonly method: Method;
  readonly task: "language" | "classification";
  readonly textField?: string;
  readonly labelField?: string;
  readonly out?: string;
  readonly epochs: string;
  readonly lr?: string;
  readonly batchSize: string;
  readonly accumulate: string;
  readonly r: string;
  readonly alpha: string;
  readonly targets?: string;
  readonly maxLength?: string;
  readonly overLong: "error" | "truncate" | "skip";
  readonly trainOn: "completions" | "last" | "all";
  readonly valid: string;
  readonly template?: string;
  readonly seed: string;
  readonly packing: boolean;
  readonly resume?: boolean;
  readonly overwrite?: boolean;
  readonly profile?: boolean | string;
  readonly progress: boolean;
}

const help = `
Data: a file or folder (train.jsonl, valid.jsonl) with messages, ShareGPT, Alpaca, prompt/completion or text, one JSON object per line. Only answers and
completions are learnt. lora, dora and qlora save a PEFT adapter (graft merge makes a model of it), full and head save a model. With --task classification the
rows have text and label, the model (an encoder or a decoder) gets a fresh head, and what is saved is a model, adapter merged.
${keysText}

Examples:
  graft finetune --model models/stories260k --data ada.jsonl --method lora --out runs/ada
  graft finetune --model owner/name --data chat.jsonl --method qlora --r 16 --alpha 32 --targets q_proj,v_proj
  graft finetune --model runs/declarations --data texts.jsonl --method full --lr 5e-5 --resume
  graft finetune --model models/stories260k --data ada.jsonl --profile trace.json
  graft finetune --model models/bert --data reviews.csv --task classification --method full --out runs/sentiment`;

/** `graft finetune` */
export function setUp(command: Command): void {
  command
    .requiredOption("--model <name>", "Hugging Face folder of a language model, or owner/name on the hub")
    .requiredOption("--data <path>", "file or folder with examples")
    .addOption(new Option("--method <name>", "what learns").choices(["lora", "full", "head", "qlora", "dora"]).default("lora"))
    .addOption(new Option("--task <name>", "what the model does: a language model answers, a classifier (an encoder such as BERT, or a decoder) names a class").choices(["language", "classification"]).default("language"))
    .option("--text-field <name>", "classification: field with the text (default: text)")
    .option("--label-field <name>", "classification: field with the class (default: label)")
    .option("--out <folder>", "folder of the run (default: runs/METHOD)")
    .option("--epochs <n>", "passes over the data", "3")
    .option("--lr <rate>", "highest learning rate (default: 2e-4; 2e-5 for full)")
    .option("--batch-size <n>", "rows per step", "8")
    .option("--accumulate <n>", "batches per step", "1")
    .option("--r <n>", "rank of an adapter", "8")
    .option("--alpha <n>", "an adapter counts alpha / r", "16")
    .option("--targets <names>", "layers with adapters, with commas (default: all linear ones)")
    .option("--max-length <n>", "tokens of a sample and of a row at most (default: what the model allows)")
    .addOption(new Option("--over-long <what>", "what happens to longer samples").choices(["error", "truncate", "skip"]).default("error"))
    .addOption(new Option("--train-on <part>", "what is learnt").choices(["completions", "last", "all"]).default("completions"))
    .option("--valid <share>", "share of the examples to measure with, where the data bring none", "0.1")
    .option("--template <name|jinja>", "another chat template: chatml, plain, or Jinja source")
    .option("--seed <n>", "seed of adapters, order and split", "0")
    .option("--no-packing", "one sample per row")
    .option("--resume", "go on from the last checkpoint in the folder")
    .option("--overwrite", "start again where the folder holds a run");
  trainingFlags(command)
    .option("--profile [trace]", "train 10 steps, tell where their time goes and keep nothing; a trace file where one is named (see graft profile)")
    .option("--no-progress", "print results only")
    .addHelpText("after", help)
    .action(finetune);
}

async function finetune(flags: Flags): Promise<void> {
  const { model: base, data, method, progress, resume = false, overwrite = false } = flags;
  const other = trialOf("finetune", flags);
  if (other !== undefined && flags.profile !== undefined) throw new UsageError(`finetune: --profile and --${other} exclude each other.`);
  const trial = flags.profile === undefined ? other : "profile";
  const out = flags.out ?? join("runs", method);
  const number = (name: "epochs" | "batchSize" | "accumulate" | "r" | "alpha" | "valid" | "seed"): number => numberFlag(`--${name === "batchSize" ? "batch-size" : name}`, flags[name]);
  if (resolve(out) === resolve(base)) throw new UsageError(`finetune: --out is the folder of the model itself. Choose another one.`);
  if (trial === undefined) await holdsRun("finetune", out, { checkpoints: join(out, "checkpoints"), resume, overwrite });
  const seed = number("seed");
  const run: TuningRun = {
    out, seed, resume, overwrite, progress, trial, epochs: number("epochs"), batchSize: number("batchSize"), accumulate: number("accumulate"),
    trace: typeof flags.profile === "string" ? flags.profile : undefined,
    keys: trainingKeys("finetune", trainingOverrides("finetune", flags)),
    flags: flags as unknown as TuningRun["flags"],
  };
  if (flags.task === "classification") {
    return finetuneClassifier({
      ...run, model: base, data, method, adapter: adapterOf(flags), lr: numberFlag("--lr", flags.lr), maxLength: numberFlag("--max-length", flags.maxLength),
      overLong: flags.overLong, valid: number("valid"), textField: flags.textField, labelField: flags.labelField,
    });
  }
  const { model, tokenizer: own } = await openTextModel(base);
  const tokenizer = flags.template === undefined ? own : await own.withChatTemplate(flags.template);
  const { train, valid } = await encode(data, model, tokenizer, flags);
  manualSeed(seed);
  const summary = choose(model, method, flags);
  if (progress) note(`${train.length} samples to learn, ${valid.length} to measure with; ${String(summary)}`);
  const options = { valid, packing: flags.packing, padId: tokenizer.padId ?? 0, lr: numberFlag("--lr", flags.lr) ?? (method === "full" ? 2e-5 : 2e-4) };
  const result = await runTuning(run, [train, valid], {
    train: (common) => sft(model, train, { ...options, ...common }),
    findRate: (common) => findLearningRate(model, train, { task: "sft", ...options, ...common }),
    profile: (common) => profile(model, train, { task: "sft", ...options, ...common }),
  });
  if (result === undefined) return;
  const adapter = method !== "full" && method !== "head";
  if (adapter) await savePeft(model, out, { baseModel: baseName(base) });
  else await save(out, model);
  await tokenizer.save(out);
  const last = result.history.at(-1);
  const loss = (name: string, value: number | undefined): string => (value === undefined ? "" : `${name} loss ${value.toFixed(4)}  `);
  print(`${loss("train", last?.loss)}${loss("validation", last?.valid_loss)}saved to ${out}; try: graft generate ${out} "..."${adapter ? `, graft merge ${out}` : ""}`);
}

/** What an adapter was told. */
function adapterOf({ r, alpha, targets }: Flags): ClassifierRun["adapter"] {
  return { r: numberFlag("--r", r), alpha: numberFlag("--alpha", alpha), ...(targets === undefined ? {} : { targetModules: targets.split(",").map((name) => name.trim()) }) };
}

/** Lets the parameters of a method learn. */
function choose(model: CausalModel, method: Method, flags: Flags): TuneSummary {
  if (method === "full") return full(model);
  if (method === "head") return head(model, "lm_head");
  const adapter = adapterOf(flags);
  return method === "qlora" ? qlora(model, adapter) : lora(model, { ...adapter, dora: method === "dora" });
}

/** The examples as token ids. */
async function encode(path: string, model: CausalModel, tokenizer: tokenizers.Tokenizer, flags: Flags) {
  await access(path).catch(() => {
    throw new GraftError("file", `finetune: ${path}: there is no such file or folder. Name a .jsonl file, or a folder with train.jsonl.`);
  });
  const maxLength = lengthLimit("finetune", model, numberFlag("--max-length", flags.maxLength));
  const splits = await text.loadExamples(path, { validFraction: numberFlag("--valid", flags.valid), seed: numberFlag("--seed", flags.seed) });
  const talk = [...splits.train, ...splits.valid].find(({ kind }) => kind === "chat");
  if (talk !== undefined && tokenizer.chatTemplate === undefined) {
    throw new GraftError("config", `finetune: ${talk.place} is a conversation, and the tokenizer of ${flags.model} has no chat template. Say --template chatml or --template plain, or put chat_template.jinja into its folder.`);
  }
  const all = (list: readonly text.Example[]): text.TokenSample[] =>
    list.map((example) => text.encodeExample(example, tokenizer, { maxLength, overLong: flags.overLong, trainOn: flags.trainOn })).filter((sample) => sample !== undefined);
  const [train, valid] = [all(splits.train), all(splits.valid)];
  const skipped = splits.train.length + splits.valid.length - train.length - valid.length;
  if (skipped > 0) note(`${skipped} sample(s) longer than ${maxLength} tokens left out`);
  if (train.length === 0) throw new GraftError("format", `finetune: ${path}: all samples are longer than ${maxLength} tokens. Shorten them, or use --over-long truncate.`);
  return { train, valid };
}
