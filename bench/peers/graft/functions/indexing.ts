import { F } from "graftml";
import type { Implementations } from "./implementation.js";

export const indexing: Implementations = {
  index_select: ({ dim }) => (x, index) => F.indexSelect(x, dim!, index),
  gather: ({ dim }) => (x, index) => F.gather(x, dim!, index),
  scatter_add: ({ dim }) => (x, index, source) => F.scatterAdd(x, dim!, index, source),
  index_add: ({ dim }) => (x, index, source) => F.indexAdd(x, dim!, index, source),
  masked_fill: () => (x, places) => F.maskedFill(x, F.gt(places, 512), 0),
  one_hot: () => (index) => F.cast(F.oneHot(index, 1024), "f32"),
  embedding: () => (weight, index) => F.embedding(index, weight),
  topk_10: (options) => (x) => F.topk(x, 10, options)[0],
  topk_50: (options) => (x) => F.topk(x, 50, options)[0],
  sort: (options) => (x) => F.sort(x, options)[0],
  argsort: (options) => (x) => F.argsort(x, options),
};
