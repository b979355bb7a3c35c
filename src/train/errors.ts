import { GraftError } from "../base/index.js";
import { isFloat, type Shape } from "../graph/index.js";
import type { Module } from "../nn/index.js";
import { badLabel, describeBatch, tensorsOf } from "./batch.js";
import type { Batch, BatchSource } from "./types.js";

/** Where in a run an error came up. */
export interface Place {
  /** `train.fit` or `train.evaluate`. */
  readonly op: string;
  readonly batch: Batch;
  readonly model: Module;
  readonly loader: BatchSource;
  /** Epoch and number of the batch in it, both from 0. */
  readonly epoch: number;
  readonly number: number;
  /** Number of the optimiser step, from 1. */
  readonly step?: number;
}

const where = ({ op, epoch, number, step }: Place): string => `${op}: ${step === undefined ? "" : `step ${step}, `}epoch ${epoch + 1}, batch ${number + 1}`;

/** An error of a step with what the user needs to find its cause: step, epoch and batch, shapes, for labels the sample. Other errors are returned as they are. */
export function locate(error: unknown, place: Place): unknown {
  if (!(error instanceof GraftError)) return error;
  if (error.code === "index") {
    const label = findLabel(place);
    if (label !== undefined) return new GraftError("index", `${where(place)}: ${label}`, { cause: error });
  }
  return new GraftError(error.code, `${where(place)}: ${error.message} (The batch: ${describeBatch(place.batch)}.)`, { cause: error });
}

/** The first label of the batch that is no class of the model's output, in words. */
function findLabel({ batch, model, loader, epoch, number }: Place): string | undefined {
  const fields = tensorsOf(batch);
  const target = fields[fields.length - 1];
  const labels = target.node.value;
  if (fields.length < 2 || labels === undefined || isFloat(target.dtype)) return undefined;
  let output: Shape | undefined;
  try {
    output = model.summary(...fields.slice(0, -1)).rows[0].output;
  } catch {
    return undefined;
  }
  if (output === undefined || output.length !== target.ndim + 1) return undefined;
  const classes = output[1];
  const at = badLabel(target, classes);
  if (at < 0) return undefined;
  const row = Math.floor(at / (labels.length / target.shape[0]));
  const sample = loader.batchIndices?.(epoch, number)[row];
  const position = sample === undefined ? `row ${row} of the batch` : `sample ${sample} of the data set (row ${row} of the batch)`;
  return `label ${labels[at]} of ${position} is out of range: the model has ${classes} classes, 0 to ${classes - 1}. Correct the label, or give the model more outputs.`;
}
