// graft train examples/mnist.ts
//
// The study of digits.ts at size, on 28x28 pictures: SimpleCNN on the training pictures, then what pretraining without labels is worth. The files are
// looked for in $GRAFT_DATA/mnist and fetched when they are missing. fashion-mnist.ts does the same with clothes.
import { data, defineTraining, models } from "graftml";
import { fewLabels, pretraining, usual } from "./few-labels.js";

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
        ...usual,
        make: () => new models.SimpleCNN({ inputShape: [1, 28, 28] }),
        images: part, test,
        seeds: settings.studySeeds,
        pretrain: pretraining(settings.pretrainEpochs),
        fit, print,
      });
    },
  });

export default at28("mnist");
