import { bits, matrix, normal, positive, whole, type FunctionDeclaration } from "./declare.js";

/** Losses and distances. */
export const losses: readonly FunctionDeclaration[] = [
  { name: "cross_entropy_10", call: "cross_entropy", inputs: [normal(4096, 10), whole(10, 4096)] },
  { name: "cross_entropy_1000", call: "cross_entropy", inputs: [normal(256, 1000), whole(1000, 256)] },
  { name: "cross_entropy_pixels", call: "cross_entropy", inputs: [normal(4, 21, 128, 128), whole(21, 4, 128, 128)] },
  { name: "binary_cross_entropy_with_logits", inputs: [matrix, bits(1024, 1024)] },
  { name: "mse_loss", inputs: [matrix, matrix] },
  { name: "l1_loss", inputs: [matrix, matrix] },
  { name: "huber_loss", inputs: [matrix, matrix] },
  { name: "kl_div", inputs: [matrix, positive(1024, 1024)], note: "of log-softmax, over the batch" },
  { name: "triplet_margin_loss", inputs: [matrix, matrix, matrix] },
  { name: "cosine_similarity", inputs: [matrix, matrix] },
  { name: "normalize", inputs: [matrix], options: { dim: 1 } },
  { name: "cdist", inputs: [normal(512, 64), normal(512, 64)] },
];
