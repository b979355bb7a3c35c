import { normal, type FunctionDeclaration, type FunctionOptions } from "./declare.js";

/** Images [B, C, H, W] and weights [outputs, inputs of a group, height, width]. */
const conv2d = (name: string, images: readonly number[], weights: readonly number[], options: FunctionOptions = {}): FunctionDeclaration =>
  ({ name: `conv2d_${name}`, call: "conv2d", inputs: [normal(...images), normal(...weights)], options });

const conv1d = (name: string, sequences: readonly number[], weights: readonly number[], options: FunctionOptions): FunctionDeclaration =>
  ({ name: `conv1d_${name}`, call: "conv1d", inputs: [normal(...sequences), normal(...weights)], options });

export const convolutions: readonly FunctionDeclaration[] = [
  conv2d("3x3_rgb", [32, 3, 32, 32], [32, 3, 3, 3], { padding: 1 }),
  conv2d("3x3_16", [32, 16, 32, 32], [16, 16, 3, 3], { padding: 1 }),
  conv2d("3x3_stride2", [16, 64, 32, 32], [128, 64, 3, 3], { padding: 1, stride: 2 }),
  conv2d("3x3_large", [2, 64, 112, 112], [64, 64, 3, 3], { padding: 1 }),
  conv2d("3x3_to_1", [16, 32, 28, 28], [1, 32, 3, 3], { padding: 1 }),
  conv2d("1x1_expand", [16, 64, 32, 32], [256, 64, 1, 1]),
  conv2d("1x1_reduce", [16, 256, 32, 32], [64, 256, 1, 1]),
  conv2d("1x1_stride2", [16, 64, 32, 32], [128, 64, 1, 1], { stride: 2 }),
  conv2d("5x5", [16, 32, 28, 28], [64, 32, 5, 5], { padding: 2 }),
  conv2d("7x7_stem", [4, 3, 224, 224], [64, 3, 7, 7], { padding: 3, stride: 2 }),
  conv2d("patches_16x16", [8, 3, 224, 224], [384, 3, 16, 16], { stride: 16 }),
  conv2d("patches_4x4", [16, 3, 64, 64], [96, 3, 4, 4], { stride: 4 }),
  conv2d("depthwise_3x3", [16, 64, 56, 56], [64, 1, 3, 3], { padding: 1, groups: 64 }),
  conv2d("depthwise_3x3_stride2", [16, 64, 56, 56], [64, 1, 3, 3], { padding: 1, groups: 64, stride: 2 }),
  conv2d("depthwise_7x7", [8, 96, 56, 56], [96, 1, 7, 7], { padding: 3, groups: 96 }),
  conv2d("4_groups", [16, 64, 32, 32], [64, 16, 3, 3], { padding: 1, groups: 4 }),
  conv2d("dilated", [16, 32, 32, 32], [32, 32, 3, 3], { padding: 2, dilation: 2 }),
  conv1d("3", [16, 64, 1000], [128, 64, 3], { padding: 1 }),
  conv1d("sound", [8, 1, 16000], [64, 1, 10], { stride: 5 }),
  conv1d("3_stride2", [8, 64, 3200], [64, 64, 3], { stride: 2 }),
  { name: "conv3d", inputs: [normal(2, 16, 16, 32, 32), normal(32, 16, 3, 3, 3)], options: { padding: 1 } },
  { name: "conv_transpose2d", inputs: [normal(16, 64, 16, 16), normal(64, 32, 4, 4)], options: { padding: 1, stride: 2 } },
  { name: "conv_transpose1d", inputs: [normal(8, 64, 500), normal(64, 32, 4)], options: { padding: 1, stride: 2 } },
];
