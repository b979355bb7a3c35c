import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, extname, join } from "node:path";
import type { Command } from "commander";
import { parse } from "yaml";
import { GraftError } from "../../base/index.js";
import { manualSeed } from "../../ops/index.js";
import type { Profile, ProfileSteps } from "../../runtime/index.js";
import { profile } from "../../train/index.js";
import { isTraining, type Training } from "../define.js";
import { UsageError } from "../exit.js";
import { loadProgram } from "../load-program.js";
import { overridesOf, setOption, type Override } from "../overrides.js";
import { checkTrace, showProfile } from "../show-profile.js";
import { isTrainingKey, trainingKeys } from "../training-keys.js";

interface Flags {
  readonly steps: string;
  readonly warmup: string;
  readonly top: string;
  readonly batchSize?: string;
  readonly set: readonly string[];
  readonly trace?: string;
  readonly json?: boolean;
}

const help = `
A recipe (.yaml) of graft train or graft pretrain, or a program (.ts, .js) that default-exports defineTraining({ ... }). Some steps are trained and thrown away;
no files are written but the trace. The first table has a line per kernel: what it computes, how long one call takes, its share of the step, its speed and the
memory that it reads and writes, and what was outside kernels: recording, planning, the loader, waiting for the kernels' thread. The second one has a line
per module. A trace opens in ui.perfetto.dev or chrome://tracing. A fine-tuning is looked at by graft finetune ... --profile.

Examples:
  graft profile examples/digits.yaml
  graft profile examples/digits.ts --batch-size 256 --steps 20 --top 10
  graft profile examples/lm/declarations.yaml --trace trace.json
  graft profile examples/digits.yaml --json`;

/** `graft profile FILE` */
export function setUp(command: Command): void {
  command
    .argument("<file>", "recipe or program")
    .option("--steps <n>", "steps that are measured", "10")
    .option("--warmup <n>", "steps before them, in which plans and JavaScript are compiled", "10")
    .option("--batch-size <n>", "samples per step")
    .option("--top <n>", "lines of each table", "20")
    .option("--trace <file>", "write a trace file, in the Trace Event Format")
    .option("--json", "print everything as JSON");
  setOption(command, "a key of the recipe or a setting of the program").addHelpText("after", help).action(profileFile);
}

function whole(flag: string, value: string, least: number): number {
  const number = Number(value);
  if (value.trim() === "" || !Number.isInteger(number) || number < least) throw new UsageError(`profile: ${flag} is "${value}". Use a whole number of ${least} or more.`);
  return number;
}

const recipes = [".yaml", ".yml"];
const programs = [".ts", ".mts", ".js", ".mjs"];

async function profileFile(file: string, flags: Flags): Promise<void> {
  const steps = { steps: whole("--steps", flags.steps, 1), warmup: whole("--warmup", flags.warmup, 0) };
  const top = whole("--top", flags.top, 1);
  const extension = extname(file);
  if (![...recipes, ...programs].includes(extension)) throw new UsageError(`profile: ${file} is neither a recipe (.yaml) nor a program (.ts, .js).`);
  if (flags.trace !== undefined) await checkTrace("profile: --trace", flags.trace);
  const found = await (programs.includes(extension) ? ofProgram(file, flags, steps) : (await isPretraining(file)) ? ofPretraining(file, flags, steps) : ofRecipe(file, flags, steps));
  await showProfile(found, { steps: steps.steps, top, json: flags.json, trace: flags.trace });
}

const given = (flags: Flags, key: string): Override[] => overridesOf("profile", [{ flag: "--batch-size", key, value: flags.batchSize }], flags.set);

/** Whether a recipe is one of `graft pretrain`: data from a path, or a section that only those have. What is no YAML is told by whoever reads it next. */
async function isPretraining(file: string): Promise<boolean> {
  let content: unknown;
  try {
    content = parse(await readFile(file, "utf8"));
  } catch {
    return false;
  }
  if (typeof content !== "object" || content === null) return false;
  const { data } = content as { data?: unknown };
  return ["training", "tokenizer", "objective", "sample"].some((key) => key in content) || (typeof data === "object" && data !== null && "path" in data);
}

async function ofRecipe(file: string, flags: Flags, steps: ProfileSteps): Promise<Profile> {
  const [{ readRecipe }, { recipeTraining }] = await Promise.all([import("../read-recipe.js"), import("../recipe-training.js")]);
  return ofTraining(recipeTraining(await readRecipe(file, given(flags, "batchSize"))), { file, settings: [], keys: [] }, steps);
}

async function ofProgram(file: string, flags: Flags, steps: ProfileSteps): Promise<Profile> {
  const training = (await loadProgram(file)).default;
  if (!isTraining(training)) throw new GraftError("argument", `profile: ${file} has no training as its default export. Write export default defineTraining({ ... }), or call profile() of graftml in it.`);
  const isKey = (override: Override): boolean => isTrainingKey(override) && !Object.hasOwn(training.settings ?? {}, override.key);
  const overrides = given(flags, "batchSize");
  return ofTraining(training, { file, settings: overrides.filter((override) => !isKey(override)), keys: overrides.filter(isKey) }, steps);
}

interface Told {
  readonly file: string;
  readonly settings: readonly Override[];
  readonly keys: readonly Override[];
}

async function ofTraining(training: Training, { file, settings, keys }: Told, steps: ProfileSteps): Promise<Profile> {
  const [{ prepareTraining }, { resolveSettings }] = await Promise.all([import("../run-training.js"), import("../settings.js")]);
  const { model, trained: { train, ...options } } = await prepareTraining(training, {
    file, out: basename(file, extname(file)), settings: resolveSettings(training.settings, settings), keys: trainingKeys("profile", keys),
    resume: false, overwrite: false, progress: false, command: "graft profile",
  });
  return profile(model, train, { ...options, resumeHint: undefined, ...steps });
}

async function ofPretraining(file: string, flags: Flags, steps: ProfileSteps): Promise<Profile> {
  const [{ readPretrainRecipe }, { pretrainData }, { pretrainTask, stepOptions }] = await Promise.all([import("../pretrain-recipe.js"), import("../pretrain-data.js"), import("../pretrain-task.js")]);
  const { recipe, at } = await readPretrainRecipe(file, given(flags, "training.batchSize"));
  const scratch = await mkdtemp(join(tmpdir(), "graft-profile-"));
  try {
    const data = await at(["data", "path"], () => pretrainData(recipe, scratch, false));
    try {
      manualSeed(recipe.training.seed);
      const task = await at(["model"], () => pretrainTask(recipe, data));
      return await task.profile({ ...stepOptions(recipe.training), ...steps });
    } finally {
      for (const tokens of [data.train, data.valid]) tokens.close();
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
