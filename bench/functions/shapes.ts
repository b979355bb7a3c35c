import { along, each, matrix, normal, type FunctionDeclaration } from "./declare.js";

const images = normal(16, 64, 32, 32);

/** What moves elements; views are written out in their order. */
export const shapes: readonly FunctionDeclaration[] = [
  ...each("transpose", matrix),
  { name: "channels_last", inputs: [images], note: "[B, C, H, W] to [B, H, W, C]" },
  { name: "channels_first", inputs: [normal(16, 32, 32, 64)], note: "[B, H, W, C] to [B, C, H, W]" },
  { name: "split_heads", inputs: [normal(8, 256, 12, 64)], note: "[B, T, heads, D] to [B, heads, T, D]" },
  along(0, "cat", matrix, matrix),
  along(1, "cat", matrix, matrix),
  along(2, "stack", matrix, matrix),
  { name: "narrow", inputs: [matrix], note: "columns 100 to 599" },
  { name: "roll", inputs: [matrix], options: { dim: 1 }, note: "by 100" },
  { name: "flip", inputs: [matrix], options: { dim: 1 } },
  { name: "pad", inputs: [images], note: "a border of 1" },
  ...each("tril", matrix),
  { name: "repeat", inputs: [normal(256, 1024)], note: "4 times" },
  { name: "repeat_interleave", inputs: [normal(256, 1024)], options: { dim: 0 }, note: "each row 4 times" },
];
