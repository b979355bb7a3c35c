import { along, matrix, normal, whole, type FunctionDeclaration } from "./declare.js";

const rows = whole(1024, 1024);
const places = whole(1024, 1024, 1024);

/** Reads and writes at indices, and sorting. */
export const indexing: readonly FunctionDeclaration[] = [
  along(0, "index_select", matrix, rows),
  along(1, "index_select", matrix, rows),
  along(0, "gather", matrix, places),
  along(1, "gather", matrix, places),
  along(1, "scatter_add", matrix, places, matrix),
  along(0, "index_add", matrix, rows, matrix),
  { name: "masked_fill", inputs: [matrix, places], note: "with 0 where the whole numbers exceed 512" },
  { name: "one_hot", inputs: [rows], note: "as floating-point numbers", gradient: false },
  { name: "embedding", inputs: [normal(1000, 64), whole(1000, 64, 128)] },
  { name: "topk_10", inputs: [matrix], options: { dim: 1 } },
  { name: "topk_50", inputs: [normal(16, 50257)], options: { dim: 1 } },
  along(1, "sort", matrix),
  { name: "sort_long", call: "sort", inputs: [normal(1 << 20)], options: { dim: 0 } },
  { ...along(1, "argsort", matrix), gradient: false },
];
