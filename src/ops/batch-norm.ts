import { checkNumber, checkOptions, GraftError } from "../base/index.js";
import { computeDType, noGrad, recordMany, showShape, Tensor } from "../graph/index.js";
import { assign } from "./assign.js";
import { batchNormOp } from "./batch-norm-ops.js";
import { channelAffine, checkPerChannel, perChannel, requireChannels } from "./channels.js";
import { reshape } from "./movement.js";
import { mean } from "./reduce.js";
import { add, cast, mul, rsqrt, sub } from "./scalar.js";

/** Options of {@link batchNorm}. */
export interface BatchNormOptions {
  /** Normalise by the batch's own statistics and update the running ones; false by default. */
  readonly training?: boolean;
  /** Weight of the new statistics in the running ones: running = (1 - momentum) running + momentum new. 0.1 by default; a 0-d tensor may change from step to step. */
  readonly momentum?: number | Tensor;
  /** Added to the variance; 1e-5 by default. */
  readonly eps?: number;
}

/** Options of {@link instanceNorm}. */
export interface InstanceNormOptions {
  readonly weight?: Tensor | null;
  readonly bias?: Tensor | null;
  readonly eps?: number;
  readonly runningMean?: Tensor | null;
  readonly runningVar?: Tensor | null;
  readonly momentum?: number | Tensor;
  /** Normalise by each instance's own statistics (the default); false uses the running ones. */
  readonly useInputStats?: boolean;
}

type Maybe = Tensor | null | undefined;

/** running = (1 - momentum) running + momentum value, in place. */
function updateRunning(running: Maybe, value: Tensor, momentum: number | Tensor): void {
  if (!running) return;
  const kept = mul(running, momentum instanceof Tensor ? sub(1, momentum) : 1 - momentum);
  assign(running, add(kept, mul(cast(value, running.dtype), momentum)));
}

/** x [B, C, S] by the statistics of its channels; updates the running ones, to which each of `instances` groups of channels contributes alike. */
function byOwnStatistics(x: Tensor, instances: number, weight: Maybe, bias: Maybe, eps: number, runningMean: Maybe, runningVar: Maybe, momentum: number | Tensor): Tensor {
  const parameters = [weight, bias].flatMap((p) => (p ? [cast(p, x.dtype)] : []));
  const [y, middle, variance] = recordMany(batchNormOp, [x, ...parameters], { eps, weight: Boolean(weight), bias: Boolean(bias) });
  // A recomputation for a checkpoint sees the same batch a second time and must not count it again.
  if ((runningMean || runningVar) && x.size > 0 && y.node.recompute === 0) {
    noGrad(() => {
      const count = x.shape[0] * x.shape[2];
      const average = (p: Tensor): Tensor => (instances === 1 ? p : mean(reshape(p, [instances, p.size / instances]), { dim: 0 }));
      updateRunning(runningMean, average(middle), momentum);
      updateRunning(runningVar, mul(average(variance), count / (count - 1)), momentum); // the unbiased variance, as in PyTorch
    });
  }
  return y;
}

/** (x - runningMean) / sqrt(runningVar + eps) * weight + bias; the planner fuses it. */
function byRunningStatistics(name: string, x: Tensor, runningMean: Maybe, runningVar: Maybe, weight: Maybe, bias: Maybe, eps: number): Tensor {
  if (!runningMean || !runningVar) throw new GraftError("argument", `${name}: there are no running statistics to normalise by. Pass runningMean and runningVar, or normalise by the input's own.`);
  const r = rsqrt(add(runningVar, eps));
  return channelAffine(name, mul(sub(x, perChannel(x, runningMean)), perChannel(x, r)), weight, bias);
}

function checkAll(name: string, x: Tensor, leastRank: number, runningMean: Maybe, runningVar: Maybe, weight: Maybe, bias: Maybe, eps: number, momentum: number | Tensor): void {
  requireChannels(name, x, leastRank);
  for (const [label, p] of [["runningMean", runningMean], ["runningVar", runningVar], ["weight", weight], ["bias", bias]] as const) if (p) checkPerChannel(name, label, x, p);
  checkNumber(name, "eps", eps, { min: 0 });
  if (!(momentum instanceof Tensor)) checkNumber(name, "momentum", momentum, { min: 0, max: 1 });
}

/**
 * Batch norm, (x - mean) / sqrt(var + eps) * weight + bias per channel (Ioffe and Szegedy, 2015): x is [B, C] or [B, C, d1, ...], all others [C].
 *
 * In training mean and (biased) variance are those of the batch, and `runningMean` and `runningVar` (unbiased) are updated in place unless null, by the
 * next step that computes anything. Otherwise the running ones are used.
 * @throws GraftError `shape` when a parameter is not [C] or training sees one value per channel only; `argument` without the statistics that are needed.
 * @example F.batchNorm(x, runningMean, runningVar, weight, bias, { training: true });
 */
export function batchNorm(x: Tensor, runningMean: Maybe, runningVar: Maybe, weight?: Maybe, bias?: Maybe, options: BatchNormOptions = {}): Tensor {
  checkOptions("batchNorm", options, ["training", "momentum", "eps"]);
  const { training = false, momentum = 0.1, eps = 1e-5 } = options;
  checkAll("batchNorm", x, 2, runningMean, runningVar, weight, bias, eps, momentum);
  const wide = cast(x, computeDType(x.dtype));
  if (!training) return cast(byRunningStatistics("batchNorm", wide, runningMean, runningVar, weight, bias, eps), x.dtype);
  const [batch, channels] = x.shape;
  const count = channels === 0 ? 0 : x.size / channels;
  if (count < 2 && x.size > 0) throw new GraftError("shape", `batchNorm: x is ${showShape(x.shape)}: training needs more than one value per channel. Use a larger batch, or training: false.`);
  const cube = reshape(wide, [batch, channels, batch === 0 ? 0 : count / batch]);
  return cast(reshape(byOwnStatistics(cube, 1, weight, bias, eps, runningMean, runningVar, momentum), x.shape), x.dtype);
}

/**
 * Instance norm (Ulyanov et al., 2016): every channel of every sample of x [B, C, d1, ...] by its own mean and variance, then weight and bias [C].
 * Running statistics, where given, follow the average over the samples.
 * @throws GraftError `shape` when a parameter is not [C] or a channel has one value only; `argument` without the statistics that are needed.
 * @example F.instanceNorm(x, { eps: 1e-5 });
 */
export function instanceNorm(x: Tensor, options: InstanceNormOptions = {}): Tensor {
  checkOptions("instanceNorm", options, ["weight", "bias", "eps", "runningMean", "runningVar", "momentum", "useInputStats"]);
  const { weight, bias, eps = 1e-5, runningMean, runningVar, momentum = 0.1, useInputStats = true } = options;
  checkAll("instanceNorm", x, 3, runningMean, runningVar, weight, bias, eps, momentum);
  const wide = cast(x, computeDType(x.dtype));
  if (!useInputStats) return cast(byRunningStatistics("instanceNorm", wide, runningMean, runningVar, weight, bias, eps), x.dtype);
  const [batch, channels] = x.shape;
  const inner = x.shape.slice(2).reduce((n, size) => n * size, 1);
  if (inner === 1) throw new GraftError("shape", `instanceNorm: x is ${showShape(x.shape)}: each channel of a sample has one value only. It needs more than one.`);
  const cube = reshape(wide, [1, batch * channels, inner]); // every instance is a channel of its own
  const y = reshape(byOwnStatistics(cube, batch, null, null, eps, runningMean, runningVar, momentum), x.shape);
  return cast(channelAffine("instanceNorm", y, weight, bias), x.dtype);
}
