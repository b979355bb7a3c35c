import { checkChoice, GraftError } from "../base/index.js";
import { sameShape, showShape, type Tensor } from "../graph/index.js";
import { asTensor, operands, toFloat } from "./operand.js";
import { mean, sum } from "./reduce.js";

/** What a loss does with its values: keep one per element, average them (the default) or add them up. */
export type Reduction = "none" | "mean" | "sum";

/** Options that every loss has. */
export interface LossOptions {
  readonly reduction?: Reduction;
}

/** Applies a loss's `reduction`. */
export function reduceLoss(op: string, values: Tensor, reduction: Reduction = "mean"): Tensor {
  const how = checkChoice(op, "reduction", reduction, ["none", "mean", "sum"]);
  return how === "none" ? values : how === "mean" ? mean(values) : sum(values);
}

/** Input and target as floats of one dtype. Their shapes must be equal: [64, 1] against [64] would silently become [64, 64]. */
export function lossPair(op: string, input: Tensor, target: Tensor): [Tensor, Tensor] {
  asTensor(op, "input", input);
  if (!sameShape(input.shape, asTensor(op, "target", target).shape)) {
    throw new GraftError("shape", `${op}: input is ${showShape(input.shape)}, target is ${showShape(target.shape)}. Shapes must be equal: use reshape or expand on the target.`);
  }
  const [x, y] = operands(op, toFloat(input), target);
  return [x, y];
}
