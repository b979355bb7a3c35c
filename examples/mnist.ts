// graft train examples/mnist.ts
//
// The study of digits.ts at size, on 28x28 pictures: SimpleCNN on the training pictures, then what pretraining without labels is worth. The files are
// looked for in $GRAFT_DATA/mnist and fetched when they are missing. fashion-mnist.ts does the same with clothes.
import { data, defineTraining, models } from "graftml";
import { fewLabels } from "./few-labels.js";

const { randomAffine } = data.transforms;
const light = randomAffine({ degrees: 10, translate: [0.1, 0.1], scale: [0.9, 1.1], shear: 5 });
const strong = randomAffine({ degrees: 20, translate: [0.12, 0.12], scale: [0.75, 1.25], shear: 20 });

/** The training of a set of 28x28 pictures; pretraining takes the first `unlabelled` of them without their labels. */
export const at28 = (name: "mnist" | "fashion-mnist") =>
  defineTraining({
    name,
    settings: { epochs: 3, batchSize: 64, lr: 0.001, seed: 0, unlabelled: 6000, pretrainEpochs: 10, studySeeds: 3 },

    data: async ({ settings }) => {
      const { train: images, test, classes, inputShape } = await data.load(name);
      const [train, valid] = data.stratifiedSplit(images, [0.95, 0.05], { labels: images.labels, seed: settings.seed });
      const preprocess = { size: [28, 28], channels: 1, background: "dark", trim: name === "mnist" ? 4 / 28 : 0 }; // for graft predict; MNIST has a margin of 4 pixels
      return { train, valid, test, classes, inputShape, images, source: { name }, preprocess };
    },

    model: () => new models.SimpleCNN({ inputShape: [1, 28, 28] }),

    async after({ settings, data: { test, images }, fit, print }) {
      const { pixels, labels, options } = images;
      const part = new data.ImageDataset(pixels.subarray(0, settings.unlabelled * 28 * 28), labels.subarray(0, settings.unlabelled), options);
      print(`\nfew labels: conv1 and fc1 pretrained on ${part.length} pictures of ${name} without their labels (contrastive), then tuned with a new head`);
      await fewLabels({
        make: () => new models.SimpleCNN({ inputShape: [1, 28, 28] }),
        images: part, test,
        labelsPerClass: [2, 5, 10],
        seeds: settings.studySeeds,
        views: strong,
        noise: 0.1,
        pretrain: { epochs: settings.pretrainEpochs, batchSize: 64, lr: 0.002, temperature: 0.5 },
        augment: light,
        tune: { headSteps: 60, headLr: 0.01, steps: 100, lr: 0.001 },
        fit, print,
      });
    },
  });

export default at28("mnist");
