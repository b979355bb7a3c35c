import { GraftError } from "../base/index.js";
import { fromData, isFloat, showShape, sizeOf, Tensor } from "../graph/index.js";
import type { Module } from "../nn/index.js";
import { F } from "../ops/index.js";
import type { Batch, BatchStep, LossFunction, StepOutcome } from "./types.js";

/** The tensors of a batch, in order. */
export const tensorsOf = (batch: Batch): readonly Tensor[] => (Array.isArray(batch) ? (batch as readonly Tensor[]) : Object.values(batch as Readonly<Record<string, Tensor>>));

/** Number of samples: the first size of the first tensor. */
export function samplesIn(batch: Batch): number {
  const first = tensorsOf(batch)[0];
  if (!(first instanceof Tensor) || first.ndim === 0) throw new GraftError("argument", `train: a batch is ${String(first)}. A loader must give tensors [B, ...], in a list or by name.`);
  return first.shape[0];
}

/** The first `count` samples of a batch in memory, as leaves. */
export function firstSamples(batch: Batch, count: number): Batch {
  const cut = (x: Tensor): Tensor => {
    const shape = [count, ...x.shape.slice(1)];
    return fromData(x.node.value!.slice(0, sizeOf(shape)), shape, x.dtype); // a copy: memory of results lives as long as the view that the backend made
  };
  if (Array.isArray(batch)) return (batch as readonly Tensor[]).map(cut);
  return Object.fromEntries(Object.entries(batch as Readonly<Record<string, Tensor>>).map(([name, x]) => [name, cut(x)]));
}

/** Shapes and dtypes of a batch, for messages. */
export function describeBatch(batch: Batch): string {
  const entries = Array.isArray(batch) ? (batch as readonly Tensor[]).map((x, i, all) => [i === all.length - 1 && all.length > 1 ? "target" : all.length > 2 ? `input ${i}` : "input", x] as const) : Object.entries(batch as Readonly<Record<string, Tensor>>);
  return entries.map(([name, x]) => `${name} ${showShape(x.shape)} ${x.dtype}`).join(", ");
}

/** The cost of a batch, and what metrics are computed from. */
export type Objective = (model: Module, batch: Batch) => StepOutcome;

/** Where the first label is that names no class: its index, -1 when all are good; -100 is a label to ignore. Labels that are not in memory pass. */
export function badLabel(target: Tensor, classes: number): number {
  return target.node.value?.findIndex((label) => (label < 0 && label !== -100) || label >= classes) ?? -1;
}

/**
 * The cost of class labels, as {@link F.crossEntropy}; other targets need a loss that is named. Labels are looked at before anything runs, so that a bad
 * one changes nothing.
 */
export function defaultLoss(output: Tensor, target: Tensor): Tensor {
  if (isFloat(target.dtype)) {
    throw new GraftError(
      "argument",
      `train: targets are ${target.dtype} ${showShape(target.shape)}, so the loss must be named: loss: F.mseLoss for numbers, F.binaryCrossEntropyWithLogits for 0 and 1, F.crossEntropy for probabilities. Class labels are integers.`,
    );
  }
  const loss = F.crossEntropy(output, target);
  const at = badLabel(target, output.shape[1]);
  if (at >= 0) throw new GraftError("index", `crossEntropy: label ${target.node.value![at]} at ${at} is out of range for ${output.shape[1]} classes.`);
  return loss;
}

/** Puts model and loss (or a custom step) together. */
export function objective(loss: LossFunction | undefined, step: BatchStep | undefined): Objective {
  if (step !== undefined) {
    return (model, batch) => {
      const outcome = step(model, batch);
      return checked(outcome instanceof Tensor ? { loss: outcome } : outcome, "step");
    };
  }
  return (model, batch) => {
    const fields = tensorsOf(batch);
    if (fields.length < 2) throw new GraftError("argument", `train: a batch has ${fields.length} tensor(s), an input and a target are needed. Give a step: (model, batch) => loss.`);
    const target = fields[fields.length - 1];
    const output: unknown = (model.forward as (...inputs: Tensor[]) => unknown)(...fields.slice(0, -1));
    if (!(output instanceof Tensor)) throw new GraftError("argument", `train: ${model.constructor.name}.forward gave ${String(output)}, not a Tensor. Give a step: (model, batch) => loss.`);
    return checked({ loss: (loss ?? defaultLoss)(output, target), output, target }, "loss");
  };
}

function checked(outcome: StepOutcome, name: string): StepOutcome {
  const { loss } = outcome ?? {};
  if (!(loss instanceof Tensor)) throw new GraftError("argument", `train: ${name} gave ${String(loss)}. Return the loss, a Tensor with one value.`);
  if (loss.size !== 1) throw new GraftError("shape", `train: the loss is ${showShape(loss.shape)}, not a scalar. Reduce it, for example with reduction "mean".`);
  return outcome;
}
