import type { Evaluation } from "./evaluate.js";
import type { HistoryRecord } from "./types.js";

/** A line of the log, with the key names of the Hugging Face Trainer: `loss`, `eval_loss`, `train_runtime`, ... */
export type LogLine = { readonly epoch: number; readonly step: number } & { readonly [name: string]: number };

/** Where in a run a line belongs. */
export interface Moment {
  /** Epochs done, with their fraction. */
  readonly epoch: number;
  readonly step: number;
}

/** Numbers of the training steps since the last such line. */
export function trainLine(means: { readonly [name: string]: number }, last: { readonly lr: number; readonly gradNorm?: number } | undefined, { epoch, step }: Moment): LogLine {
  const { lr, gradNorm } = last ?? {};
  return { ...means, ...(gradNorm === undefined ? {} : { grad_norm: gradNorm }), ...(lr === undefined ? {} : { learning_rate: lr }), epoch, step };
}

/** What an evaluation of the validation data found: `valid_<name>` of a record as `eval_<name>`, with its speed. */
export function evalLine(record: HistoryRecord, speed: { readonly seconds: number; readonly samples: number | undefined; readonly batches: number }, { epoch, step }: Moment): LogLine {
  const found = Object.entries(record).flatMap(([name, value]) => (name.startsWith("valid_") ? [[`eval_${name.slice("valid_".length)}`, value] as const] : []));
  const { seconds, samples, batches } = speed;
  return {
    ...Object.fromEntries(found),
    eval_runtime: seconds,
    ...(samples === undefined ? {} : { eval_samples_per_second: samples / seconds }),
    eval_steps_per_second: batches / seconds,
    epoch, step,
  };
}

/** What the evaluation of the test data found. */
export function testLine({ loss, metrics }: Evaluation, { epoch, step }: Moment): LogLine {
  return { test_loss: loss, ...Object.fromEntries(Object.entries(metrics).map(([name, value]) => [`test_${name}`, value])), epoch, step };
}

/** The last line of a run: its time, and speeds over all of it. */
export function summaryLine(loss: number, done: { readonly seconds: number; readonly rows: number; readonly tokens: number | undefined }, { epoch, step }: Moment): LogLine {
  const { seconds, rows, tokens } = done;
  return {
    train_runtime: seconds,
    train_samples_per_second: rows / seconds,
    train_steps_per_second: step / seconds,
    ...(tokens === undefined ? {} : { train_tokens_per_second: tokens / seconds }),
    train_loss: loss,
    epoch, step,
  };
}

/** Whether a line (or a curve of that name) is of the end of a run: a run that goes on writes it again. */
export const isOfTheEnd = (name: string): boolean => name === "train_runtime" || name.startsWith("test_");
