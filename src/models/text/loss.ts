import { GraftError } from "../../base/index.js";
import { isFloat, showShape, type Tensor } from "../../graph/index.js";
import { F } from "../../ops/index.js";

type Reduction = "mean" | "sum";

/** Labels of this value cost nothing. */
const ignored = -100;

function checkLabels(name: string, labels: Tensor, expected: readonly number[]): void {
  if (labels.shape.join() !== expected.join()) throw new GraftError("shape", `${name}: labels are ${showShape(labels.shape)}. They must be ${showShape(expected)}.`);
}

/** Cross entropy of each token against the same position's label; logits [B, T, V], labels [B, T]. */
export function tokenLoss(name: string, logits: Tensor, labels: Tensor, reduction: Reduction = "mean"): Tensor {
  const [B, T, V] = logits.shape;
  checkLabels(name, labels, [B, T]);
  return F.crossEntropy(F.reshape(logits, [B * T, V]), F.reshape(labels, [B * T]), { reduction, ignoreIndex: ignored });
}

/** Cross entropy of each token against the next position's label: the labels are the inputs themselves. */
export function nextTokenLoss(name: string, logits: Tensor, labels: Tensor, reduction: Reduction = "mean"): Tensor {
  const [B, T] = logits.shape;
  checkLabels(name, labels, [B, T]);
  // Shifting the labels leaves the logits whole: no copy of [B, T - 1, V].
  const next = F.pad(F.narrow(F.cast(labels, "i32"), 1, 1, T - 1), [0, 1], { value: ignored });
  return tokenLoss(name, logits, next, reduction);
}

/** What the labels of a sequence classifier are: Hugging Face's `problem_type`. */
export type ProblemType = "regression" | "single_label_classification" | "multi_label_classification";

/** The loss of a classifier of whole sequences; logits [B, classes]. Without a problem type it follows from the classes and the labels' dtype, as in Transformers. */
export function sequenceLoss(name: string, logits: Tensor, labels: Tensor, problem: ProblemType | null, reduction: Reduction = "mean"): Tensor {
  const [B, classes] = logits.shape;
  const kind = problem ?? (classes === 1 ? "regression" : isFloat(labels.dtype) ? "multi_label_classification" : "single_label_classification");
  if (kind === "single_label_classification") {
    checkLabels(name, labels, [B]);
    return F.crossEntropy(logits, labels, { reduction, ignoreIndex: ignored });
  }
  const target = F.cast(labels, logits.dtype);
  if (kind === "regression" && classes === 1 && labels.size === B) return F.mseLoss(F.reshape(logits, [B]), F.reshape(target, [B]), { reduction });
  checkLabels(name, labels, [B, classes]);
  return kind === "regression" ? F.mseLoss(logits, target, { reduction }) : F.binaryCrossEntropyWithLogits(logits, target, { reduction });
}
