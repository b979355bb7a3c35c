import { normal, ones, zeros, type FunctionDeclaration } from "./declare.js";

const images = normal(16, 64, 56, 56);
const perChannel = [normal(64), normal(64)]; // weight and bias

export const norms: readonly FunctionDeclaration[] = [
  { name: "batch_norm", inputs: [images, ...perChannel, zeros(64), ones(64)], note: "training" },
  { name: "batch_norm_eval", inputs: [images, ...perChannel, zeros(64), ones(64)], note: "evaluation" },
  { name: "batch_norm_rows", call: "batch_norm", inputs: [normal(4096, 256), normal(256), normal(256), zeros(256), ones(256)], note: "training" },
  { name: "group_norm", inputs: [images, ...perChannel], note: "8 groups" },
  { name: "instance_norm", inputs: [images] },
  { name: "layer_norm_64", inputs: [normal(16384, 64), ...perChannel] },
  { name: "layer_norm_images", inputs: [normal(64, 32, 16, 16)], note: "over the last three dimensions" },
  { name: "rms_norm", inputs: [normal(2048, 768), normal(768)] },
];
