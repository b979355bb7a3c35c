import { dirname } from "node:path";
import { GraftError } from "../base/index.js";
import { showShape, type Tensor } from "../graph/index.js";
import { create, Layers, type LayerSpec } from "../models/index.js";
import * as nn from "../nn/index.js";
import * as optim from "../optim/index.js";
import { F, zeros } from "../ops/index.js";
import type { FitOptions, LossFunction, TrainOptimizer } from "../train/index.js";
import { augmentation } from "./augment.js";
import type { Training, TrainingData } from "./define.js";
import { openData } from "./open-data.js";
import type { RecipeFile } from "./read-recipe.js";
import type { losses, Recipe } from "./recipe.js";

const lossFunctions: { readonly [K in (typeof losses)[number]]: LossFunction } = {
  crossEntropy: (output, target) => F.crossEntropy(output, target),
  mse: (output, target) => F.mseLoss(output, target),
  l1: (output, target) => F.l1Loss(output, target),
  huber: (output, target) => F.huberLoss(output, target),
  binaryCrossEntropyWithLogits: (output, target) => F.binaryCrossEntropyWithLogits(output, target),
};

/** A recipe as a training that the same code runs as one written as a program. */
export function recipeTraining(file: RecipeFile): Training {
  const { recipe, name, at } = file;
  const { seed, epochs, batchSize } = recipe;
  at(["optimizer"], () => makeOptimizer(recipe, [["weight", new nn.Parameter(zeros([1, 1]))]])); // its options are checked before anything is loaded
  return {
    name,
    settings: { seed, epochs, batchSize, lr: (recipe.optimizer.lr as number | undefined) ?? 0.001 },
    data: () => at(["data"], () => openData(recipe.data, { base: dirname(file.file), seed })),
    model: ({ data }) => at(["model"], () => makeModel(recipe, data)),
    fit: ({ data }): Partial<FitOptions> => {
      const { maxSteps, shuffle, accumulate, clip, regularize, stop, restoreBest, evalEvery, ema, watchdog, overfitBatches, logEvery, tensorboard } = recipe;
      const checkpoint = recipe.checkpoint as FitOptions["checkpoint"]; // its folder is that of the run
      const given = { maxSteps, shuffle, accumulate, clip, regularize, stop, restoreBest, evalEvery, ema, watchdog, overfitBatches, logEvery, tensorboard, checkpoint };
      const loss = recipe.loss ?? (recipe.data.target === undefined ? undefined : "mse");
      return {
        ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
        ...(loss === undefined ? {} : { loss: lossFunctions[loss] }),
        augment: at(["augment"], () => augmentation(recipe.augment, data.classes?.length)),
        optimizer: (model) => makeOptimizer(recipe, model.namedParameters()),
        scheduler: recipe.scheduler === undefined ? undefined : (optimizer, info) => at(["scheduler"], () => makeScheduler(recipe.scheduler!, optimizer as never, info)),
      };
    },
  };
}

function makeModel({ model }: Recipe, { inputShape, classes }: TrainingData): nn.Module {
  const { architecture, layers, ...options } = model;
  if ((architecture === undefined) === (layers === undefined)) throw new GraftError("config", "give architecture and its options, or layers, a list.");
  if (architecture !== undefined) return create({ ...(options as object), architecture, input_shape: [...inputShape!], ...(classes === undefined ? {} : { classes: [...classes] }) });
  const unknown = Object.keys(options);
  if (unknown.length > 0) throw new GraftError("config", `${unknown.join(", ")}: beside layers there are no other keys.`);
  const made = new Layers({ inputShape: inputShape!, layers: layers as LayerSpec[] });
  if (classes !== undefined && (made.outputShape.length !== 1 || made.outputShape[0] !== classes.length)) {
    throw new GraftError("shape", `the layers give ${showShape(made.outputShape)} for one input, the data have ${classes.length} classes. End with { Linear: ${classes.length} }.`);
  }
  return made;
}

function makeOptimizer({ optimizer }: Recipe, parameters: Iterable<readonly [string, Tensor]>): TrainOptimizer {
  const { name, ...options } = optimizer;
  const known = optim[name] as unknown as new (parameters: Iterable<readonly [string, Tensor]>, options: object) => TrainOptimizer;
  return new known(parameters, options);
}

/** A scheduler; lengths that are left out are those of the whole training. */
function makeScheduler(given: NonNullable<Recipe["scheduler"]>, optimizer: optim.AnyOptimizer, { totalSteps, stepsPerEpoch }: { readonly totalSteps: number; readonly stepsPerEpoch: number }) {
  const { name, every, ...options } = given;
  if (every !== undefined && every !== "step" && every !== "epoch") throw new GraftError("config", `every is ${JSON.stringify(every)}. Use step or epoch.`);
  const whole = name === "CosineAnnealingLR" || name === "OneCycleLR" || name === "LinearLR";
  const pace: "step" | "epoch" = every ?? (whole ? "step" : "epoch");
  const total = pace === "step" ? totalSteps : Math.max(1, Math.round(totalSteps / stepsPerEpoch));
  const lengths: Partial<Record<typeof name, object>> = { CosineAnnealingLR: { tMax: total }, LinearLR: { totalIters: total }, OneCycleLR: { totalSteps: total } };
  const known = optim[name] as unknown as new (optimizer: optim.AnyOptimizer, options: object) => optim.Scheduler;
  return { scheduler: new known(optimizer, { ...lengths[name], ...options }), every: pace };
}
