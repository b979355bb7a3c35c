import { F } from "graftml";
import type { Implementations } from "./implementation.js";

export const norms: Implementations = {
  batch_norm: () => (x, weight, bias, mean, variance) => F.batchNorm(x, mean, variance, weight, bias, { training: true }),
  batch_norm_eval: () => (x, weight, bias, mean, variance) => F.batchNorm(x, mean, variance, weight, bias),
  group_norm: () => (x, weight, bias) => F.groupNorm(x, 8, weight, bias),
  instance_norm: () => (x) => F.instanceNorm(x),
  layer_norm_64: () => (x, weight, bias) => F.layerNorm(x, weight, bias),
  layer_norm_images: () => (x) => F.layerNorm(x, null, null, { normalizedShape: x.shape.slice(1) }),
  rms_norm: () => (x, weight) => F.rmsNorm(x, weight),
};
