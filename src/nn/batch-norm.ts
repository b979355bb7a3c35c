import { checkNumber, checkOptions, GraftError } from "../base/index.js";
import { noGrad, showShape, type Tensor } from "../graph/index.js";
import { add, assign, cast, F, reciprocal } from "../ops/index.js";
import { checkSize, constantBuffer, constantParameter } from "./fresh.js";
import { Module } from "./module.js";
import type { Parameter } from "./parameter.js";

/** Options of batch and instance norm. */
export interface BatchNormOptions {
  /** Added to the variance. Default: 1e-5. */
  readonly eps?: number;
  /** Share of the new batch in the running statistics; null takes the plain average over all batches. Default: 0.1. */
  readonly momentum?: number | null;
  /** Learns a scale and shift per channel. Default: true, for instance norm false. */
  readonly affine?: boolean;
  /** Keeps running statistics, which evaluation uses. Default: true, for instance norm false. */
  readonly trackRunningStats?: boolean;
}

const known = ["eps", "momentum", "affine", "trackRunningStats"] as const;

/** Parameters and statistics per channel, for norms over the batch or over single samples. */
abstract class StatisticsNorm extends Module {
  weight: Parameter | null;
  bias: Parameter | null;
  running_mean: Tensor | null;
  running_var: Tensor | null;
  num_batches_tracked: Tensor | null;
  readonly eps: number;
  readonly momentum: number | null;

  constructor(
    private readonly ranks: readonly number[],
    readonly numFeatures: number,
    options: BatchNormOptions,
    byDefault: boolean,
  ) {
    super();
    const name = new.target.name;
    checkOptions(name, options, known);
    checkSize(name, "numFeatures", numFeatures);
    this.eps = checkNumber(name, "eps", options.eps ?? 1e-5, { min: 0 });
    this.momentum = options.momentum === null ? null : checkNumber(name, "momentum", options.momentum ?? 0.1, { min: 0, max: 1 });
    const affine = options.affine ?? byDefault;
    this.weight = affine ? constantParameter([numFeatures], 1) : null;
    this.bias = affine ? constantParameter([numFeatures], 0) : null;
    const track = options.trackRunningStats ?? byDefault;
    this.running_mean = track ? constantBuffer([numFeatures], 0) : null;
    this.running_var = track ? constantBuffer([numFeatures], 1) : null;
    this.num_batches_tracked = track ? constantBuffer([], 0, "i32") : null;
  }

  protected checkInput(x: Tensor): void {
    if (this.ranks.includes(x.ndim) && x.shape[1] === this.numFeatures) return;
    throw new GraftError("shape", `${this.constructor.name}: x is ${showShape(x.shape)}. It must have ${this.ranks.join(" or ")} dims with ${this.numFeatures} channels in dim 1.`);
  }

  /** Counts the batch and returns the share that it has in the running statistics. */
  protected countBatch(): number | Tensor {
    const counter = this.num_batches_tracked;
    if (counter === null) return this.momentum ?? 0;
    noGrad(() => assign(counter, add(counter, 1)));
    return this.momentum ?? reciprocal(cast(counter, "f32")); // the plain average: 1 / n
  }
}

/** Batch norm; in training by the batch's statistics, in evaluation by the running ones (by the batch's where none are kept). */
abstract class BatchNorm extends StatisticsNorm {
  forward(x: Tensor): Tensor {
    this.checkInput(x);
    const tracked = this.running_mean !== null;
    const training = this.training || !tracked;
    const momentum = this.training && tracked ? this.countBatch() : 0;
    return F.batchNorm(x, this.running_mean, this.running_var, this.weight, this.bias, { training, momentum, eps: this.eps });
  }
}

/**
 * (x - mean) / sqrt(var + eps) * weight + bias per channel of [B, C] or [B, C, T] (Ioffe and Szegedy, "Batch normalization", 2015).
 * @example
 * new nn.BatchNorm1d(32).forward(x); // [B, 32] -> [B, 32]
 */
export class BatchNorm1d extends BatchNorm {
  constructor(numFeatures: number, options: BatchNormOptions = {}) {
    super([2, 3], numFeatures, options, true);
  }
}

/**
 * The same per channel of [B, C, H, W].
 * @example
 * new nn.BatchNorm2d(32).forward(x); // [B, 32, H, W] -> [B, 32, H, W]
 */
export class BatchNorm2d extends BatchNorm {
  constructor(numFeatures: number, options: BatchNormOptions = {}) {
    super([4], numFeatures, options, true);
  }
}

/** Normalises every channel of every sample by its own statistics. */
abstract class InstanceNorm extends StatisticsNorm {
  forward(x: Tensor): Tensor {
    this.checkInput(x);
    const tracked = this.running_mean !== null;
    const useInputStats = this.training || !tracked;
    const momentum = this.training && tracked ? this.countBatch() : 0;
    const { weight, bias, eps } = this;
    return F.instanceNorm(x, { weight, bias, eps, runningMean: this.running_mean, runningVar: this.running_var, momentum, useInputStats });
  }
}

/** Normalises [B, C, T] over T, for each sample and channel (Ulyanov et al., "Instance normalization", 2016). */
export class InstanceNorm1d extends InstanceNorm {
  constructor(numFeatures: number, options: BatchNormOptions = {}) {
    super([3], numFeatures, options, false);
  }
}

/**
 * Normalises [B, C, H, W] over H and W, for each sample and channel (Ulyanov et al. 2016).
 * @example
 * new nn.InstanceNorm2d(32).forward(x); // [B, 32, H, W] -> [B, 32, H, W]
 */
export class InstanceNorm2d extends InstanceNorm {
  constructor(numFeatures: number, options: BatchNormOptions = {}) {
    super([4], numFeatures, options, false);
  }
}
