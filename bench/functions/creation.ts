import { each, matrix, normal, type FunctionDeclaration } from "./declare.js";

/** Random numbers and constants. */
export const creation: readonly FunctionDeclaration[] = [
  { name: "dropout", inputs: [matrix], note: "probability 0.1" },
  { name: "dropout2d", inputs: [normal(16, 64, 56, 56)], note: "probability 0.1" },
  ...each("randn rand zeros").map((declared) => ({ ...declared, note: "[1024, 1024] is made", gradient: false })),
  { name: "arange", inputs: [], note: "[1048576] of whole numbers is made", gradient: false },
];
