import { z } from "zod";
import { dataSchema } from "./data-schema.js";
import { flag, number, oneOf, runName, strict, whole, word } from "./schema.js";
import { trainingShape } from "./training-keys.js";

const range = z.tuple([number(), number()], { error: "must be a list of two numbers, [from, to]." });
const share = number({ min: 0, max: 1 });

/** What may stand in the list `augment`, by name. */
export const augmentations = {
  affine: strict({
    degrees: z.union([number({ min: 0 }), range]).optional(),
    translate: z.tuple([share, share], { error: "must be a list of two shares, [x, y]." }).optional(),
    scale: range.optional(),
    shear: z.union([number({ min: 0, max: 89 }), range]).optional(),
  }),
  shift: whole(0),
  rotate: number({ min: 0 }),
  flip: share,
  flipVertical: share,
  crop: strict({ size: whole(), padding: whole(0).optional() }),
  noise: number({ min: 0 }),
  cutout: strict({ size: whole(), p: share.optional() }),
  jitter: strict({ brightness: number({ min: 0 }).optional(), contrast: number({ min: 0 }).optional() }),
  mixup: strict({ alpha: number({ above: 0 }).optional() }),
  cutmix: strict({ alpha: number({ above: 0 }).optional() }),
};

const optimizers = ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam", "Rprop", "Adafactor", "Lion", "Muon"] as const;
const schedulers = ["StepLR", "MultiStepLR", "ExponentialLR", "LinearLR", "CosineAnnealingLR", "OneCycleLR", "ReduceLROnPlateau"] as const;
export const losses = ["crossEntropy", "mse", "l1", "huber", "binaryCrossEntropyWithLogits"] as const;

/** `name` is checked here, the other keys by what they are for. */
const named = <const T extends readonly [string, ...string[]]>(names: T) => z.looseObject({ name: oneOf(names) }, { error: 'must have keys, at least "name".' });

type Optional<T extends Record<string, z.ZodType>> = { [K in keyof T]: z.ZodOptional<T[K]> };
const optionalAugmentations = Object.fromEntries(Object.entries(augmentations).map(([name, schema]) => [name, schema.optional()])) as Optional<typeof augmentations>;

/** A training as a file: what `graft train FILE.yaml` reads. */
export const recipeSchema = strict({
  /** Name of the run and of its folder, runs/NAME. Default: the file's name. */
  name: runName().optional(),
  description: word().optional(),
  /** Of weights, order, augmentation and split. Default: 0. */
  seed: number({ min: 0, max: Number.MAX_SAFE_INTEGER, whole: true }).default(0),
  data: dataSchema,
  /** Random changes of the training pictures, one after the other. */
  augment: z.array(strict(optionalAugmentations)).default([]),
  /** `architecture` with its options, or `layers`, a list. */
  model: z.looseObject({ architecture: word().optional(), layers: z.array(z.unknown()).min(1, { error: "is empty." }).optional() }, { error: "must have keys: architecture and its options, or layers." }),
  loss: oneOf(losses).optional(),
  /** Default: Adam with lr 0.001. */
  optimizer: named(optimizers).default({ name: "Adam" }),
  /** `every: step` goes on with each step; the default is that of the scheduler. */
  scheduler: named(schedulers).optional(),
  epochs: whole(0).default(10),
  maxSteps: whole().optional(),
  batchSize: whole().default(64),
  shuffle: flag().optional(),
  accumulate: whole().optional(),
  clip: strict({ norm: number({ above: 0 }).optional(), value: number({ above: 0 }).optional() }).optional(),
  regularize: strict({ l1: number({ min: 0 }).optional(), l2: number({ min: 0 }).optional() }).optional(),
  stop: strict({
    patience: whole().optional(),
    minDelta: number({ min: 0 }).optional(),
    monitor: word().optional(),
    mode: oneOf(["min", "max"]).optional(),
    targetLoss: number().optional(),
    seconds: number({ above: 0 }).optional(),
  }).optional(),
  restoreBest: flag().optional(),
  evalEvery: z.union([whole(), z.literal("epoch")], { error: 'must be a number of steps, or "epoch".' }).optional(),
  ...trainingShape,
  checkpoint: strict({ every: z.union([whole(), z.literal("epoch")], { error: 'must be a number of steps, or "epoch".' }).optional(), keep: whole().optional() }).optional(),
});

/** A checked recipe. */
export type Recipe = z.infer<typeof recipeSchema>;
