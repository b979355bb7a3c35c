// What is a good start worth when there are only a few labels? A network is pretrained on pictures without their labels, gets a new head and is tuned with a
// few labels per class; the same network starts from scratch on the same labels, with the same augmentation and as many steps.
import { arange, data, eye, F, manualSeed, type models, nn, optim, randn, train, type Tensor } from "graftml";

const { randomAffine } = data.transforms;

/** Slightly moved, turned and stretched, as another writer might have written it. */
export const light = randomAffine({ degrees: 10, translate: [0.1, 0.1], scale: [0.9, 1.1], shear: 5 });
/** The two views that pretraining compares; this also crops: what leaves the picture is gone. */
const strong = randomAffine({ degrees: 20, translate: [0.12, 0.12], scale: [0.75, 1.25], shear: 20 });

/** How all examples run the study. */
export const usual = {
  labelsPerClass: [2, 5, 10],
  views: strong,
  noise: 0.1,
  augment: light,
  tune: { headSteps: 60, headLr: 0.01, steps: 100, lr: 0.001 },
};
/** Pretraining for so many epochs. */
export const pretraining = (epochs: number): Study["pretrain"] => ({ epochs, batchSize: 64, lr: 0.002, temperature: 0.5 });

/** A study of this kind; `fit` and `print` are those that `after` of a training gets. */
export interface Study {
  readonly make: () => models.SimpleCNN;
  readonly images: data.ImageDataset;
  readonly test: data.ImageDataset;
  readonly labelsPerClass: readonly number[];
  readonly seeds: number;
  /** Makes the two views that pretraining compares; `noise` is a standard deviation. */
  readonly views: data.Transform;
  readonly noise: number;
  readonly pretrain: { readonly epochs: number; readonly batchSize: number; readonly lr: number; readonly temperature: number };
  /** Of the few labelled pictures, on both sides. */
  readonly augment: data.Transform;
  /** First the new head alone, then all of the network. From scratch it is all of the network, for as many steps together. */
  readonly tune: { readonly headSteps: number; readonly headLr: number; readonly steps: number; readonly lr: number };
  readonly fit: typeof train.fit;
  readonly print: (text?: string) => void;
}

/**
 * NT-Xent (Chen et al., "A simple framework for contrastive learning of visual representations", 2020): rows i and i + n of z [2n, d] are two views of one
 * picture, and each row has to find the other one among all rows but itself: cross entropy over cos(z_i, z_j) / temperature.
 */
export function ntXent(z: Tensor, temperature: number): Tensor {
  const rows = z.shape[0];
  const unit = F.normalize(z, { dim: 1 });
  const logits = unit.matmul(unit.transpose(0, 1)).div(temperature).sub(eye(rows).mul(1e9)); // never itself
  return F.crossEntropy(logits, F.roll(arange(rows), rows / 2));
}

/** From the rate along half a cosine to 0, step by step. */
const cosine = (optimizer: train.TrainOptimizer, { totalSteps }: { readonly totalSteps: number }): train.SchedulerOption => ({
  scheduler: new optim.CosineAnnealingLR(optimizer, { tMax: totalSteps }),
  every: "step",
});

/** Trains conv1 and fc1 to give two views of one picture alike features; a projection head, thrown away afterwards, stands between features and loss. */
async function pretrained({ make, images, views, noise, pretrain, fit }: Study, seed: number): Promise<models.SimpleCNN> {
  manualSeed(seed);
  const model = make();
  const width = model.fc2.weight.shape[1];
  model.replace("fc2", () => new nn.Sequential(new nn.Linear(width, width), new nn.ReLU(), new nn.Linear(width, width / 2)));
  await fit(model, {
    train: data.map(images, ([image], random) => [views(image, random), views(image, random)] as const),
    step: (network, batch) => {
      const both = F.cat(batch as readonly Tensor[]);
      return ntXent((network as models.SimpleCNN).forward(both.add(randn(both.shape).mul(noise))), pretrain.temperature);
    },
    epochs: pretrain.epochs,
    batchSize: pretrain.batchSize,
    optimizer: (network) => new optim.Adam(network.parameters(), { lr: pretrain.lr }),
    scheduler: cosine,
    seed,
  });
  return model;
}

/** Gives the network a new head, tunes it with a few labels and measures it on the test part. */
async function tuned({ images, test, augment, tune, fit }: Study, model: models.SimpleCNN, count: number, seed: number, fromScratch: boolean): Promise<number> {
  manualSeed(1000 + seed);
  model.replace("fc2", () => new nn.Linear(model.fc1.weight.shape[0], images.classes.length));
  const few = data.takePerClass(images, count, { labels: images.labels, seed });
  const steps = (parameters: nn.Parameter[], lr: number, maxSteps: number) =>
    fit(model, {
      train: few, batchSize: 128, maxSteps, augment, metrics: {}, seed,
      optimizer: () => new optim.Adam(parameters, { lr }),
      scheduler: cosine,
    });
  if (!fromScratch) {
    model.freeze("conv1");
    model.freeze("fc1");
    await steps(model.fc2.parameters(), tune.headLr, tune.headSteps);
    model.unfreeze();
  }
  await steps(model.parameters(), tune.lr, fromScratch ? tune.headSteps + tune.steps : tune.steps);
  return (await train.evaluate(model, test)).accuracy!;
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
/** The standard deviation over seeds, with n - 1. */
const spread = (values: readonly number[]): number => Math.sqrt(values.reduce((sum, value) => sum + (value - mean(values)) ** 2, 0) / (values.length - 1));
const points = (values: readonly number[]): string => `${(100 * mean(values)).toFixed(2)} +- ${(100 * spread(values)).toFixed(2)}`;

/** What was measured for one number of labels: accuracies by seed. */
export interface FewLabels {
  readonly labels: number;
  readonly pretrained: readonly number[];
  readonly scratch: readonly number[];
}

/** Runs the study and prints a line for each number of labels, as mean and standard deviation over the seeds, whichever way it comes out. */
export async function fewLabels(study: Study): Promise<FewLabels[]> {
  const { labelsPerClass, seeds, make, print } = study;
  const results = labelsPerClass.map((labels) => ({ labels, pretrained: [] as number[], scratch: [] as number[] }));
  for (let seed = 0; seed < seeds; seed++) {
    const begun = performance.now();
    const start = await pretrained(study, seed);
    const between = performance.now();
    for (const result of results) {
      result.pretrained.push(await tuned(study, start.clone(), result.labels, seed, false));
      manualSeed(seed);
      result.scratch.push(await tuned(study, make(), result.labels, seed, true));
    }
    const took = (from: number, to: number): string => `${((to - from) / 1000).toFixed(1)} s`;
    print(`  seed ${seed}: pretrained in ${took(begun, between)}, tuned ${2 * results.length} times in ${took(between, performance.now())}`);
  }
  print(`\n${"labels per class".padEnd(18)}${"pretrained".padEnd(18)}${"from scratch".padEnd(18)}difference   (test accuracy in %, mean +- standard deviation over ${seeds} seeds)`);
  for (const { labels, pretrained: with_, scratch } of results) {
    print(`${String(labels).padEnd(18)}${points(with_).padEnd(18)}${points(scratch).padEnd(18)}${points(with_.map((value, seed) => value - scratch[seed]))}`);
  }
  return results;
}
