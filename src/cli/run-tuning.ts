import { join } from "node:path";
import type { Profile, ProfileSteps } from "../runtime/index.js";
import type { LearningRateCurve, FitResult, LmOptions } from "../train/index.js";
import { checkSameData, hashSamples } from "./data-hash.js";
import { Interrupted } from "./exit.js";
import { print } from "./output.js";
import { readRun, versions, writeRun, type RunRecord } from "./run-folder.js";
import { checkTrace, showProfile } from "./show-profile.js";
import type { TrainingKeys } from "./training-keys.js";

/** What all ways to fine-tune are told. */
export interface TuningRun {
  readonly out: string;
  readonly epochs: number;
  readonly batchSize: number;
  readonly accumulate: number;
  readonly seed: number;
  readonly resume: boolean;
  readonly overwrite: boolean;
  readonly progress: boolean;
  readonly keys: TrainingKeys;
  /** What is done instead of training. */
  readonly trial: "find-lr" | "fast-dev-run" | "profile" | undefined;
  /** Where a profile writes its trace. */
  readonly trace?: string;
  /** The flags, to be kept in the folder of the run. */
  readonly flags: RunRecord["settings"];
}

/** A training, the search for its rate and a profile of it, with the options that all have in common. */
export interface Tuning {
  train(options: LmOptions): Promise<FitResult>;
  findRate(options: LmOptions): Promise<LearningRateCurve>;
  profile(options: LmOptions & ProfileSteps): Promise<Profile>;
}

/**
 * Runs a fine-tuning in its folder: run.json, checkpoints, metrics.jsonl. Undefined after a trial, which leaves no files. Throws `Interrupted` when the user ended it; a checkpoint is then saved.
 */
export async function runTuning(run: TuningRun, samples: readonly (readonly unknown[])[], { train, findRate, profile }: Tuning): Promise<FitResult | undefined> {
  const { out, epochs, batchSize, accumulate, seed, resume, overwrite, progress, keys, trial, flags } = run;
  const { tensorboard = false, logEvery = 10, ...rest } = keys;
  const options: LmOptions = {
    epochs, batchSize, accumulate, seed, progress, resume, ...rest,
    checkpoint: { dir: join(out, "checkpoints"), keep: 1, best: false, overwrite },
    log: join(out, "metrics.jsonl"), logEvery, ...(tensorboard ? { tensorboard: out } : {}),
    keys: progress, resumeHint: "the same command and --resume",
  };
  if (trial === "find-lr") return void print(String(await findRate(options)));
  if (trial === "profile") {
    const { trace } = run;
    if (trace !== undefined) await checkTrace("finetune: --profile", trace);
    const length = { warmup: 10, steps: 10 }; // as in graft profile
    return void (await showProfile(await profile({ ...options, ...length, resumeHint: undefined }), { ...length, top: 20, trace }));
  }
  if (trial === "fast-dev-run") return void (await train({ ...options, fastDevRun: true, progress: "plain" as const }));

  const dataHash = await hashSamples(samples.map((list) => ({ length: list.length, get: (i: number) => list[i] })));
  const earlier = resume ? await readRun(out) : undefined;
  checkSameData(out, earlier?.dataHash, dataHash);
  const record: RunRecord = { name: "finetune", file: String(flags.data), overrides: [], seed, settings: flags, dataHash, versions: versions(), started: earlier?.started ?? new Date().toISOString() };
  await writeRun(out, record);
  const result = await train(options);
  const last = result.history.at(-1);
  const results = last === undefined ? {} : { loss: last.loss, ...(last.valid_loss === undefined ? {} : { valid_loss: last.valid_loss }) };
  await writeRun(out, { ...record, stopped: result.stopped, results });
  if (result.stopped === "interrupted") throw new Interrupted();
  return result;
}
