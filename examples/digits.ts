// graft train examples/digits.ts
//
// Trains SimpleCNN on the digits, measures it and saves it to runs/digits; trains it again on slightly moved, turned and stretched digits (to
// runs/digits/augmented); then shows what pretraining without labels is worth when there are only 2, 5 or 10 labels per class.
import { data, defineTraining, models, optim } from "graftml";
import { fewLabels, light, pretraining, usual } from "./few-labels.js";

export default defineTraining({
  name: "digits",
  settings: { epochs: 10, batchSize: 64, lr: 0.001, seed: 0, augmentedEpochs: 30, augmentedLr: 0.005, pretrainEpochs: 30, studySeeds: 5 },

  data: async ({ settings }) => {
    const { train: images, test, classes, inputShape } = await data.load("digits", { scale: 2 }); // 8x8 doubled to 16x16
    const [train, valid] = data.stratifiedSplit(images, [0.9, 0.1], { labels: images.labels, seed: settings.seed });
    return {
      train, valid, test, classes, inputShape, images,
      source: { name: "digits", scale: 2 },
      preprocess: { size: [8, 8], repeat: 2, channels: 1, background: "dark", trim: 0 }, // for graft predict: how a picture becomes a digit of this kind
    };
  },

  model: () => new models.SimpleCNN(), // conv 1 -> 32 3x3, ReLU, 2x2 max pool, 2048 -> 128, ReLU, 128 -> 10; fit's default is Adam and cross entropy

  async after({ settings, data: { train, valid, test, images }, fit, save, print }) {
    print(`\nthe same network with light affine augmentation, ${settings.augmentedEpochs} epochs, rate from ${settings.augmentedLr} along a cosine`);
    const model = new models.SimpleCNN();
    const result = await fit(model, {
      train, valid, test,
      augment: light,
      epochs: settings.augmentedEpochs,
      batchSize: settings.batchSize,
      seed: settings.seed,
      optimizer: (network) => new optim.Adam(network.parameters(), { lr: settings.augmentedLr }),
      scheduler: (optimizer, { totalSteps }) => ({ scheduler: new optim.CosineAnnealingLR(optimizer, { tMax: totalSteps }), every: "step" }),
      progress: true,
    });
    const folder = await save("augmented", model);
    print(`test  accuracy ${(100 * result.test!.accuracy!).toFixed(2)} %, saved to ${folder}`);

    print(`\nfew labels: conv1 and fc1 pretrained on ${images.length} digits without their labels (contrastive), then tuned with a new head`);
    await fewLabels({
      ...usual,
      make: () => new models.SimpleCNN(),
      images, test,
      seeds: settings.studySeeds,
      pretrain: pretraining(settings.pretrainEpochs),
      fit, print,
    });
  },
});
