import { checkNumber, checkOptions, GraftError } from "../base/index.js";
import { sameShape, showShape, type Tensor } from "../graph/index.js";
import { clamp } from "./activations.js";
import { pairwiseDistance } from "./distance.js";
import { gather, indexSelect } from "./gather.js";
import { lossPair, reduceLoss, type LossOptions } from "./loss-reduction.js";
import { reshape } from "./movement.js";
import { asTensor, operands, toFloat } from "./operand.js";
import { sum } from "./reduce.js";
import { add, cast, div, eq, minimum, mul, ne, neg, softplusOne, sqrt, square, sub, where } from "./scalar.js";
import { iota } from "./source.js";

/** max(x, 0) whose gradient at 0 is 1, as PyTorch's margin losses have it (relu's is 0). */
const hinge = (x: Tensor): Tensor => clamp(x, { min: 0 });

/**
 * Mean of ln(1 + e^(-target * input)) with targets 1 and -1.
 * @throws GraftError `shape` unless the shapes are equal.
 * @example F.softMarginLoss(score, tensor([1, -1]));
 */
export function softMarginLoss(input: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  checkOptions("softMarginLoss", options, ["reduction"]);
  const [x, y] = lossPair("softMarginLoss", input, target);
  return reduceLoss("softMarginLoss", softplusOne(neg(mul(y, x))), options.reduction);
}

/** Options of losses with a margin. */
export interface MarginOptions extends LossOptions {
  readonly margin?: number;
}

/**
 * input where target is 1, max(0, margin - input) where it is -1: for distances of like and unlike pairs. `margin` is 1 by default.
 * @throws GraftError `shape` unless the shapes are equal.
 * @example F.hingeEmbeddingLoss(distance, tensor([1, -1]));
 */
export function hingeEmbeddingLoss(input: Tensor, target: Tensor, options: MarginOptions = {}): Tensor {
  checkOptions("hingeEmbeddingLoss", options, ["reduction", "margin"]);
  const [x, y] = lossPair("hingeEmbeddingLoss", input, target);
  const margin = checkNumber("hingeEmbeddingLoss", "margin", options.margin ?? 1);
  const values = add(where(ne(y, 1), hinge(sub(margin, x)), 0), where(ne(y, -1), x, 0));
  return reduceLoss("hingeEmbeddingLoss", values, options.reduction);
}

/**
 * max(0, -target * (input1 - input2) + margin): target 1 asks that input1 ranks higher, -1 the opposite. `margin` is 0 by default.
 * @throws GraftError `shape` when the inputs' shapes differ.
 * @example F.marginRankingLoss(better, worse, tensor([1, 1]));
 */
export function marginRankingLoss(input1: Tensor, input2: Tensor, target: Tensor, options: MarginOptions = {}): Tensor {
  checkOptions("marginRankingLoss", options, ["reduction", "margin"]);
  const [a, b] = lossPair("marginRankingLoss", input1, input2);
  const margin = checkNumber("marginRankingLoss", "margin", options.margin ?? 0);
  const values = hinge(add(mul(neg(asTensor("marginRankingLoss", "target", target)), sub(a, b)), margin));
  return reduceLoss("marginRankingLoss", values, options.reduction);
}

/** Options of {@link tripletMarginLoss}. */
export interface TripletOptions extends MarginOptions {
  /** Order of the norm, 2 by default. */
  readonly p?: number;
  readonly eps?: number;
  /** Uses the distance of positive and negative where that is the smaller one (Balntas et al., 2016). */
  readonly swap?: boolean;
}

/**
 * max(0, d(anchor, positive) - d(anchor, negative) + margin) for [B, D] (Schroff et al., 2015); `margin` is 1 by default.
 * @throws GraftError `shape` when the shapes do not broadcast.
 * @example F.tripletMarginLoss(anchor, positive, negative, { margin: 0.2 });
 */
export function tripletMarginLoss(anchor: Tensor, positive: Tensor, negative: Tensor, options: TripletOptions = {}): Tensor {
  checkOptions("tripletMarginLoss", options, ["reduction", "margin", "p", "eps", "swap"]);
  const margin = checkNumber("tripletMarginLoss", "margin", options.margin ?? 1, { above: 0 });
  const distance = (a: Tensor, b: Tensor): Tensor => pairwiseDistance(a, b, { p: options.p ?? 2, eps: options.eps ?? 1e-6 });
  const near = distance(anchor, positive);
  let far = distance(anchor, negative);
  if (options.swap) far = minimum(far, distance(positive, negative));
  return reduceLoss("tripletMarginLoss", hinge(add(sub(near, far), margin)), options.reduction);
}

/**
 * 1 - cos(a, b) where target is 1, max(0, cos(a, b) - margin) where it is -1; a, b [B, D] with target [B], or [D] with a scalar. `margin` is 0 by default.
 * @throws GraftError `shape` when the shapes do not fit.
 * @example F.cosineEmbeddingLoss(a, b, tensor([1, -1]));
 */
export function cosineEmbeddingLoss(input1: Tensor, input2: Tensor, target: Tensor, options: MarginOptions = {}): Tensor {
  checkOptions("cosineEmbeddingLoss", options, ["reduction", "margin"]);
  const [a, b] = lossPair("cosineEmbeddingLoss", input1, input2);
  const margin = checkNumber("cosineEmbeddingLoss", "margin", options.margin ?? 0, { min: -1, max: 1 });
  if (a.ndim < 1 || a.ndim > 2 || !sameShape(asTensor("cosineEmbeddingLoss", "target", target).shape, a.shape.slice(0, -1))) {
    throw new GraftError("shape", `cosineEmbeddingLoss: inputs are ${showShape(a.shape)}, target is ${showShape(target.shape)}. Use [B, D] with [B], or [D] with a scalar target.`);
  }
  const dot = (x: Tensor, y: Tensor): Tensor => sum(mul(x, y), { dim: -1 });
  const power = (x: Tensor): Tensor => add(sum(square(x), { dim: -1 }), 1e-12); // keeps the root away from 0
  const cosine = div(dot(a, b), sqrt(mul(power(a), power(b))));
  const values = add(where(eq(target, 1), sub(1, cosine), 0), where(eq(target, -1), hinge(sub(cosine, margin)), 0));
  return reduceLoss("cosineEmbeddingLoss", values, options.reduction);
}

/** Options of {@link multiMarginLoss}. */
export interface MultiMarginOptions extends MarginOptions {
  /** 1 (default) or 2: the power of each violation. */
  readonly p?: 1 | 2;
  /** A factor per class [C], taken from the class of the target. */
  readonly weight?: Tensor;
}

/**
 * Sum over the wrong classes i of max(0, margin - x[y] + x[i])^p / C, for scores x [B, C] and class labels y [B]. `margin` is 1 by default.
 * @throws GraftError `shape` when shapes do not fit, `index` when a label is out of range (once computed).
 * @example F.multiMarginLoss(scores, labels);
 */
export function multiMarginLoss(input: Tensor, target: Tensor, options: MultiMarginOptions = {}): Tensor {
  checkOptions("multiMarginLoss", options, ["reduction", "margin", "p", "weight"]);
  const x = toFloat(asTensor("multiMarginLoss", "input", input));
  const { margin = 1, p = 1, weight } = options;
  if (p !== 1 && p !== 2) throw new GraftError("argument", `multiMarginLoss: p is ${String(p)}. Use 1 or 2.`);
  if (x.ndim < 1 || x.ndim > 2 || !sameShape(asTensor("multiMarginLoss", "target", target).shape, x.shape.slice(0, -1))) {
    throw new GraftError("shape", `multiMarginLoss: input is ${showShape(x.shape)}, target is ${showShape(target.shape)}. Use [B, C] with labels [B], or [C] with one label.`);
  }
  const classes = x.shape[x.ndim - 1];
  if (weight !== undefined && !sameShape(weight.shape, [classes])) throw new GraftError("shape", `multiMarginLoss: weight is ${showShape(weight.shape)}. It must be [${classes}], one per class.`);
  const label = reshape(target, [...target.shape, 1]); // [B, 1]
  const right = eq(cast(label, "i32"), iota(new Array<number>(x.ndim).fill(1).with(-1, classes), x.ndim - 1)); // [B, C], true at the target
  const violation = clamp(add(sub(x, gather(x, -1, label)), checkNumber("multiMarginLoss", "margin", margin)), { min: 0 });
  const powered = p === 1 ? violation : square(violation);
  const counted = where(right, 0, powered);
  const scaled = weight === undefined ? counted : mul(counted, operands("multiMarginLoss", reshape(indexSelect(weight, 0, reshape(target, [target.size])), label.shape), x)[0]);
  return reduceLoss("multiMarginLoss", mul(sum(scaled, { dim: -1 }), 1 / classes), options.reduction);
}
