import { F } from "graftml";
import type { Implementations } from "./implementation.js";

export const pooling: Implementations = {
  max_pool2d_2x2: () => (x) => F.maxPool2d(x, { kernelSize: 2 }),
  max_pool2d_3x3_stride2: () => (x) => F.maxPool2d(x, { kernelSize: 3, stride: 2, padding: 1 }),
  avg_pool2d_2x2: () => (x) => F.avgPool2d(x, { kernelSize: 2 }),
  adaptive_avg_pool2d_1x1: () => (x) => F.adaptiveAvgPool2d(x, 1),
  adaptive_avg_pool2d_7x7: () => (x) => F.adaptiveAvgPool2d(x, 7),
  max_pool1d_2: () => (x) => F.maxPool1d(x, { kernelSize: 2 }),
  interpolate_nearest: () => (x) => F.interpolate(x, { scaleFactor: 2 }),
  interpolate_bilinear: () => (x) => F.interpolate(x, { scaleFactor: 2, mode: "bilinear" }),
  unfold: () => (x) => F.unfold(x, { kernelSize: 3, padding: 1 }),
  pixel_shuffle: () => (x) => F.pixelShuffle(x, 2),
};
