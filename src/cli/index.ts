export { defineTraining, type CommonSettings, type Setting, type Settings, type Training, type TrainingContext, type TrainingData } from "./define.js";
export { type DataSource } from "./data-schema.js";
export { Interrupted } from "./exit.js";

/**
 * Runs the command line `graft <args>`, and returns its exit code.
 * @example
 * process.exitCode = await main(["train", "examples/digits.yaml"]);
 */
export async function main(args: readonly string[]): Promise<number> {
  return (await import("./main.js")).main(args);
}
