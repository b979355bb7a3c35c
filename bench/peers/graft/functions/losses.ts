import { F } from "graftml";
import type { Implementations } from "./implementation.js";

export const losses: Implementations = {
  cross_entropy: () => (x, labels) => F.crossEntropy(x, labels),
  binary_cross_entropy_with_logits: () => (x, target) => F.binaryCrossEntropyWithLogits(x, target),
  mse_loss: () => (a, b) => F.mseLoss(a, b),
  l1_loss: () => (a, b) => F.l1Loss(a, b),
  huber_loss: () => (a, b) => F.huberLoss(a, b),
  kl_div: () => (x, target) => F.klDiv(F.logSoftmax(x, 1), target, { reduction: "batchmean" }),
  triplet_margin_loss: () => (anchor, positive, negative) => F.tripletMarginLoss(anchor, positive, negative),
  cosine_similarity: () => (a, b) => F.cosineSimilarity(a, b),
  normalize: (options) => (x) => F.normalize(x, options),
  cdist: () => (a, b) => F.cdist(a, b),
};
