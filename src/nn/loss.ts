import type { Tensor } from "../graph/index.js";
import { F } from "../ops/index.js";
import { Module } from "./module.js";

type Options<F extends (...args: never[]) => unknown> = NonNullable<Parameters<F>[2]>;

/* Each loss is the function of F with its options fixed; the function checks them. */

/** The mean of -ln softmax(input)[target] over the batch: input [B, C, ...], target [B, ...] of class numbers, or probabilities [B, C, ...]. */
export class CrossEntropyLoss extends Module {
  constructor(readonly options: Options<typeof F.crossEntropy> = {}) {
    super();
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return F.crossEntropy(input, target, this.options);
  }
}

/** The mean of -input[target]: input are log-probabilities [B, C, ...], target class numbers [B, ...]. */
export class NLLLoss extends Module {
  constructor(readonly options: Options<typeof F.nllLoss> = {}) {
    super();
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return F.nllLoss(input, target, this.options);
  }
}

/** The mean of (input - target)^2. */
export class MSELoss extends Module {
  constructor(readonly options: Options<typeof F.mseLoss> = {}) {
    super();
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return F.mseLoss(input, target, this.options);
  }
}

/** The mean of |input - target|. */
export class L1Loss extends Module {
  constructor(readonly options: Options<typeof F.l1Loss> = {}) {
    super();
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return F.l1Loss(input, target, this.options);
  }
}

/** Quadratic below `beta`, linear above (Girshick 2015). */
export class SmoothL1Loss extends Module {
  constructor(readonly options: Options<typeof F.smoothL1Loss> = {}) {
    super();
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return F.smoothL1Loss(input, target, this.options);
  }
}

/** Quadratic below `delta`, linear above (Huber 1964). */
export class HuberLoss extends Module {
  constructor(readonly options: Options<typeof F.huberLoss> = {}) {
    super();
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return F.huberLoss(input, target, this.options);
  }
}

/** The mean of -(t ln p + (1 - t) ln(1 - p)) for probabilities. */
export class BCELoss extends Module {
  constructor(readonly options: Options<typeof F.binaryCrossEntropy> = {}) {
    super();
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return F.binaryCrossEntropy(input, target, this.options);
  }
}

/** {@link BCELoss} of sigmoid(input), without overflow. */
export class BCEWithLogitsLoss extends Module {
  constructor(readonly options: Options<typeof F.binaryCrossEntropyWithLogits> = {}) {
    super();
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return F.binaryCrossEntropyWithLogits(input, target, this.options);
  }
}

/** The mean of target * (ln target - input): input are log-probabilities. */
export class KLDivLoss extends Module {
  constructor(readonly options: Options<typeof F.klDiv> = {}) {
    super();
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return F.klDiv(input, target, this.options);
  }
}

/** The mean of ln(1 + e^(-target * input)) for targets 1 and -1. */
export class SoftMarginLoss extends Module {
  constructor(readonly options: Options<typeof F.softMarginLoss> = {}) {
    super();
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return F.softMarginLoss(input, target, this.options);
  }
}

/** input where the target is 1, max(0, margin - input) where it is -1. */
export class HingeEmbeddingLoss extends Module {
  constructor(readonly options: Options<typeof F.hingeEmbeddingLoss> = {}) {
    super();
  }
  forward(input: Tensor, target: Tensor): Tensor {
    return F.hingeEmbeddingLoss(input, target, this.options);
  }
}

/** 1 - cos(a, b) where the target is 1, max(0, cos(a, b) - margin) where it is -1. */
export class CosineEmbeddingLoss extends Module {
  constructor(readonly options: NonNullable<Parameters<typeof F.cosineEmbeddingLoss>[3]> = {}) {
    super();
  }
  forward(a: Tensor, b: Tensor, target: Tensor): Tensor {
    return F.cosineEmbeddingLoss(a, b, target, this.options);
  }
}

/** max(0, d(anchor, positive) - d(anchor, negative) + margin) (Balntas et al. 2016). */
export class TripletMarginLoss extends Module {
  constructor(readonly options: NonNullable<Parameters<typeof F.tripletMarginLoss>[3]> = {}) {
    super();
  }
  forward(anchor: Tensor, positive: Tensor, negative: Tensor): Tensor {
    return F.tripletMarginLoss(anchor, positive, negative, this.options);
  }
}

/** Connectionist temporal classification (Graves et al. 2006): log-probabilities [T, B, V], targets [B, S], lengths. */
export class CTCLoss extends Module {
  constructor(readonly options: NonNullable<Parameters<typeof F.ctcLoss>[4]> = {}) {
    super();
  }
  forward(logProbs: Tensor, targets: Tensor, inputLengths: Parameters<typeof F.ctcLoss>[2], targetLengths: Parameters<typeof F.ctcLoss>[3]): Tensor {
    return F.ctcLoss(logProbs, targets, inputLengths, targetLengths, this.options);
  }
}
