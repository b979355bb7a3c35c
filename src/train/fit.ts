import type { Module } from "../nn/index.js";
import { RunFolder } from "./checkpoints.js";
import { devRunOptions } from "./dev-run.js";
import { checkFitOptions } from "./fit-options.js";
import { Interrupt } from "./interrupt.js";
import { TrainRun } from "./run.js";
import type { FitOptions, FitResult } from "./types.js";

/**
 * Trains a model: epochs of shuffled batches, each a step of the optimiser in one plan, with an evaluation, a line of history and a checkpoint at each
 * epoch's end. Seeded: the same numbers at every run, also for one that was killed and resumed.
 *
 * Ctrl-C finishes the step, saves a checkpoint (where there is a folder) and returns with `stopped: "interrupted"`; a second one leaves at once.
 *
 * Throws `argument` for unknown options and data that do not fit, `shape` with the module's path, `index` for a label that is no class (with value and
 * sample), `numeric` for a loss that is NaN or Inf, `memory` with the batch size that would fit, `file` when the last checkpoint cannot be saved, `state` for a
 * checkpoint of another run.
 * @example
 * const { train: digits, test } = await data.load("digits", { scale: 2 });
 * const model = new SimpleCNN();
 * const { best, history } = await train.fit(model, { train: digits, valid: test, epochs: 10, stop: { patience: 3 } });
 */
export async function fit(model: Module, given: FitOptions): Promise<FitResult> {
  checkFitOptions(model, given);
  const options = given.fastDevRun ? devRunOptions(given) : given;
  const { folder, from } = await RunFolder.open(options.checkpoint, options.resume);
  const interrupt = new Interrupt(options.progress === false ? () => undefined : () => process.stderr.write("\nstopping after this step; Ctrl-C again leaves at once\n"), {
    signal: options.signal,
    system: options.handleSignals ?? true,
  });
  try {
    return await new TrainRun(model, options, folder, interrupt).run(from);
  } finally {
    interrupt.close();
  }
}
