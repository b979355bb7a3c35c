import type { Evaluation } from "../train/index.js";
import { grouped, percent, print } from "./output.js";

/** Prints what an evaluation found, with its confusion matrix. */
export function showTest({ samples, loss, accuracy, confusion, metrics }: Evaluation, part = "test"): void {
  const others = Object.entries(metrics).filter(([name]) => name !== "accuracy").map(([name, value]) => `${name} ${value.toFixed(4)}`);
  print([part === "all" ? "all samples" : part, ...(accuracy === undefined ? [] : [`accuracy ${percent(accuracy)}`]), `loss ${loss.toFixed(4)}`, ...others, `${grouped(samples)} samples`].join("  "));
  if (confusion !== undefined && confusion.classes <= 30) print(`\n${String(confusion)}`);
}
