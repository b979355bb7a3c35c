import { stat } from "node:fs/promises";
import { extname } from "node:path";
import type { Command } from "commander";
import { GraftError } from "../../base/index.js";
import { allocate, fromData, noGrad, sizeOf, type Shape, type Tensor } from "../../graph/index.js";
import { readSafetensorsHeader } from "../../io/index.js";
import { rememberModes, type Module } from "../../nn/index.js";
import { getRandomState, setRandomState } from "../../ops/index.js";
import { planOf, type PlanInfo } from "../../runtime/index.js";
import { inspect, type InspectOptions, type LossFunction } from "../../train/index.js";
import { isTraining } from "../define.js";
import { UsageError } from "../exit.js";
import { inspectText, textConfig } from "../inspect-text.js";
import { loadProgram } from "../load-program.js";
import { allowCodeOption, openModel } from "../open-model.js";
import { grouped, print, table } from "../output.js";

interface Flags {
  readonly batchSize?: string;
  readonly length?: string;
  readonly input?: string;
  readonly json?: boolean;
  readonly allowCode?: boolean;
}

const help = `
A saved model, a recipe, a program with a training, or a single .safetensors file (whose tensors are listed). FLOPs count a multiply-add as two. Nothing is
trained: the step is compiled and thrown away. For a text model, of which only config.json is read, what full training, LoRA and QLoRA take stands side by side.

Examples:
  graft inspect runs/digits
  graft inspect examples/digits.yaml --batch-size 256
  graft inspect examples/digits.ts --input 1,32,32
  graft inspect runs/digits/model.safetensors
  graft inspect models/llama --batch-size 4 --length 1024`;

const recipes = [".yaml", ".yml"];
const programs = [".ts", ".mts", ".js", ".mjs"];

/** `graft inspect MODEL|FILE` */
export function setUp(command: Command): void {
  allowCodeOption(command)
    .argument("<model>", "folder of a saved model, recipe, program, or .safetensors file")
    .option("--batch-size <n>", "samples per step (default: 64; 1 for a text model)")
    .option("--input <shape>", "shape of one input, for example 1,28,28")
    .option("--length <n>", "tokens per sample of a text model (default: 512, or as many as it can read)")
    .option("--json", "print the numbers as JSON")
    .addHelpText("after", help)
    .action(inspectFile);
}

interface Found {
  readonly model: Module;
  readonly inputShape: Shape | undefined;
  readonly optimizer?: InspectOptions["optimizer"];
  readonly loss?: LossFunction;
}

async function inspectFile(path: string, flags: Flags): Promise<void> {
  const batch = whole("--batch-size", flags.batchSize);
  const length = whole("--length", flags.length);
  if (extname(path) === ".safetensors") return listTensors(path, flags.json);
  const isFile = await stat(path).then((found) => found.isFile(), () => false);
  if (isFile && ![...recipes, ...programs].includes(extname(path))) throw new GraftError("config", `inspect: ${path} is a file, and none of a recipe, a program or .safetensors. Name one of these, or the folder of a model.`);
  const config = isFile ? undefined : await textConfig(path);
  if (config !== undefined) return inspectText(config, { batchSize: batch ?? 1, length, json: flags.json });
  const batchSize = batch ?? 64;
  const { model, inputShape, optimizer, loss } = await open(path, flags);
  const shape = flags.input === undefined ? inputShape : flags.input.split(",").map(Number);
  if (shape === undefined) throw new GraftError("config", `inspect: ${path} does not say what the inputs look like. Say --input 1,28,28.`);
  const found = inspect(model, shape, { batchSize, optimizer, loss });
  const inference = planInference(model, [batchSize, ...shape]);
  if (flags.json) {
    const { layers, parameters, trainable, bytes, step, backend } = found;
    return print(JSON.stringify({ layers, parameters, trainable, bytes, batchSize, step, inference, backend }));
  }
  const [head, backend] = [String(found).split("\n").slice(0, -1), String(found).split("\n").at(-1)!];
  print([...head, `inference    batch of ${batchSize}: ${flops(inference.flops)} in ${inference.steps} kernels, peak memory ${(inference.peakBytes / 2 ** 20).toFixed(1)} MiB`, backend].join("\n"));
}

function whole(flag: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1) throw new UsageError(`inspect: ${flag} is "${value}". Use a whole number of 1 or more.`);
  return number;
}

const flops = (count: number): string => (count >= 1e9 ? `${(count / 1e9).toFixed(2)} GFLOP` : count >= 1e6 ? `${(count / 1e6).toFixed(2)} MFLOP` : `${(count / 1e3).toFixed(2)} kFLOP`);

async function open(path: string, { allowCode }: Flags): Promise<Found> {
  const kind = extname(path);
  if (recipes.includes(kind)) {
    const [{ readRecipe }, { recipeTraining }] = await Promise.all([import("../read-recipe.js"), import("../recipe-training.js")]);
    return ofTraining(path, recipeTraining(await readRecipe(path, [])));
  }
  if (programs.includes(kind)) return ofTraining(path, (await loadProgram(path)).default);
  const { model, config } = await openModel(path, { allowCode });
  return { model: model.train(), inputShape: config.input_shape };
}

async function ofTraining(path: string, training: unknown): Promise<Found> {
  if (!isTraining(training)) throw new GraftError("argument", `inspect: ${path} has no training as its default export. Write export default defineTraining({ ... }).`);
  const { resolveSettings } = await import("../settings.js");
  const settings = resolveSettings(training.settings, []);
  const data = await training.data({ settings });
  const model = await training.model({ settings, data });
  const { optimizer, loss } = (typeof training.fit === "function" ? training.fit({ settings, data, model }) : training.fit) ?? {};
  return { model, inputShape: data.inputShape, optimizer, loss };
}

/** What the forward pass of a batch takes, in evaluation mode. */
function planInference(model: Module, shape: Shape): PlanInfo {
  const restoreModes = rememberModes(model);
  const random = getRandomState();
  const input = fromData(allocate("f32", sizeOf(shape)), shape, "f32");
  try {
    model.eval();
    return planOf(() => [noGrad(() => model.forward(...([input] as never[])) as Tensor)]);
  } finally {
    restoreModes();
    setRandomState(random);
  }
}

async function listTensors(path: string, json: boolean | undefined): Promise<void> {
  const { tensors: entries, metadata } = await readSafetensorsHeader(path);
  const tensors = [...entries.values()].map(({ name, stored, shape }) => ({ name, type: stored, shape }));
  if (json) return print(JSON.stringify({ tensors, metadata }));
  const values = tensors.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  print(table([["tensor", "type", "shape", "values"], ...tensors.map(({ name, type, shape }) => [name, type, `[${shape.join(", ")}]`, grouped(sizeOf(shape))])], { right: [3] }));
  print(`\n${tensors.length} tensors, ${grouped(values)} values`);
}
