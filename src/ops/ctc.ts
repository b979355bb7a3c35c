import { checkOptions, GraftError } from "../base/index.js";
import { computeDType, defineOp, record, showShape, sizeOf, tensor, type RefArray, type Tensor } from "../graph/index.js";
import { asIndex } from "./indexing.js";
import { reshape } from "./movement.js";
import { asTensor, toFloat } from "./operand.js";
import { mean, sum } from "./reduce.js";
import { cast, div, maximum } from "./scalar.js";

type CtcAttrs = { blank: number; zeroInfinity: boolean };

const logAdd = (a: number, b: number): number => {
  const top = Math.max(a, b);
  return top === -Infinity ? top : top + Math.log1p(Math.exp(-Math.abs(a - b)));
};

/** The labels of one sequence with blanks around each, and access to its log-probabilities. */
interface Sequence {
  readonly steps: number;
  readonly labels: readonly number[];
  readonly at: (t: number, label: number) => number;
  /** Whether a path may jump from label s - 2 to s, over a blank. */
  readonly jumps: (s: number) => boolean;
}

function sequenceAt([logProbs, targets, inputLengths, targetLengths]: readonly RefArray[], b: number, blank: number): Sequence {
  const [time, batch, classes] = logProbs.shape;
  const [steps, length] = [inputLengths.data[b], targetLengths.data[b]];
  const rows = targets.shape.length === 2;
  const limit = rows ? targets.shape[1] : targets.data.length;
  const start = rows ? b * limit : targetLengths.data.subarray(0, b).reduce((total, n) => total + n, 0);
  if (steps < 0 || steps > time) throw new GraftError("index", `ctcLoss: input length ${steps} at [${b}] is out of range for ${time} steps.`);
  if (length < 0 || (rows ? length : start + length) > limit) throw new GraftError("index", `ctcLoss: target length ${length} at [${b}] is out of range for ${rows ? limit : limit - start} labels.`);
  const labels = new Array<number>(2 * length + 1).fill(blank);
  for (let i = 0; i < length; i++) {
    const label = targets.data[start + i];
    if (label < 0 || label >= classes) throw new GraftError("index", `ctcLoss: label ${label} at [${rows ? `${b}, ${i}` : start + i}] is out of range for ${classes} classes.`);
    labels[2 * i + 1] = label;
  }
  return { steps, labels, at: (t, label) => logProbs.data[(t * batch + b) * classes + label], jumps: (s) => s > 1 && labels[s] !== blank && labels[s] !== labels[s - 2] };
}

/** alpha_t(s): ln of the probability of all paths that are at label s at step t (Graves et al. 2006, equations 6 and 7). */
function forward({ steps, labels, at, jumps }: Sequence): number[][] {
  const alpha: number[][] = [];
  for (let t = 0; t < steps; t++) {
    alpha.push(
      labels.map((label, s) => {
        if (t === 0) return s < 2 ? at(0, label) : -Infinity;
        let total = alpha[t - 1][s];
        if (s > 0) total = logAdd(total, alpha[t - 1][s - 1]);
        if (jumps(s)) total = logAdd(total, alpha[t - 1][s - 2]);
        return total + at(t, label);
      }),
    );
  }
  return alpha;
}

/** beta_t(s): ln of the probability of all ways on from label s after step t. */
function backward({ steps, labels, at, jumps }: Sequence): number[][] {
  const beta: number[][] = new Array<number[]>(steps);
  for (let t = steps - 1; t >= 0; t--) {
    beta[t] = labels.map((_, s) => {
      if (t === steps - 1) return s >= labels.length - 2 ? 0 : -Infinity;
      const next = (to: number): number => beta[t + 1][to] + at(t + 1, labels[to]);
      let total = next(s);
      if (s + 1 < labels.length) total = logAdd(total, next(s + 1));
      if (s + 2 < labels.length && jumps(s + 2)) total = logAdd(total, next(s + 2));
      return total;
    });
  }
  return beta;
}

/** -ln of the probability of the labels: paths end at the last label or at the blank after it. */
function lossOf({ steps, labels }: Sequence, alpha: number[][]): number {
  if (steps === 0) return labels.length === 1 ? 0 : Infinity;
  const last = alpha[steps - 1];
  return -logAdd(last[labels.length - 1], labels.length > 1 ? last[labels.length - 2] : -Infinity);
}

const ctcOp = defineOp<CtcAttrs>({
  name: "ctcLoss",
  fallible: true,
  trait: "opaque",
  infer: ([logProbs]) => ({ shape: [logProbs.shape[1]], dtype: logProbs.dtype }),
  vjp: ({ inputs, grad, attrs }) => [record(ctcGradientOp, [...inputs, grad], attrs), null, null, null],
  evaluate: (inputs, { blank, zeroInfinity }, [out]) => {
    for (let b = 0; b < out.data.length; b++) {
      const sequence = sequenceAt(inputs, b, blank);
      const loss = lossOf(sequence, forward(sequence));
      out.data[b] = loss === Infinity && zeroInfinity ? 0 : loss;
    }
  },
  kernel: (_, { blank, zeroInfinity }) => ({ name: "ctcLoss", attrs: [blank, zeroInfinity ? 1 : 0] }),
  flops: ([logProbs, targets]) => 20 * logProbs.shape[0] * sizeOf(targets.shape),
});

/** dL/dlogits_t(k) = p_t(k) - (share of paths that emit k at t), times the gradient of the sequence's loss (Graves et al. 2006, equation 16). */
const ctcGradientOp = defineOp<CtcAttrs>({
  name: "ctcGradient",
  trait: "opaque",
  infer: ([logProbs]) => ({ shape: logProbs.shape, dtype: logProbs.dtype }),
  vjp: () => {
    throw new GraftError("gradient", "ctcLoss: its gradient cannot be differentiated again. Use it with first derivatives only.");
  },
  evaluate: (inputs, { blank, zeroInfinity }, [out]) => {
    const [, batch, classes] = out.shape;
    out.data.fill(0);
    for (let b = 0; b < batch; b++) {
      const sequence = sequenceAt(inputs, b, blank);
      const [alpha, beta] = [forward(sequence), backward(sequence)];
      const loss = lossOf(sequence, alpha);
      if (loss === Infinity && zeroInfinity) continue;
      const scale = inputs[4].data[b];
      for (let t = 0; t < sequence.steps; t++) {
        const row = out.data.subarray((t * batch + b) * classes, (t * batch + b + 1) * classes);
        sequence.labels.forEach((label, s) => (row[label] -= Math.exp(alpha[t][s] + beta[t][s] + loss)));
        for (let k = 0; k < classes; k++) row[k] = scale * (Math.exp(sequence.at(t, k)) + row[k]);
      }
    }
  },
  kernel: (_, { blank, zeroInfinity }) => ({ name: "ctcGradient", attrs: [blank, zeroInfinity ? 1 : 0] }),
  flops: ([logProbs, targets]) => sizeOf(logProbs.shape) * 20 + 60 * logProbs.shape[0] * sizeOf(targets.shape),
});

/** Options of {@link ctcLoss}. */
export interface CtcLossOptions {
  /** The class that stands for "no label"; 0 by default. */
  readonly blank?: number;
  /** `mean` (default) divides each loss by its target length and takes the mean over the batch. */
  readonly reduction?: "none" | "mean" | "sum";
  /** Counts labels that do not fit into the input (an infinite loss) as 0, without a gradient. */
  readonly zeroInfinity?: boolean;
}

function lengths(name: string, value: Tensor | readonly number[], batch: number, most: number): Tensor {
  if (Array.isArray(value)) {
    const bad = (value as readonly number[]).findIndex((n) => !Number.isInteger(n) || n < 0 || n > most);
    if (bad >= 0) throw new GraftError("argument", `ctcLoss: ${name}[${bad}] is ${String(value[bad])}. Use whole numbers from 0 to ${most}.`);
  }
  const result = Array.isArray(value) ? tensor(Int32Array.from(value as readonly number[])) : asIndex("ctcLoss", name, value);
  if (result.size !== batch) throw new GraftError("shape", `ctcLoss: ${name} holds ${result.size} lengths for a batch of ${batch}. Give one per sequence.`);
  return reshape(result, [batch]);
}

/**
 * Connectionist temporal classification: -ln of the probability that a sequence of per-step class probabilities spells the target, summed
 * over all alignments (Graves et al., "Connectionist temporal classification", ICML 2006).
 *
 * `logProbs` [T, B, V] comes from logSoftmax (or [T, V] for one sequence), `targets` [B, S] or all labels in one row, without blanks. The
 * gradient is that of the scores before logSoftmax, as in PyTorch; logSoftmax passes it on unchanged.
 * @throws GraftError `index` when a label is not a class, `argument` or `shape` when lengths do not fit.
 * @example ctcLoss(logSoftmax(model.forward(audio), -1), labels, [120, 98], [14, 9]);
 */
export function ctcLoss(
  logProbs: Tensor, targets: Tensor, inputLengths: Tensor | readonly number[], targetLengths: Tensor | readonly number[], options: CtcLossOptions = {},
): Tensor {
  checkOptions("ctcLoss", options, ["blank", "reduction", "zeroInfinity"]);
  const { blank = 0, reduction = "mean", zeroInfinity = false } = options;
  const given = toFloat(asTensor("ctcLoss", "logProbs", logProbs));
  const single = given.ndim === 2;
  if (!single && given.ndim !== 3) throw new GraftError("shape", `ctcLoss: logProbs is ${showShape(given.shape)}. Pass [T, B, V], or [T, V] for one sequence.`);
  const x = single ? reshape(given, [given.shape[0], 1, given.shape[1]]) : given;
  const [time, batch, classes] = x.shape;
  if (!Number.isInteger(blank) || blank < 0 || blank >= classes) throw new GraftError("argument", `ctcLoss: blank is ${blank}. Use 0 to ${classes - 1}.`);
  if (reduction !== "none" && reduction !== "mean" && reduction !== "sum") throw new GraftError("argument", `ctcLoss: unknown reduction "${String(reduction)}". Use "none", "mean" or "sum".`);
  const labels = asIndex("ctcLoss", "targets", targets);
  if (labels.ndim !== 1 && (labels.ndim !== 2 || labels.shape[0] !== batch)) throw new GraftError("shape", `ctcLoss: targets is ${showShape(labels.shape)} for a batch of ${batch}. Pass [${batch}, S], or all labels in one row.`);
  const sizes = lengths("inputLengths", inputLengths, batch, time);
  const targetSizes = lengths("targetLengths", targetLengths, batch, labels.shape[labels.ndim - 1]);
  const losses = record(ctcOp, [cast(x, computeDType(x.dtype)), labels, sizes, targetSizes], { blank, zeroInfinity });
  const result = cast(reduced(losses, targetSizes, reduction), given.dtype);
  return single && reduction === "none" ? reshape(result, []) : result;
}

function reduced(losses: Tensor, targetSizes: Tensor, reduction: CtcLossOptions["reduction"]): Tensor {
  if (reduction === "none") return losses;
  return reduction === "sum" ? sum(losses) : mean(div(losses, cast(maximum(targetSizes, 1), losses.dtype)));
}
