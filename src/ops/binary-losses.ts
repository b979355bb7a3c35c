import { checkOptions, GraftError } from "../base/index.js";
import { broadcastShapes, defineOp, record, sameShape, showShape, type Shape, type Tensor } from "../graph/index.js";
import { clamp } from "./activations.js";
import { lossPair, reduceLoss, type LossOptions } from "./loss-reduction.js";
import { asTensor } from "./operand.js";
import { mean } from "./reduce.js";
import { add, div, log, log1p, logSigmoid, mul, neg, sub } from "./scalar.js";

/**
 * -(t ln x + (1 - t) ln(1 - x)) with both logarithms kept above -100. Its own op because the gradient is not that of the clamped form:
 * dx = (x - t) / max(x (1 - x), 1e-12), so that a confident wrong answer (x = 0 for t = 1) still learns; dt = ln(1 - x) - ln x.
 */
const binaryCrossEntropyOp = defineOp({
  name: "binaryCrossEntropy",
  trait: "opaque",
  infer: ([x]) => ({ shape: x.shape, dtype: x.dtype }),
  composite: ([x, t]) => {
    const yes = clamp(log(x), { min: -100 });
    const no = clamp(log1p(neg(x)), { min: -100 });
    return neg(add(mul(t, yes), mul(sub(1, t), no)));
  },
  vjp: ({ inputs: [x, t], grad, needs }) => [
    needs[0] ? mul(grad, div(sub(x, t), clamp(mul(x, sub(1, x)), { min: 1e-12 }))) : null,
    needs[1] ? mul(grad, sub(log1p(neg(x)), log(x))) : null,
  ],
});

/** Options of the binary losses: `weight` is a factor per element (or one that broadcasts to them). */
export interface BinaryLossOptions extends LossOptions {
  readonly weight?: Tensor;
}

function checkBroadcast(op: string, name: string, x: Tensor, shape: Shape): void {
  if (!sameShape(broadcastShapes(op, shape, asTensor(op, name, x).shape), shape)) throw new GraftError("shape", `${op}: ${name} is ${showShape(x.shape)}, input is ${showShape(shape)}. It must broadcast to the input.`);
}

function weighted(op: string, values: Tensor, { weight, reduction }: BinaryLossOptions): Tensor {
  if (weight !== undefined) checkBroadcast(op, "weight", weight, values.shape);
  return reduceLoss(op, weight === undefined ? values : mul(values, weight), reduction);
}

/**
 * Cross entropy of probabilities (0 to 1) with targets (0 to 1); logarithms are kept above -100, so that 0 and 1 give no infinity.
 * Prefer {@link binaryCrossEntropyWithLogits}, which loses no accuracy near 0 and 1.
 * @throws GraftError `shape` unless the shapes are equal.
 * @example F.binaryCrossEntropy(F.sigmoid(logits), target);
 */
export function binaryCrossEntropy(input: Tensor, target: Tensor, options: BinaryLossOptions = {}): Tensor {
  checkOptions("binaryCrossEntropy", options, ["weight", "reduction"]);
  return weighted("binaryCrossEntropy", record(binaryCrossEntropyOp, lossPair("binaryCrossEntropy", input, target)), options);
}

/**
 * Binary cross entropy of sigmoid(input), computed from the logits without overflow: (1 - t) x - (1 + (posWeight - 1) t) ln sigmoid(x).
 * `posWeight` multiplies the loss of positives (for rare ones) and broadcasts.
 * @throws GraftError `shape` unless the shapes are equal.
 * @example F.binaryCrossEntropyWithLogits(logits, labels, { posWeight: tensor([3]) });
 */
export function binaryCrossEntropyWithLogits(input: Tensor, target: Tensor, options: BinaryLossOptions & { readonly posWeight?: Tensor } = {}): Tensor {
  const op = "binaryCrossEntropyWithLogits";
  checkOptions(op, options, ["weight", "posWeight", "reduction"]);
  const [x, t] = lossPair(op, input, target);
  const { posWeight } = options;
  if (posWeight !== undefined) checkBroadcast(op, "posWeight", posWeight, x.shape);
  const logP = logSigmoid(x);
  const positive = posWeight === undefined ? logP : mul(logP, add(mul(sub(posWeight, 1), t), 1));
  return weighted(op, sub(mul(sub(1, t), x), positive), options);
}

/**
 * Mean over the classes of the binary cross entropy of sigmoid(input): one yes/no question per class, input and target [B, C].
 * @throws GraftError `shape` unless the shapes are equal.
 * @example F.multilabelSoftMarginLoss(logits, labels);
 */
export function multilabelSoftMarginLoss(input: Tensor, target: Tensor, options: BinaryLossOptions = {}): Tensor {
  const op = "multilabelSoftMarginLoss";
  checkOptions(op, options, ["weight", "reduction"]);
  const [x, t] = lossPair(op, input, target);
  if (x.ndim < 1 || x.ndim > 2) throw new GraftError("shape", `${op}: input is ${showShape(x.shape)}. Use [B, C] or [C].`);
  const values = neg(add(mul(t, logSigmoid(x)), mul(sub(1, t), logSigmoid(neg(x)))));
  if (options.weight !== undefined) checkBroadcast(op, "weight", options.weight, x.shape);
  return reduceLoss(op, mean(options.weight === undefined ? values : mul(values, options.weight), { dim: -1 }), options.reduction);
}
