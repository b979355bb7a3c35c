import { F } from "graftml";
import type { Implementations } from "./implementation.js";

export const algebra: Implementations = {
  bmm: () => F.bmm,
  einsum_scores: () => (queries, keys) => F.einsum("bhid,bhjd->bhij", queries, keys),
  einsum_features: () => (x, weight) => F.einsum("bij,jkh->bikh", x, weight),
  mv: () => F.mv,
  dot: () => F.dot,
  linear: () => F.linear,
  addmm: () => (bias, a, b) => F.addmm(bias, a, b),
  cholesky: () => F.cholesky,
  inverse: () => F.inverse,
  solve: () => F.solve,
  det: () => F.det,
};
