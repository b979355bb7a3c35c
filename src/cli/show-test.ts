import type { Evaluation } from "../train/index.js";
import { grouped, percent, print } from "./output.js";

/** Prints what an evaluation found, with its confusion matrix. */
export function showTest({ samples, loss, accuracy, confusion, metrics }: Evaluation, part = "test"): void {
  const others = Object.entries(metrics).filter(([name]) => name !== "accuracy").map(([name, value]) => `${name} ${value.toFixed(4)}`);
  const below = others.length > 3; // a line of their own
  print([part === "all" ? "all samples" : part, ...(accuracy === undefined ? [] : [`accuracy ${percent(accuracy)}`]), `loss ${loss.toFixed(4)}`, ...(below ? [] : others), `${grouped(samples)} samples`].join("  "));
  if (below) print(others.join("  "));
  if (confusion !== undefined && confusion.classes <= 30) print(`\n${String(confusion)}`);
}

/** The confusion matrix as rows of numbers, for JSON. */
export function countsOf({ confusion }: Evaluation): number[][] | undefined {
  if (confusion === undefined) return undefined;
  const classes = Array.from({ length: confusion.classes }, (_, i) => i);
  return classes.map((i) => classes.map((j) => confusion.at(i, j)));
}
