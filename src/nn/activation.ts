import { checkOptions } from "../base/index.js";
import type { Tensor } from "../graph/index.js";
import { F } from "../ops/index.js";
import { constantParameter } from "./fresh.js";
import { Module } from "./module.js";
import type { Parameter } from "./parameter.js";

/** max(x, 0) */
export class ReLU extends Module {
  forward(x: Tensor): Tensor {
    return F.relu(x);
  }
}

/** min(max(x, 0), 6) */
export class ReLU6 extends Module {
  forward(x: Tensor): Tensor {
    return F.relu6(x);
  }
}

/** x where x > 0, negativeSlope * x elsewhere. */
export class LeakyReLU extends Module {
  constructor(readonly negativeSlope = 0.01) {
    super();
  }
  forward(x: Tensor): Tensor {
    return F.leakyRelu(x, { negativeSlope: this.negativeSlope });
  }
}

/** Leaky ReLU with a learnt slope, one for all or one per channel of [B, C, ...] (He et al., "Delving deep into rectifiers", 2015). */
export class PReLU extends Module {
  weight: Parameter;
  constructor(options: { readonly numParameters?: number; readonly init?: number } = {}) {
    super();
    checkOptions("PReLU", options, ["numParameters", "init"]);
    this.weight = constantParameter([options.numParameters ?? 1], options.init ?? 0.25);
  }
  forward(x: Tensor): Tensor {
    return F.prelu(x, this.weight);
  }
}

/** x * Phi(x), exact or with the tanh approximation (Hendrycks and Gimpel, "Gaussian error linear units", 2016). */
export class GELU extends Module {
  readonly approximate: "none" | "tanh";
  constructor(options: { readonly approximate?: "none" | "tanh" } = {}) {
    super();
    checkOptions("GELU", options, ["approximate"]);
    this.approximate = options.approximate ?? "none";
  }
  forward(x: Tensor): Tensor {
    return F.gelu(x, { approximate: this.approximate });
  }
}

/** x * sigmoid(x) */
export class SiLU extends Module {
  forward(x: Tensor): Tensor {
    return F.silu(x);
  }
}

/** x * tanh(softplus(x)) (Misra 2019). */
export class Mish extends Module {
  forward(x: Tensor): Tensor {
    return F.mish(x);
  }
}

/** ln(1 + e^(beta x)) / beta, linear above `threshold`. */
export class Softplus extends Module {
  readonly beta: number;
  readonly threshold: number;
  constructor(options: { readonly beta?: number; readonly threshold?: number } = {}) {
    super();
    checkOptions("Softplus", options, ["beta", "threshold"]);
    this.beta = options.beta ?? 1;
    this.threshold = options.threshold ?? 20;
  }
  forward(x: Tensor): Tensor {
    return F.softplus(x, { beta: this.beta, threshold: this.threshold });
  }
}

/** x / (1 + |x|) */
export class Softsign extends Module {
  forward(x: Tensor): Tensor {
    return F.softsign(x);
  }
}

/** x where x > 0, alpha (e^x - 1) elsewhere (Clevert et al. 2015). */
export class ELU extends Module {
  constructor(readonly alpha = 1) {
    super();
  }
  forward(x: Tensor): Tensor {
    return F.elu(x, { alpha: this.alpha });
  }
}

/** ELU scaled so that activations normalise themselves (Klambauer et al. 2017). */
export class SELU extends Module {
  forward(x: Tensor): Tensor {
    return F.selu(x);
  }
}

/** 1 / (1 + e^-x) */
export class Sigmoid extends Module {
  forward(x: Tensor): Tensor {
    return F.sigmoid(x);
  }
}

/** ln(sigmoid(x)) */
export class LogSigmoid extends Module {
  forward(x: Tensor): Tensor {
    return F.logSigmoid(x);
  }
}

/** Hyperbolic tangent. */
export class Tanh extends Module {
  forward(x: Tensor): Tensor {
    return F.tanh(x);
  }
}

/** x clamped to [minVal, maxVal]. */
export class Hardtanh extends Module {
  constructor(
    readonly minVal = -1,
    readonly maxVal = 1,
  ) {
    super();
  }
  forward(x: Tensor): Tensor {
    return F.hardtanh(x, { minVal: this.minVal, maxVal: this.maxVal });
  }
}

/** x * relu6(x + 3) / 6 (Howard et al. 2019). */
export class Hardswish extends Module {
  forward(x: Tensor): Tensor {
    return F.hardswish(x);
  }
}

/** relu6(x + 3) / 6 */
export class Hardsigmoid extends Module {
  forward(x: Tensor): Tensor {
    return F.hardsigmoid(x);
  }
}

/** The first half along `dim` times the sigmoid of the second (Dauphin et al. 2016). */
export class GLU extends Module {
  constructor(readonly dim = -1) {
    super();
  }
  forward(x: Tensor): Tensor {
    return F.glu(x, { dim: this.dim });
  }
}

/** e^x / sum e^x along `dim`. */
export class Softmax extends Module {
  constructor(readonly dim = -1) {
    super();
  }
  forward(x: Tensor): Tensor {
    return F.softmax(x, this.dim);
  }
}

/** ln(softmax(x)) along `dim`. */
export class LogSoftmax extends Module {
  constructor(readonly dim = -1) {
    super();
  }
  forward(x: Tensor): Tensor {
    return F.logSoftmax(x, this.dim);
  }
}
