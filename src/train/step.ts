import { fromData, inScope, noGrad, type Tensor } from "../graph/index.js";
import "../autograd/index.js"; // gives tensors backward()
import type { Module } from "../nn/index.js";
import { clipGradNorm, clipGradValue, gradNorm, LBFGS, type EMA } from "../optim/index.js";
import { abs, add, assign, cast, guardAssigns, isfinite, le, logicalAnd, mul, pendingAssigns, scalarInput, square, sum } from "../ops/index.js";
import { compile, discardPending, realize } from "../runtime/index.js";
import { samplesIn, tensorsOf, type Objective } from "./batch.js";
import { rememberCounters } from "./counters.js";
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
  /** Follows the weights, as part of the step. */
  readonly ema?: EMA;
  /** The largest loss with which weights may change; a step with a higher one, or with a NaN or Inf in loss or gradients, leaves everything as it was. */
  readonly highestLoss?: () => number;
  /** Does the step of a batch without recording it again; see {@link compiledStep}. */
  readonly compiled?: CompiledStep;
}

/** Numbers of a step by name, and the function that computes them. */
export type CompiledStep = (batch: Batch) => Promise<StepNumbers>;

/** Loss and metrics of a step: means over its samples. */
export interface StepNumbers {
  readonly samples: number;
  readonly values: { readonly loss: number; readonly [name: string]: number };
  /** Norm of all gradients before they were clipped, where it was computed: with `clip.norm` and `highestLoss`. */
  readonly gradNorm?: number;
  /** False when `highestLoss` held the update back. */
  readonly applied: boolean;
}

/** What an update leaves to read beside the numbers of its batches. */
interface Controls {
  readonly norm?: Tensor;
  readonly ok?: Tensor;
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
    if (batches.length > 1) return await accumulated(parts, batches);
    const recorded = [recordBackward(parts, batches[0], undefined)];
    return await applied(parts, (controls) => read(recorded, controls), recorded[0].numbers[0][1]);
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
  let controlled: readonly (keyof Controls)[] = [];
  const run = compile((...fields: Tensor[]) => {
    parts.optimizer.zeroGrad();
    const recorded = recordBackward(parts, keys === undefined ? fields : Object.fromEntries(keys.map((key, i) => [key, fields[i]])), undefined);
    const controls = recordUpdate(parts, recorded.numbers[0][1]);
    controlled = (["norm", "ok"] as const).filter((name) => controls[name] !== undefined);
    names = recorded.numbers.map(([name]) => name);
    return [...recorded.numbers.map(([, value]) => value), ...controlled.map((name) => controls[name]!)];
  });
  return async (batch) => {
    keys = Array.isArray(batch) ? undefined : Object.keys(batch);
    const undo = parts.highestLoss === undefined ? () => undefined : rememberCounters(parts);
    const results = await run(...tensorsOf(batch));
    const controls: Controls = Object.fromEntries(controlled.map((name, i) => [name, results[names.length + i]]));
    const numbers = read([{ samples: count(batch), numbers: names.map((name, i) => [name, results[i]] as const) }], controls);
    if (!numbers.applied) undo();
    return numbers;
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

/** Records one of several batches of a step, without computing anything: its gradients are kept for the next. */
export function recordPart(parts: StepParts, batch: Batch): void {
  parts.optimizer.zeroGrad();
  recordBackward(parts, batch, 0.5);
  for (const { params } of parts.optimizer.paramGroups) for (const { grad } of params) grad?.keep();
}

function record({ model, cost, metrics, regularize, count = samplesIn }: StepParts, batch: Batch): Recorded {
  const outcome = inScope("loss", () => cost(model, batch)); // names for profiles
  const numbers = [["loss", outcome.loss] as const, ...inScope("metrics", () => noGrad(() => measure(outcome, metrics)))];
  for (const [, value] of numbers) value.keep();
  return { samples: count(batch), numbers, objective: regularize === undefined ? outcome.loss : inScope("loss", () => add(outcome.loss, penalty(model, regularize))) };
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

async function accumulated(parts: StepParts, batches: readonly Batch[]): Promise<StepNumbers> {
  const { count = samplesIn, optimizer } = parts;
  const total = batches.reduce((sum, batch) => sum + count(batch), 0);
  const all: Recorded[] = [];
  const buffers = new Map<Tensor, Tensor>(); // as they were before the step: running statistics go on with each batch
  let loss: Tensor | undefined;
  for (const batch of batches) {
    const share = count(batch) / total;
    const recorded = recordBackward(parts, batch, share);
    const part = mul(recorded.numbers[0][1].detach(), scalarInput(share)); // a number that changes is data, not part of the plan
    loss = loss === undefined ? part : add(loss, part);
    const gradients = optimizer.paramGroups.flatMap(({ params }) => params.map(({ grad }) => grad)).filter((grad) => grad !== null);
    if (parts.highestLoss !== undefined) for (const target of pendingAssigns()) if (!buffers.has(target)) buffers.set(target, valueBefore(target));
    await realize(loss, ...recorded.numbers.map(([, value]) => value), ...gradients);
    all.push(recorded);
  }
  const numbers = await applied(parts, (controls) => read(all, controls), loss!);
  if (!numbers.applied && buffers.size > 0) {
    for (const [buffer, value] of buffers) assign(buffer, value);
    await realize();
  }
  return numbers;
}

/** A copy of the value that a recorded assignment is going to replace. */
function valueBefore(target: Tensor): Tensor {
  const [old] = target.node.inputs;
  return fromData(old.value!.slice(), target.shape, target.dtype);
}

/** Does the update that the gradients ask for; the optimiser's and the average's counters are put back where it fails or is held back. */
async function applied(parts: StepParts, numbers: (controls: Controls) => StepNumbers, loss: Tensor): Promise<StepNumbers> {
  const undo = rememberCounters(parts);
  try {
    const controls = recordUpdate(parts, loss);
    controls.norm?.keep();
    controls.ok?.keep();
    await realize();
    const result = numbers(controls);
    if (!result.applied) undo();
    return result;
  } catch (error) {
    undo();
    throw error;
  }
}

/** Records clipping, the optimiser's update, the average of the weights, and what keeps them from happening. */
function recordUpdate(parts: StepParts, loss: Tensor): Controls {
  const { optimizer, ema, highestLoss } = parts;
  const norm = limit(parts);
  const mayChange = (): Tensor => {
    const value = cast(sum(loss.detach()), "f32");
    return logicalAnd(logicalAnd(isfinite(value), le(value, scalarInput(highestLoss!))), isfinite(norm!));
  };
  const ok = highestLoss === undefined ? undefined : inScope("watchdog", () => noGrad(mayChange), "update");
  optimizer.record();
  ema?.update();
  if (ok !== undefined) inScope("watchdog", () => guardAssigns(ok), "update");
  return { norm, ok };
}

/** Limits the gradients. Gives their norm before, where it is needed. */
function limit({ optimizer, clip, highestLoss }: StepParts): Tensor | undefined {
  const params = optimizer.paramGroups.flatMap((group) => group.params);
  if (clip?.value !== undefined) clipGradValue(params, clip.value);
  if (clip?.norm !== undefined) return clipGradNorm(params, clip.norm);
  return highestLoss === undefined ? undefined : gradNorm(params);
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
      first = read([recorded], {});
    }
    return recorded.objective;
  });
  return first!;
}

function read(recorded: readonly Pick<Recorded, "samples" | "numbers">[], { norm, ok }: Controls): StepNumbers {
  const samples = recorded.reduce((sum, part) => sum + part.samples, 0);
  const values: Record<string, number> = {};
  for (const part of recorded) for (const [name, value] of part.numbers) values[name] = (values[name] ?? 0) + (value.item() * part.samples) / samples;
  return { samples, values: values as StepNumbers["values"], ...(norm === undefined ? {} : { gradNorm: norm.item() }), applied: ok === undefined ? Number.isFinite(values.loss) : Boolean(ok.item()) };
}
