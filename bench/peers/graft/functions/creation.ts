import { arange, F, rand, randn, zeros } from "graftml";
import type { Implementations } from "./implementation.js";

export const creation: Implementations = {
  dropout: () => (x) => F.dropout(x, { p: 0.1 }),
  dropout2d: () => (x) => F.dropout2d(x, { p: 0.1 }),
  randn: () => () => randn([1024, 1024]),
  rand: () => () => rand([1024, 1024]),
  zeros: () => () => zeros([1024, 1024]),
  arange: () => () => arange(1 << 20),
};
