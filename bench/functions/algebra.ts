import { definite, normal, type FunctionDeclaration } from "./declare.js";

/** Products and linear algebra. */
export const algebra: readonly FunctionDeclaration[] = [
  { name: "bmm_32", call: "bmm", inputs: [normal(512, 32, 32), normal(512, 32, 32)] },
  { name: "bmm_8", call: "bmm", inputs: [normal(4096, 8, 8), normal(4096, 8, 8)] },
  { name: "einsum_scores", inputs: [normal(8, 12, 128, 64), normal(8, 12, 128, 64)], note: "bhid,bhjd->bhij" },
  { name: "einsum_features", inputs: [normal(32, 64, 64), normal(64, 64, 8)], note: "bij,jkh->bikh" },
  { name: "mv", inputs: [normal(2048, 2048), normal(2048)] },
  { name: "dot", inputs: [normal(1 << 20), normal(1 << 20)] },
  { name: "linear_1_row", call: "linear", inputs: [normal(1, 1024), normal(1024, 1024), normal(1024)] },
  { name: "linear_32_rows", call: "linear", inputs: [normal(32, 784), normal(256, 784), normal(256)] },
  { name: "linear_16384_rows", call: "linear", inputs: [normal(16384, 32), normal(32, 32), normal(32)] },
  { name: "addmm", inputs: [normal(512), normal(512, 512), normal(512, 512)] },
  { name: "cholesky", inputs: [definite(64, 64)] },
  { name: "inverse", inputs: [definite(64, 64)] },
  { name: "inverse_256", call: "inverse", inputs: [normal(256, 8, 8)] },
  { name: "solve", inputs: [definite(64, 64), normal(64, 8)] },
  { name: "det", inputs: [normal(32, 32)] },
];
