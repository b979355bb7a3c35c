import { F } from "graftml";
import type { Implementations } from "./implementation.js";

export const shapes: Implementations = {
  transpose: () => F.t,
  channels_last: () => (x) => F.permute(x, [0, 2, 3, 1]),
  channels_first: () => (x) => F.permute(x, [0, 3, 1, 2]),
  split_heads: () => (x) => F.transpose(x, 1, 2),
  cat: ({ dim }) => (a, b) => F.cat([a, b], dim),
  stack: ({ dim }) => (a, b) => F.stack([a, b], dim),
  narrow: () => (x) => F.narrow(x, 1, 100, 500),
  roll: ({ dim }) => (x) => F.roll(x, 100, dim),
  flip: ({ dim }) => (x) => F.flip(x, [dim!]),
  pad: () => (x) => F.pad(x, [1, 1, 1, 1]),
  tril: () => (x) => F.tril(x),
  repeat: () => (x) => F.repeat(x, [4, 1]),
  repeat_interleave: ({ dim }) => (x) => F.repeatInterleave(x, 4, dim),
};
