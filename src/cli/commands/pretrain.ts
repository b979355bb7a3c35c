import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import type { Command } from "commander";
import { writeFileAtomic } from "../../io/index.js";
import { save } from "../../models/index.js";
import { manualSeed } from "../../ops/index.js";
import type { HistoryRecord, PretrainOptions } from "../../train/index.js";
import { checkSameData, hashFiles } from "../data-hash.js";
import { describeKeys } from "../describe-schema.js";
import { Interrupted } from "../exit.js";
import { grouped, print } from "../output.js";
import { overridesOf, setOption, type KeyFlag, type Override } from "../overrides.js";
import { pretrainData } from "../pretrain-data.js";
import { pretrainSchema, readPretrainRecipe, type PretrainRecipe } from "../pretrain-recipe.js";
import { pretrainTask, stepOptions } from "../pretrain-task.js";
import type { RecipeFile } from "../read-recipe.js";
import { holdsRun, readRun, versions, writeRun, type RunRecord } from "../run-folder.js";
import { keysText, trainingFlags, trainingOverrides, trialOf, type TrainingFlags } from "../training-keys.js";

interface Flags extends TrainingFlags {
  readonly data?: string;
  readonly steps?: string;
  readonly lr?: string;
  readonly batchSize?: string;
  readonly seed?: string;
  readonly set: readonly string[];
  readonly out?: string;
  readonly resume?: boolean;
  readonly overwrite?: boolean;
  readonly progress: boolean;
}

const help = `
Trains a tokenizer and a GPT-2 from nothing, and saves a Hugging Face folder that graft generate and Transformers read; with objective: mlm in the recipe a
BERT that finds hidden words, for graft finetune --task classification. Ctrl-C saves a checkpoint, then leaves; --resume goes on from there with the same bits.
${keysText}

Examples:
  graft pretrain examples/lm/declarations.yaml
  graft pretrain examples/lm/declarations.yaml --find-lr
  graft pretrain examples/lm/shakespeare.yaml --data input.txt
  graft pretrain my.yaml --steps 5000 --lr 0.0005 --out runs/long
  graft pretrain my.yaml --set model.layers=6 --set sample.prompt="Once"

Keys of a recipe, with their defaults; --set section.key=value replaces any of them:
${describeKeys(pretrainSchema)}`;

/** `graft pretrain FILE` */
export function setUp(command: Command): void {
  command
    .argument("<file>", "recipe (.yaml)")
    .option("--data <path>", "file or folder with text")
    .option("--steps <n>", "optimiser steps")
    .option("--lr <rate>", "highest learning rate")
    .option("--batch-size <n>", "blocks per step")
    .option("--seed <n>", "seed of weights, order and split")
    .option("--out <folder>", "folder of the run (default: runs/NAME)")
    .option("--resume", "go on from the last checkpoint in the folder")
    .option("--overwrite", "start again where the folder holds a run");
  trainingFlags(setOption(command, "a key of the recipe"))
    .option("--no-progress", "print results only")
    .addHelpText("after", help)
    .action(pretrain);
}

const keyFlags = ({ data, steps, lr, batchSize, seed }: Flags): KeyFlag[] => [
  { flag: "--data", key: "data.path", value: data, text: true },
  { flag: "--steps", key: "training.steps", value: steps },
  { flag: "--lr", key: "training.lr", value: lr },
  { flag: "--batch-size", key: "training.batchSize", value: batchSize },
  { flag: "--seed", key: "training.seed", value: seed },
];

async function pretrain(file: string, flags: Flags): Promise<void> {
  const overrides = [...trainingOverrides("pretrain", flags, "training."), ...overridesOf("pretrain", keyFlags(flags), flags.set)];
  const read = await readPretrainRecipe(file, overrides);
  const out = flags.out ?? join("runs", read.name);
  if (trialOf("pretrain", flags) !== undefined) {
    const scratch = await mkdtemp(join(tmpdir(), "graft-pretrain-")); // the tokens of a run stay as they are
    return trainOn(read, { out: scratch, flags, overrides, saved: false }).finally(() => rm(scratch, { recursive: true, force: true }));
  }
  await trainOn(read, { out, flags, overrides, saved: await holdsRun("pretrain", out, flags) });
}

interface Run {
  readonly out: string;
  readonly flags: Flags;
  readonly overrides: readonly Override[];
  /** Whether there is a checkpoint to go on from. */
  readonly saved: boolean;
}

async function trainOn(read: RecipeFile<PretrainRecipe>, { out, flags, overrides, saved }: Run): Promise<void> {
  const { recipe, at, file } = read;
  const { resume = false, overwrite = false, progress } = flags;
  const { tokenizer, train, valid } = await at(["data", "path"], () => pretrainData(recipe, out, resume && saved));
  const { model: { block }, training } = recipe;
  manualSeed(training.seed);
  const task = await at(["model"], () => pretrainTask(recipe, { tokenizer, train, valid }));
  const { model } = task;
  if (progress) print(`${task.name} of ${grouped(model.parameters().reduce((sum, parameter) => sum + parameter.size, 0))} parameters, ${grouped(training.steps * training.batchSize * training.accumulate * block)} tokens to read`);
  const { steps, evalEvery, seed, overfitBatches, logEvery, tensorboard } = training;
  const options: PretrainOptions = {
    ...stepOptions(training), maxSteps: steps, overfitBatches, progress,
    evalEvery: Math.min(evalEvery, steps),
    checkpoint: { dir: out, every: evalEvery, keep: 1, best: false, overwrite },
    resume, log: true, logEvery, tensorboard, keys: progress,
    resumeHint: [`graft pretrain ${relative("", file)}`, ...new Set(overrides.map(({ flag }) => flag.replace(/(?<= ).*[^\w./=-].*$/, (value) => JSON.stringify(value)))), `--out ${out} --resume`].join(" "),
    callbacks: progress ? task.callbacks : [],
  };
  try {
    const trial = trialOf("pretrain", flags);
    if (trial === "find-lr") return print(String(await task.findLearningRate(options)));
    if (trial === "fast-dev-run") return void (await task.train({ ...options, fastDevRun: true, progress: "plain" }));

    const [earlier, dataHash] = [resume ? await readRun(out) : undefined, await hashFiles([train.path, valid.path])];
    checkSameData(out, earlier?.dataHash, dataHash);
    const record: RunRecord = {
      name: read.name, file, overrides, seed, settings: recipe as unknown as RunRecord["settings"], dataHash, versions: versions(),
      started: earlier?.started ?? new Date().toISOString(),
    };
    await writeRun(out, record);
    await writeFileAtomic(join(out, "recipe.yaml"), read.text);
    const result = await task.train(options);
    const { valid_loss: loss, valid_perplexity: perplexity, valid_bits_per_byte: bits }: Partial<HistoryRecord> = result.history.at(-1) ?? {};
    const results = loss === undefined ? {} : { valid_loss: loss, valid_perplexity: perplexity!, ...(bits === undefined ? {} : { valid_bits_per_byte: bits }) };
    await writeRun(out, { ...record, stopped: result.stopped, results });
    if (result.stopped === "interrupted") throw new Interrupted();
    await save(out, model);
    if (loss !== undefined) {
      const numbers = [`loss ${loss.toFixed(4)}`, `perplexity ${perplexity!.toFixed(2)}`, ...(bits === undefined ? [] : [`${bits.toFixed(4)} bits per byte`])];
      const unit = recipe.objective === "mlm" ? "hidden tokens" : "tokens";
      print(`validation: ${numbers.join(", ")}; ${grouped(Math.round(result.samplesPerSecond))} ${unit}/s, ${result.seconds.toFixed(0)} s`);
    }
    print(`saved to ${out}; try: ${task.hint(out)}`);
  } finally {
    for (const tokens of [train, valid]) tokens.close();
  }
}
