import { normal, type FunctionDeclaration } from "./declare.js";

const images = normal(16, 64, 56, 56);
const half = normal(16, 64, 28, 28);

/** Pooling, and other changes of an image's size. */
export const pooling: readonly FunctionDeclaration[] = [
  { name: "max_pool2d_2x2", inputs: [images] },
  { name: "max_pool2d_3x3_stride2", inputs: [images], note: "padding 1" },
  { name: "avg_pool2d_2x2", inputs: [images] },
  { name: "adaptive_avg_pool2d_1x1", inputs: [images] },
  { name: "adaptive_avg_pool2d_7x7", inputs: [images] },
  { name: "max_pool1d_2", inputs: [normal(16, 64, 2000)] },
  { name: "interpolate_nearest", inputs: [half], note: "to twice the size" },
  { name: "interpolate_bilinear", inputs: [half], note: "to twice the size" },
  { name: "unfold", inputs: [normal(16, 16, 32, 32)], note: "3x3, padding 1" },
  { name: "pixel_shuffle", inputs: [normal(16, 64, 32, 32)], note: "to twice the size" },
];
