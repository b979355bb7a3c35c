import { noGrad, type Tensor } from "../graph/index.js";
import "../autograd/index.js"; // gives tensors backward()
import type { Module } from "../nn/index.js";
import { clipGradNorm, clipGradValue, LBFGS } from "../optim/index.js";
import { abs, add, mul, scalarInput, square, sum } from "../ops/index.js";
import { compile, discardPending, realize } from "../runtime/index.js";
import { samplesIn, tensorsOf, type Objective } from "./batch.js";
import { accuracy, isClassification } from "./metrics.js";
import type { Batch, BatchMetric, FitOptions, Metrics, StepOutcome, TrainOptimizer } from "./types.js";

/** What a step is made of. */
export interface StepParts {
  readonly model: Module;
  readonly optimizer: TrainOptimizer;
  readonly cost: Objective;
  readonly metrics: Metrics | undefined;
  readonly clip: FitOptions["clip"];
  readonly regularize: FitOptions["regularize"];
  /** What a batch counts for. Default: its samples. */
  readonly count?: (batch: Batch) => number;
  /** Does the step of a batch without recording it again; see {@link compiledStep}. */
  readonly compiled?: CompiledStep;
}

/** Numbers of a step by name, and the function that computes them. */
export type CompiledStep = (batch: Batch) => Promise<StepNumbers>;

/** Loss and metrics of a step: means over its samples. */
export interface StepNumbers {
  readonly samples: number;
  readonly values: { readonly loss: number; readonly [name: string]: number };
}

/** What a recorded batch leaves to read. */
interface Recorded {
  readonly samples: number;
  readonly numbers: readonly (readonly [name: string, value: Tensor])[];
  /** What is differentiated: loss and penalties. */
  readonly objective: Tensor;
}

/**
 * One optimiser step on a batch, forward, backward and update in one plan; with several batches their gradients are averaged by samples first, each
 * batch in a plan of its own, so that memory is that of one.
 */
export async function trainStep(parts: StepParts, batches: readonly Batch[]): Promise<StepNumbers> {
  const { optimizer } = parts;
  optimizer.zeroGrad();
  try {
    if (optimizer instanceof LBFGS) return await closureStep(parts, batches[0]);
    if (parts.compiled !== undefined && batches.length === 1) return await parts.compiled(batches[0]);
    const recorded = batches.length === 1 ? [recordBackward(parts, batches[0], undefined)] : await accumulated(parts, batches);
    limit(parts);
    await optimizer.step();
    return read(recorded);
  } catch (error) {
    discardPending(); // running statistics that the failed step recorded
    throw error;
  } finally {
    optimizer.zeroGrad(); // a gradient holds on to the whole recorded step
  }
}

/** The step of one batch, traced once per shape and replayed from then on: what `compile` says about branches holds for model and loss. */
export function compiledStep(parts: StepParts): CompiledStep {
  const { count = samplesIn } = parts;
  let names: readonly string[] = [];
  let keys: readonly string[] | undefined;
  const run = compile((...fields: Tensor[]) => {
    parts.optimizer.zeroGrad();
    const recorded = recordBackward(parts, keys === undefined ? fields : Object.fromEntries(keys.map((key, i) => [key, fields[i]])), undefined);
    limit(parts);
    void parts.optimizer.step();
    names = recorded.numbers.map(([name]) => name);
    return recorded.numbers.map(([, value]) => value);
  });
  return async (batch) => {
    keys = Array.isArray(batch) ? undefined : Object.keys(batch);
    const results = await run(...tensorsOf(batch));
    return read([{ samples: count(batch), numbers: results.map((value, i) => [names[i], value] as const) }]);
  };
}

/** Records a whole step without computing anything. */
export function recordStep(parts: StepParts, batch: Batch): void {
  parts.optimizer.zeroGrad();
  recordBackward(parts, batch, undefined);
  limit(parts);
  if (!(parts.optimizer instanceof LBFGS)) parts.optimizer.record();
  else for (const { params } of parts.optimizer.paramGroups) for (const { grad } of params) grad?.keep(); // its update is done on the host
}

function record({ model, cost, metrics, regularize, count = samplesIn }: StepParts, batch: Batch): Recorded {
  const outcome = cost(model, batch);
  const numbers = [["loss", outcome.loss] as const, ...noGrad(() => measure(outcome, metrics))];
  for (const [, value] of numbers) value.keep();
  return { samples: count(batch), numbers, objective: regularize === undefined ? outcome.loss : add(outcome.loss, penalty(model, regularize)) };
}

function measure({ output, target }: StepOutcome, metrics: Metrics | undefined): (readonly [string, Tensor])[] {
  if (output === undefined || target === undefined) return [];
  const wanted = metrics ?? (isClassification(output, target) ? { accuracy } : {});
  return Object.entries(wanted)
    .filter(([, metric]) => typeof metric === "function")
    .map(([name, metric]) => [name, (metric as BatchMetric)(output, target)] as const);
}

/** l1 sum |w| + l2 sum w^2 over the weights that have two or more dimensions. */
function penalty(model: Module, { l1 = 0, l2 = 0 }: NonNullable<FitOptions["regularize"]>): Tensor {
  const weights = model.parameters().filter((parameter) => parameter.requiresGrad && parameter.ndim >= 2);
  const terms = weights.flatMap((w) => [...(l1 > 0 ? [mul(sum(abs(w)), l1)] : []), ...(l2 > 0 ? [mul(sum(square(w)), l2)] : [])]);
  return terms.length === 0 ? scalarInput(0) : terms.reduce((total, term) => add(total, term));
}

/** Records a batch and its gradients, times `share` (its part of a larger batch). */
function recordBackward(parts: StepParts, batch: Batch, share: number | undefined): Recorded {
  const recorded = record(parts, batch);
  (share === undefined ? recorded.objective : mul(recorded.objective, scalarInput(share, recorded.objective.dtype))).backward();
  return recorded;
}

async function accumulated(parts: StepParts, batches: readonly Batch[]): Promise<Recorded[]> {
  const { count = samplesIn } = parts;
  const total = batches.reduce((sum, batch) => sum + count(batch), 0);
  const all: Recorded[] = [];
  for (const batch of batches) {
    const recorded = recordBackward(parts, batch, count(batch) / total);
    const gradients = parts.optimizer.paramGroups.flatMap(({ params }) => params.map(({ grad }) => grad)).filter((grad) => grad !== null);
    await realize(...recorded.numbers.map(([, value]) => value), ...gradients);
    all.push(recorded);
  }
  return all;
}

function limit({ optimizer, clip }: StepParts): void {
  if (clip === undefined) return;
  const params = optimizer.paramGroups.flatMap((group) => group.params);
  if (clip.value !== undefined) clipGradValue(params, clip.value);
  if (clip.norm !== undefined) clipGradNorm(params, clip.norm);
}

/** A step of an optimiser that looks at several points: the numbers are those at the first. */
async function closureStep(parts: StepParts, batch: Batch): Promise<StepNumbers> {
  let first: StepNumbers | undefined;
  await parts.optimizer.step(async () => {
    parts.optimizer.zeroGrad();
    const recorded = recordBackward(parts, batch, undefined);
    limit(parts);
    if (first === undefined) {
      await realize(...recorded.numbers.map(([, value]) => value));
      first = read([recorded]);
    }
    return recorded.objective;
  });
  return first!;
}

function read(recorded: readonly Pick<Recorded, "samples" | "numbers">[]): StepNumbers {
  const samples = recorded.reduce((sum, part) => sum + part.samples, 0);
  const values: Record<string, number> = {};
  for (const part of recorded) for (const [name, value] of part.numbers) values[name] = (values[name] ?? 0) + (value.item() * part.samples) / samples;
  return { samples, values: values as StepNumbers["values"] };
}
