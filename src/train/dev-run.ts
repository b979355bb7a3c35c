import { showNumber } from "./progress.js";
import type { FitOptions, FitResult } from "./types.js";

/** The options of a run of one step that leaves no files. */
export function devRunOptions(options: FitOptions): FitOptions {
  return {
    ...options,
    evalEvery: "epoch",
    checkpoint: undefined, resume: undefined, log: undefined, tensorboard: undefined, keys: undefined, overfitBatches: undefined,
  };
}

/** What such a run has shown, in a line. */
export function describeDevRun({ history, test }: FitResult): string {
  const last = history.at(-1);
  const parts = [["train", last?.loss], ["valid", last?.valid_loss], ["test", test?.loss]] as const;
  const ran = parts.flatMap(([name, loss]) => (loss === undefined ? [] : [`${name} (loss ${showNumber(loss)})`]));
  return `fast dev run: one batch each of ${ran.join(", ")} went through model, loss, gradients, one step of the optimizer and its schedule; no checkpoints, no log`;
}
