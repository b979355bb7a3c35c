import { GraftError } from "../base/index.js";
import { Optimizer, type BaseOptions } from "../optim/index.js";
import { getRandomState, setRandomState } from "../ops/index.js";
import { memoryLimit, planOf, type PlanInfo } from "../runtime/index.js";
import { firstSamples, samplesIn } from "./batch.js";
import { recordPart, recordStep, type StepParts } from "./step.js";
import type { Batch } from "./types.js";

/** What one training step on a batch takes, or with `recordPart` one of its batches, without running it: model, optimiser and random state are as before afterwards. */
export function planStep(parts: StepParts, batch: Batch, record = recordStep): PlanInfo {
  const { optimizer, model } = parts;
  const random = getRandomState();
  const gradients = model.parameters().map((parameter) => [parameter, parameter.grad] as const);
  const states = optimizer instanceof Optimizer ? (optimizer as Optimizer<BaseOptions>).state : undefined;
  const before = states === undefined ? [] : [...states].map(([parameter, state]) => [parameter, { ...state }] as const);
  try {
    return planOf(() => record(parts, batch));
  } finally {
    setRandomState(random);
    for (const [parameter, grad] of gradients) parameter.grad = grad;
    states?.clear();
    for (const [parameter, state] of before) states?.set(parameter, state);
  }
}

/** The largest number of samples, fewer than the batch has, that fits into memory as a step and as a part of one, whose gradients are added up; 0 when not even one does. */
export function largestBatch(parts: StepParts, batch: Batch): number {
  const limit = memoryLimit();
  const needs = (count: number): number => {
    const plans = [recordStep, recordPart].map((record) => planStep(parts, firstSamples(batch, count), record));
    return Math.max(...plans.map(({ arenaBytes, outputBytes }) => arenaBytes + outputBytes));
  };
  let [fits, tooMany] = [0, samplesIn(batch)];
  while (tooMany - fits > Math.max(1, fits >> 4)) { // to 6 %: each trial compiles a plan
    const middle = fits === 0 && tooMany > 16 ? tooMany >> 2 : (fits + tooMany) >> 1;
    if (needs(middle) <= limit) fits = middle;
    else tooMany = middle;
  }
  return fits;
}

/** An error of a step that does not fit, with the batch size that would. */
export function withBatchAdvice(error: GraftError, parts: StepParts, batch: Batch): GraftError {
  let count: number;
  try {
    count = largestBatch(parts, batch);
  } catch {
    return error; // the original says more than a failed trial
  }
  const advice = count === 0 ? "Not even one sample fits: use a smaller model." : `A batch of ${count} would fit: use batchSize: ${count}, and accumulate: ${Math.ceil(samplesIn(batch) / count)} for the same gradient.`;
  return new GraftError("memory", `${error.message} ${advice}`, { cause: error });
}
