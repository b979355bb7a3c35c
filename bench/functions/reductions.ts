import { along, matrix, normal, type FunctionDeclaration } from "./declare.js";

const narrow = normal(1024, 64);
const cube = normal(64, 256, 64);

/** Reductions, scans, and what normalises by a reduction. */
export const reductions: readonly FunctionDeclaration[] = [
  { name: "sum", inputs: [matrix] },
  along(0, "sum", matrix),
  along(1, "sum", matrix),
  { name: "sum_middle", call: "sum", inputs: [cube], options: { dim: 1 } },
  { name: "sum_first_and_last", inputs: [cube] },
  along(1, "mean", matrix),
  along(1, "amax", matrix),
  along(0, "max", matrix),
  along(1, "max", matrix),
  { ...along(1, "argmax", matrix), gradient: false },
  along(1, "var", matrix),
  along(0, "std", matrix),
  along(1, "norm", matrix),
  along(1, "logsumexp", matrix),
  along(0, "cumsum", matrix),
  along(1, "cumsum", matrix),
  along(1, "prod", narrow),
  along(1, "cumprod", narrow),
  along(0, "softmax", matrix),
  along(1, "softmax", matrix),
  { name: "softmax_channels", call: "softmax", inputs: [normal(16, 64, 32, 32)], options: { dim: 1 } },
  { name: "softmax_16", call: "softmax", inputs: [normal(4096, 16)], options: { dim: 1 } },
  { name: "log_softmax_10", call: "log_softmax", inputs: [normal(65536, 10)], options: { dim: 1 } },
];
