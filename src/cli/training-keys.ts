import { Option, type Command } from "commander";
import { parse } from "yaml";
import { GraftError } from "../base/index.js";
import type { FitOptions } from "../train/index.js";
import { UsageError } from "./exit.js";
import { overridesOf, type KeyFlag, type Override } from "./overrides.js";
import { check, flag, number, oneOf, strict, whole } from "./schema.js";

const action = () => oneOf(["stop", "skip", "restore"]).optional();

/** Keys of every file that describes a training, named as the options of `train.fit`. */
export const trainingShape = {
  ema: strict({ decay: number({ min: 0, max: 1 }).optional(), warmup: flag().optional() }).optional(),
  watchdog: strict({
    nan: action(),
    spike: action(),
    window: whole(2).optional(),
    deviations: number({ above: 0 }).optional(),
    lrFactor: number({ above: 0, max: 1 }).optional(),
    limit: whole().optional(),
  }).optional(),
  overfitBatches: whole().optional(),
  logEvery: whole().optional(),
  tensorboard: flag().optional(),
};
const trainingSchema = strict(trainingShape);

/** What these keys say. */
export type TrainingKeys = Pick<FitOptions, "ema" | "watchdog" | "overfitBatches" | "logEvery"> & { readonly tensorboard?: boolean };

/** Flags that every command with a training has. */
export interface TrainingFlags {
  readonly ema?: string;
  readonly watchdog?: "stop" | "skip" | "restore";
  readonly overfitBatches?: string;
  readonly logEvery?: string;
  readonly tensorboard?: boolean;
  readonly fastDevRun?: boolean;
  readonly findLr?: boolean;
}

/** Adds the flags. */
export const trainingFlags = (command: Command): Command =>
  command
    .option("--ema <decay>", "evaluate and save a moving average of the weights (0.999, say)")
    .addOption(new Option("--watchdog <action>", "at a loss that is NaN or jumps: stop, skip the step, or restore the last checkpoint and halve the rate").choices(["stop", "skip", "restore"]))
    .option("--overfit-batches <n>", "train on the same n batches, without validation: whether the model can learn at all")
    .option("--fast-dev-run", "one batch of everything, no files: whether all of it runs")
    .option("--find-lr", "try rates from 1e-7 to 10, print losses and a suggestion, train nothing")
    .option("--log-every <n>", "a line in metrics.jsonl every n steps")
    .option("--tensorboard", "write a TensorBoard event file into the folder of the run");

/** What the help of such a command says of the keyboard. */
export const keysText = "On a terminal, p pauses or goes on, s saves a checkpoint, q saves and quits, ? lists the keys.";

/** Flags as keys of a file; `prefix` is the section that holds them. Throws `UsageError` for what is no number. */
export function trainingOverrides(command: string, flags: TrainingFlags, prefix = ""): Override[] {
  const numbers: KeyFlag[] = [
    { flag: "--ema", key: "ema.decay", value: flags.ema },
    { flag: "--overfit-batches", key: "overfitBatches", value: flags.overfitBatches },
    { flag: "--log-every", key: "logEvery", value: flags.logEvery },
  ];
  const found = overridesOf(command, numbers, []);
  const { watchdog } = flags;
  if (watchdog !== undefined) for (const key of ["watchdog.nan", "watchdog.spike"]) found.push({ key, value: watchdog, flag: `--watchdog ${watchdog}` });
  if (flags.tensorboard) found.push({ key: "tensorboard", value: "true", flag: "--tensorboard" });
  return found.map((override) => ({ ...override, key: `${prefix}${override.key}` }));
}

/** Whether an override is about one of these keys. */
export const isTrainingKey = ({ key }: Override): boolean => Object.hasOwn(trainingShape, key.split(".")[0]);

/** What overrides say where there is no file. Throws `config` for unknown keys and values out of range. */
export function trainingKeys(command: string, overrides: readonly Override[]): TrainingKeys {
  const keys: Record<string, unknown> = {};
  for (const { key, value, flag: given } of overrides) {
    const [name, part, ...rest] = key.split(".");
    if (rest.length > 0) throw new GraftError("config", `${given}: there is no key "${key}".`);
    if (part === undefined) keys[name] = parse(value);
    else keys[name] = { ...(keys[name] as object | undefined), [part]: parse(value) as unknown };
  }
  return check(command, trainingSchema, keys);
}

/** What a command does instead of training. Throws `UsageError` when both are asked for. */
export function trialOf(command: string, { findLr = false, fastDevRun = false }: TrainingFlags): "find-lr" | "fast-dev-run" | undefined {
  if (findLr && fastDevRun) throw new UsageError(`${command}: --find-lr and --fast-dev-run exclude each other.`);
  return findLr ? "find-lr" : fastDevRun ? "fast-dev-run" : undefined;
}
