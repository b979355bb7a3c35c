import { checkNumber, GraftError } from "../base/index.js";
import { showShape, type Tensor } from "../graph/index.js";
import { add, assign, div, matmul, maximum, mul, sqrt, square, sub, sum, transpose } from "../ops/index.js";
import { checkAtLeastZero, checkBetas, decayed, lerp, lerpSquare } from "./math.js";
import { Optimizer, type BaseOptions, type ParamsInput, type Update } from "./optimizer.js";

/** Options of {@link Muon}. */
export interface MuonOptions extends BaseOptions {
  /** Weight decay apart from the gradient. Default: 0.1. */
  weightDecay: number;
  /** Default: 0.95. */
  momentum: number;
  /** Default: true. */
  nesterov: boolean;
  /** Coefficients of the quintic iteration. Default: [3.4445, -4.775, 2.0315]. */
  nsCoefficients: readonly [number, number, number];
  /** Least norm that a matrix is divided by. Default: 1e-7. */
  eps: number;
  /** Iterations. Default: 5. */
  nsSteps: number;
  /** `original`: lr sqrt(max(1, rows / cols)); `matchRmsAdamw`: 0.2 lr sqrt(max(rows, cols)), so that rates tuned for AdamW fit. Default: original. */
  adjustLr: "original" | "matchRmsAdamw";
  /** Whether 2-d parameters of this group are orthogonalised; put embeddings and output layers into a group with false. Default: true. */
  orthogonalize: boolean;
  /** AdamW for all other parameters of this group: its rate as a factor of lr, and its options. Defaults: 1 (matchRmsAdamw) or 0.3, [0.9, 0.95], 1e-8. */
  adamLrFactor: number | null;
  adamBetas: readonly [number, number];
  adamEps: number;
  /** Default: false. */
  maximize: boolean;
}

/**
 * Momentum whose update is orthogonalised by Newton-Schulz iterations, for the weight matrices of hidden layers (Jordan et al., "Muon: an optimizer for
 * hidden layers in neural networks", 2024; Liu et al., "Muon is scalable for LLM training", 2025). Parameters with another number of dims than two,
 * and groups with `orthogonalize: false`, take AdamW steps. Default lr: 1e-3.
 * @example
 * new optim.Muon([{ params: hidden }, { params: [...embeddings, ...heads], orthogonalize: false }], { lr: 0.02 });
 */
export class Muon extends Optimizer<MuonOptions> {
  constructor(params: ParamsInput<MuonOptions>, options: Partial<MuonOptions> = {}) {
    super(
      params,
      {
        lr: 1e-3, weightDecay: 0.1, momentum: 0.95, nesterov: true, nsCoefficients: [3.4445, -4.775, 2.0315], eps: 1e-7, nsSteps: 5, adjustLr: "original",
        orthogonalize: true, adamLrFactor: null, adamBetas: [0.9, 0.95], adamEps: 1e-8, maximize: false,
      },
      options,
    );
  }

  protected override checkGroup(group: MuonOptions): void {
    checkAtLeastZero("Muon", group, ["weightDecay", "momentum", "eps", "adamEps"]);
    checkBetas("Muon", group.adamBetas);
    checkNumber("Muon", "nsSteps", group.nsSteps, { min: 1, max: 99, whole: true });
    if (!["original", "matchRmsAdamw"].includes(group.adjustLr)) throw new GraftError("argument", `Muon: adjustLr is "${group.adjustLr}". Use "original" or "matchRmsAdamw".`);
  }

  protected update(update: Update<MuonOptions>): Tensor {
    const { param, grad, group, number, tensor } = update;
    const { nesterov, adjustLr, orthogonalize, nsCoefficients, nsSteps, eps } = group;
    if (param.ndim !== 2 || !orthogonalize) return this.adamw(update);
    const buffer = tensor("momentum_buffer");
    assign(buffer, lerp(buffer, grad, number(() => 1 - group.momentum)));
    const direction = newtonSchulz(nesterov ? lerp(grad, buffer, number(() => group.momentum)) : buffer, nsCoefficients, nsSteps, eps);
    const [rows, cols] = param.shape;
    const scale = adjustLr === "original" ? Math.sqrt(Math.max(1, rows / cols)) : 0.2 * Math.sqrt(Math.max(rows, cols));
    return sub(decayed(update), mul(mul(direction, scale), number(() => group.lr)));
  }

  private adamw(update: Update<MuonOptions>): Tensor {
    const { grad, group, number, tensor } = update;
    const { adamBetas: betas, adamEps } = group;
    const lr = (): number => group.lr * (group.adamLrFactor ?? (group.adjustLr === "original" ? 0.3 : 1));
    const [m, v] = [tensor("exp_avg"), tensor("exp_avg_sq")];
    assign(m, lerp(m, grad, 1 - betas[0]));
    assign(v, lerpSquare(v, grad, betas[1]));
    const denominator = add(div(sqrt(v), number(() => Math.sqrt(1 - betas[1] ** update.step))), adamEps);
    return sub(decayed(update, lr), mul(div(m, denominator), number(() => lr() / (1 - betas[0] ** update.step))));
  }
}

/**
 * A matrix with the singular vectors of x [rows, cols] and singular values pushed towards 1 (0.7 to 1.2 with the default coefficients):
 * X <- a X + (b A + c A^2) X with A = X X^T, from X = x / |x|.
 */
export function newtonSchulz(x: Tensor, [a, b, c]: readonly [number, number, number], steps: number, eps: number): Tensor {
  if (x.ndim !== 2) throw new GraftError("shape", `newtonSchulz: x is ${showShape(x.shape)}. It must have two dims.`);
  const tall = x.shape[0] > x.shape[1];
  const wide = tall ? transpose(x) : x; // the smaller side makes the smaller product A
  let y = div(wide, maximum(sqrt(sum(square(wide))), eps));
  for (let i = 0; i < steps; i++) {
    const gram = matmul(y, transpose(y));
    const polynomial = add(mul(gram, b), mul(matmul(gram, gram), c));
    y = add(mul(y, a), matmul(polynomial, y));
  }
  return tall ? transpose(y) : y;
}
