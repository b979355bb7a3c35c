import { F } from "graftml";
import type { Implementations } from "./implementation.js";

export const convolutions: Implementations = {
  conv1d: (options) => (x, weight) => F.conv1d(x, weight, null, options),
  conv2d: (options) => (x, weight) => F.conv2d(x, weight, null, options),
  conv3d: (options) => (x, weight) => F.conv3d(x, weight, null, options),
  conv_transpose1d: (options) => (x, weight) => F.convTranspose1d(x, weight, null, options),
  conv_transpose2d: (options) => (x, weight) => F.convTranspose2d(x, weight, null, options),
};
