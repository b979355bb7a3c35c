import { F } from "graftml";
import type { Implementations } from "./implementation.js";

export const reductions: Implementations = {
  sum: (options) => (x) => F.sum(x, options),
  sum_first_and_last: () => (x) => F.sum(x, { dim: [0, 2] }),
  mean: (options) => (x) => F.mean(x, options),
  amax: (options) => (x) => F.amax(x, options),
  max: (options) => (x) => F.max(x, options),
  argmax: (options) => (x) => F.argmax(x, options),
  var: (options) => (x) => F.var(x, options),
  std: (options) => (x) => F.std(x, options),
  norm: (options) => (x) => F.norm(x, options),
  logsumexp: (options) => (x) => F.logsumexp(x, options),
  cumsum: ({ dim }) => (x) => F.cumsum(x, dim!),
  prod: (options) => (x) => F.prod(x, options),
  cumprod: ({ dim }) => (x) => F.cumprod(x, dim!),
  softmax: ({ dim }) => (x) => F.softmax(x, dim),
  log_softmax: ({ dim }) => (x) => F.logSoftmax(x, dim),
};
