import { checkChoice, checkNumber, checkOptions, GraftError } from "../base/index.js";
import { computeDType, isFloat, recordMany, sameShape, showShape, sizeOf, type Shape, type Tensor } from "../graph/index.js";
import { labelLossOp, takesCubes, type LabelLossAttrs } from "./cross-entropy-ops.js";
import type { Reduction } from "./loss-reduction.js";
import { permute, reshape } from "./movement.js";
import { asTensor } from "./operand.js";
import { sum } from "./reduce.js";
import { add, cast, mul, neg, requireFloat } from "./scalar.js";
import { logSoftmax } from "./softmax.js";

/** Options of {@link nllLoss}. */
export interface NllLossOptions {
  /** One factor per class, [C]; no gradient goes to it. */
  readonly weight?: Tensor | null;
  /** Rows with this label cost nothing and do not count in the mean; -100 by default. */
  readonly ignoreIndex?: number;
  /** "mean" (the default) divides by the sum of the weights of the labels, "none" gives one loss per label. */
  readonly reduction?: Reduction;
}

/** Options of {@link crossEntropy}. */
export interface CrossEntropyOptions extends NllLossOptions {
  /** Share of the target that is spread evenly over all classes, 0 to 1; 0 by default (Szegedy et al., 2016). */
  readonly labelSmoothing?: number;
}

/** The class dim: 1, or 0 for a single sample. */
const classDim = (input: Tensor): number => (input.ndim === 1 ? 0 : 1);

const reductions = ["none", "mean", "sum"] as const;

function checkInput(name: string, input: Tensor, { weight, reduction = "mean", ignoreIndex = -100 }: NllLossOptions) {
  requireFloat(name, "input", asTensor(name, "input", input));
  if (input.ndim === 0) throw new GraftError("shape", `${name}: input is a scalar. It must be [C], [B, C] or [B, C, d1, ...].`);
  const classes = input.shape[classDim(input)];
  if (weight && !sameShape(asTensor(name, "weight", weight).shape, [classes])) {
    throw new GraftError("shape", `${name}: weight is ${showShape(weight.shape)}, input ${showShape(input.shape)}. The weight needs one value per class: [${classes}].`);
  }
  if (weight?.requiresGrad) throw new GraftError("gradient", `${name}: weight wants a gradient, but the loss has none for it. Pass weight.detach().`);
  return { classes, reduction: checkChoice(name, "reduction", reduction, reductions), ignoreIndex: checkNumber(name, "ignoreIndex", ignoreIndex, { whole: true }) };
}

/** The loss of class labels: input [B, C, d...] is a cube [B, C, d * ...], of whose columns the loss is taken, or becomes rows [B * d..., C] where no kernel does that. */
function labelLoss(name: LabelLossAttrs["name"], input: Tensor, target: Tensor, options: NllLossOptions, smoothing: number): Tensor {
  const { classes, reduction, ignoreIndex } = checkInput(name, input, options);
  const expected: Shape = input.shape.filter((_, d) => d !== classDim(input));
  if (!sameShape(target.shape, expected)) {
    throw new GraftError("shape", `${name}: target is ${showShape(target.shape)}, input ${showShape(input.shape)}. Class labels must be ${showShape(expected)}: input's shape without its class dim.`);
  }
  if (isFloat(target.dtype)) throw new GraftError("dtype", `${name}: target is ${target.dtype} ${showShape(target.shape)}, but class labels are integers. Use target.to("i32").`);
  const dtype = computeDType(input.dtype);
  const isCube = input.ndim > 2 && takesCubes({ name, smoothing });
  const last = isCube || input.ndim < 3 ? input : permute(input, [0, ...expected.slice(1).map((_, d) => d + 2), 1]); // [B, d..., C]
  const rows = reshape(cast(last, dtype), isCube ? [expected[0], classes, sizeOf(expected.slice(1))] : [sizeOf(expected), classes]);
  const weights = options.weight ? [cast(options.weight, dtype)] : [];
  const [loss] = recordMany(labelLossOp, [rows, cast(target, "i32"), ...weights], { name, ignoreIndex, smoothing, reduction, firstRow: 0 });
  return cast(loss, input.dtype);
}

/** The loss of probabilities: -sum_c w_c q_c ln p_c with q = (1 - s) target + s / C; the mean is over samples. */
function denseLoss(input: Tensor, target: Tensor, options: CrossEntropyOptions, smoothing: number): Tensor {
  const { classes, reduction } = checkInput("crossEntropy", input, options);
  const dim = classDim(input);
  const smooth = smoothing === 0 ? target : add(mul(target, 1 - smoothing), smoothing / classes);
  let cost = mul(logSoftmax(input, dim), cast(smooth, input.dtype));
  if (options.weight) cost = mul(cost, reshape(cast(options.weight, input.dtype), [classes, ...new Array<number>(Math.max(0, input.ndim - 2)).fill(1)]));
  if (reduction === "none") return neg(sum(cost, { dim }));
  return mul(sum(cost), reduction === "sum" ? -1 : -classes / input.size);
}

/**
 * Cross entropy of logits, -ln softmax(input)[target]: input [B, C], [B, C, d1, ...] or [C].
 * `target` holds class labels (integers, input's shape without C) or probabilities (floats, input's shape).
 *
 * The mean divides by the sum of the labels' weights; when all rows are ignored it is NaN, as in PyTorch. A label that names no class is an error
 * of code `index` when the loss is computed.
 * @throws GraftError `shape`, `dtype` or `argument` when inputs do not fit.
 * @example F.crossEntropy(tensor([[2, 0]]), tensor([0], { dtype: "i32" })); // ln(1 + e^-2) = 0.1269
 */
export function crossEntropy(input: Tensor, target: Tensor, options: CrossEntropyOptions = {}): Tensor {
  checkOptions("crossEntropy", options, ["weight", "ignoreIndex", "labelSmoothing", "reduction"]);
  const smoothing = checkNumber("crossEntropy", "labelSmoothing", options.labelSmoothing ?? 0, { min: 0, max: 1 });
  asTensor("crossEntropy", "input", input);
  if (!isFloat(asTensor("crossEntropy", "target", target).dtype) || !sameShape(input.shape, target.shape)) return labelLoss("crossEntropy", input, target, options, smoothing);
  if (options.ignoreIndex !== undefined && options.ignoreIndex >= 0) {
    throw new GraftError("argument", `crossEntropy: ignoreIndex is ${options.ignoreIndex}, but the target holds probabilities. Leave it out, or pass class labels as i32.`);
  }
  return denseLoss(input, target, options, smoothing);
}

/**
 * Negative log likelihood, -input[target]: input holds log probabilities [B, C], [B, C, d1, ...] or [C]; target holds class labels.
 * The mean divides by the sum of the labels' weights.
 * @throws GraftError `shape`, `dtype` or `argument` when inputs do not fit; `index`, when computed, for a label that names no class.
 * @example F.nllLoss(F.logSoftmax(x, 1), labels); // the same as F.crossEntropy(x, labels)
 */
export function nllLoss(input: Tensor, target: Tensor, options: NllLossOptions = {}): Tensor {
  checkOptions("nllLoss", options, ["weight", "ignoreIndex", "reduction"]);
  return labelLoss("nllLoss", input, asTensor("nllLoss", "target", target), options, 0);
}
