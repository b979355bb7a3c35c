import { basename, extname, join, relative } from "node:path";
import type { Command } from "commander";
import { GraftError } from "../../base/index.js";
import { isTraining, type Training } from "../define.js";
import { UsageError } from "../exit.js";
import { loadProgram } from "../load-program.js";
import { overridesOf, setOption, type Override } from "../overrides.js";
import { readRun } from "../run-folder.js";
import { isTrainingKey, keysText, trainingFlags, trainingKeys, trainingOverrides, trialOf, type TrainingFlags } from "../training-keys.js";

interface Flags extends TrainingFlags {
  readonly epochs?: string;
  readonly lr?: string;
  readonly batchSize?: string;
  readonly seed?: string;
  readonly out?: string;
  readonly resume?: boolean | string;
  readonly overwrite?: boolean;
  readonly set: readonly string[];
  readonly progress: boolean;
}

const help = `
A recipe (.yaml) or a program (.ts, .js) that default-exports defineTraining({ ... }) is trained, tested and saved to its run's folder. Any other
program is simply run. Flags replace what the file says. Ctrl-C saves a checkpoint, then leaves; --resume goes on from there with the same bits.
${keysText}

Examples:
  graft train examples/digits.ts
  graft train examples/digits.yaml --fast-dev-run
  graft train examples/digits.yaml --find-lr
  graft train examples/digits.yaml --epochs 3 --out runs/short
  graft train examples/digits.yaml --set optimizer.name=SGD --set optimizer.momentum=0.9 --lr 0.05
  graft train examples/digits.yaml --resume`;

/** `graft train FILE` */
export function setUp(command: Command): void {
  command
    .argument("<file>", "recipe or program")
    .option("--epochs <n>", "number of epochs")
    .option("--lr <rate>", "learning rate")
    .option("--batch-size <n>", "samples per step")
    .option("--seed <n>", "seed of weights, order, augmentation and split")
    .option("--out <folder>", "folder of the run (default: runs/NAME)")
    .option("--resume [checkpoint]", "go on from the last checkpoint in the folder, or from another one")
    .option("--overwrite", "start again where the folder holds an unfinished run");
  trainingFlags(setOption(command, "a key of the recipe or a setting of the program"))
    .option("--no-progress", "print results only")
    .addHelpText("after", help)
    .action(train);
}

const extensions = [".yaml", ".yml", ".ts", ".mts", ".js", ".mjs"];

async function train(file: string, flags: Flags): Promise<void> {
  const extension = extname(file);
  if (!extensions.includes(extension)) throw new UsageError(`train: ${file} is neither a recipe (.yaml) nor a program (.ts, .js).`);
  const isRecipe = extension === ".yaml" || extension === ".yml";
  const overrides = given(flags, isRecipe);
  if (isRecipe) return trainRecipe(file, flags, overrides);
  const training = (await loadProgram(file)).default;
  if (isTraining(training)) return trainProgram(training, file, flags, overrides);
  const trial = trialOf("train", flags);
  const unused = overrides.map(({ flag }) => flag).concat(flags.out === undefined ? [] : ["--out"], flags.resume ? ["--resume"] : [], trial === undefined ? [] : [`--${trial}`]);
  if (training !== undefined) throw new GraftError("argument", `${file}: its default export is no training. Write export default defineTraining({ ... }), or export nothing.`);
  if (unused.length > 0) throw new GraftError("argument", `${file}: was simply run, so ${unused.join(" and ")} had no effect. Export defineTraining({ ... }) by default to use flags.`);
}

/** Flags as keys of the file: --lr is the optimiser's in a recipe. */
const given = (flags: Flags, isRecipe: boolean): Override[] => [
  ...trainingOverrides("train", flags),
  ...overridesOf(
    "train",
    [
      { flag: "--epochs", key: "epochs", value: flags.epochs },
      { flag: "--batch-size", key: "batchSize", value: flags.batchSize },
      { flag: "--lr", key: isRecipe ? "optimizer.lr" : "lr", value: flags.lr },
      { flag: "--seed", key: "seed", value: flags.seed },
    ],
    flags.set,
  ),
];

/** On resuming, the flags that began the run hold again, under those that are given now. */
async function withEarlier(out: string, flags: Flags, given: readonly Override[]): Promise<Override[]> {
  const earlier = flags.resume ? ((await readRun(out))?.overrides ?? []) : [];
  return [...earlier.filter(({ key }) => !given.some((override) => override.key === key)), ...given];
}

async function trainRecipe(file: string, flags: Flags, given: readonly Override[]): Promise<void> {
  const [{ readRecipe }, { recipeTraining }] = await Promise.all([import("../read-recipe.js"), import("../recipe-training.js")]);
  const out = flags.out ?? join("runs", (await readRecipe(file, given)).name);
  const overrides = await withEarlier(out, flags, given);
  const read = await readRecipe(file, overrides);
  await run(recipeTraining(read), { name: read.name, file, out, overrides, flags, recipe: read.text, settings: [], keys: [] });
}

async function trainProgram(training: Training, file: string, flags: Flags, given: readonly Override[]): Promise<void> {
  const name = training.name ?? basename(file, extname(file));
  const out = flags.out ?? join("runs", name);
  const overrides = await withEarlier(out, flags, given);
  const isKey = (override: Override): boolean => isTrainingKey(override) && !Object.hasOwn(training.settings ?? {}, override.key);
  await run(training, { name, file, out, overrides, flags, settings: overrides.filter((override) => !isKey(override)), keys: overrides.filter(isKey) });
}

interface Run {
  readonly name: string;
  readonly file: string;
  readonly out: string;
  readonly overrides: readonly Override[];
  /** Those that are not already part of the training. */
  readonly settings: readonly Override[];
  readonly keys: readonly Override[];
  readonly flags: Flags;
  readonly recipe?: string;
}

async function run(training: Training, { name, file, out, overrides, settings, keys, flags, recipe }: Run): Promise<void> {
  const [{ runTraining }, { resolveSettings }] = await Promise.all([import("../run-training.js"), import("../settings.js")]);
  await runTraining(training, {
    name, file, out, overrides, recipe,
    settings: resolveSettings(training.settings, settings),
    keys: trainingKeys("train", keys),
    trial: trialOf("train", flags),
    resume: flags.resume ?? false,
    overwrite: flags.overwrite ?? false,
    progress: flags.progress,
    command: `graft train ${relative("", file) || file}${flags.out === undefined ? "" : ` --out ${flags.out}`}`,
  });
}
