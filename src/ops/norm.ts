import { checkNumber, checkOptions, GraftError } from "../base/index.js";
import { computeDType, recordMany, sameShape, showShape, sizeOf, type DType, type Shape, type Tensor } from "../graph/index.js";
import { checkPerChannel, requireChannels } from "./channels.js";
import { groupNormOp } from "./group-norm-ops.js";
import { reshape } from "./movement.js";
import { normOp } from "./norm-ops.js";
import { asTensor } from "./operand.js";
import { cast, requireFloat } from "./scalar.js";

/** Options of {@link layerNorm} and {@link rmsNorm}. */
export interface NormOptions {
  /** Added under the root so that nothing is divided by 0. Layer norm: 1e-5; RMS norm: the spacing of x's dtype at 1, as in PyTorch. */
  readonly eps?: number;
  /** The trailing dims to normalise over, where no weight (or bias) gives them. */
  readonly normalizedShape?: Shape;
}

/** Spacing of floats at 1, PyTorch's `finfo(dtype).eps`. */
const machineEpsilon = (dtype: DType): number => 2 ** -(dtype === "f64" ? 52 : dtype === "f32" ? 23 : dtype === "f16" ? 10 : 7);

/** Normalises the rows of `x` seen as [rows, n]; w and b are [n]. The result has x's shape and dtype. */
function normaliseRows(x: Tensor, n: number, centred: boolean, eps: number, w: Tensor | null | undefined, b: Tensor | null | undefined): Tensor {
  const dtype = computeDType(x.dtype);
  const rows = reshape(cast(x, dtype), [n === 0 ? 0 : x.size / n, n]);
  const parameters = [w, b].flatMap((p) => (p ? [reshape(cast(p, dtype), [n])] : []));
  const [y] = recordMany(normOp, [rows, ...parameters], { centred, eps, weight: Boolean(w), bias: Boolean(b) });
  return cast(reshape(y, x.shape), x.dtype);
}

function trailingNorm(name: string, x: Tensor, w: Tensor | null | undefined, b: Tensor | null | undefined, options: NormOptions, centred: boolean, eps: number): Tensor {
  checkOptions(name, options, ["eps", "normalizedShape"]);
  requireFloat(name, "x", asTensor(name, "x", x));
  if (w) asTensor(name, "weight", w);
  if (b) asTensor(name, "bias", b);
  const over = options.normalizedShape ?? w?.shape ?? b?.shape;
  if (over === undefined) throw new GraftError("argument", `${name}: neither a weight nor normalizedShape says which dims to normalise over. Pass { normalizedShape: [${x.shape[x.ndim - 1] ?? ""}] }.`);
  if (over.length === 0 || !sameShape(x.shape.slice(Math.max(0, x.ndim - over.length)), over)) {
    throw new GraftError("shape", `${name}: x is ${showShape(x.shape)}, the normalised shape ${showShape(over)}. It must be the last dims of x.`);
  }
  for (const [label, p] of [["weight", w], ["bias", b]] as const) {
    if (p && !sameShape(p.shape, over)) throw new GraftError("shape", `${name}: ${label} is ${showShape(p.shape)}, the normalised shape ${showShape(over)}. They must be equal.`);
  }
  return normaliseRows(x, sizeOf(over), centred, checkNumber(name, "eps", eps, { min: 0 }), w, b);
}

/**
 * Layer norm, (x - mean) / sqrt(var + eps) * weight + bias (Ba et al., 2016), over the last dims: those of the weight's shape (or `normalizedShape`).
 * The variance is the biased one. Same shape as x.
 * @throws GraftError `shape` when the weight or bias does not have the shape of x's last dims.
 * @example F.layerNorm(x, weight, bias, { eps: 1e-5 }); // x [B, T, C], weight and bias [C]
 */
export function layerNorm(x: Tensor, weight?: Tensor | null, bias?: Tensor | null, options: NormOptions = {}): Tensor {
  return trailingNorm("layerNorm", x, weight, bias, options, true, options.eps ?? 1e-5);
}

/**
 * RMS norm, x / sqrt(mean(x^2) + eps) * weight (Zhang and Sennrich, 2019), over the last dims: those of the weight's shape (or `normalizedShape`).
 * @throws GraftError `shape` when the weight does not have the shape of x's last dims.
 * @example F.rmsNorm(x, weight, { eps: 1e-6 }); // x [B, T, C], weight [C]
 */
export function rmsNorm(x: Tensor, weight?: Tensor | null, options: NormOptions = {}): Tensor {
  return trailingNorm("rmsNorm", x, weight, null, options, false, options.eps ?? machineEpsilon(asTensor("rmsNorm", "x", x).dtype));
}

/**
 * Group norm (Wu and He, 2018): the channels of x [B, C, ...] in `groups` groups, each normalised by its own mean and variance within one sample;
 * then weight and bias [C] per channel.
 * @throws GraftError `shape` when `groups` does not divide C or a parameter is not [C].
 * @example F.groupNorm(x, 4, weight, bias); // x [B, 16, H, W], weight and bias [16]
 */
export function groupNorm(x: Tensor, groups: number, weight?: Tensor | null, bias?: Tensor | null, options: { readonly eps?: number } = {}): Tensor {
  checkOptions("groupNorm", options, ["eps"]);
  requireChannels("groupNorm", x, 2);
  checkNumber("groupNorm", "groups", groups, { min: 1, whole: true });
  const [batch, channels] = x.shape;
  if (channels % groups !== 0) throw new GraftError("shape", `groupNorm: ${groups} groups do not divide the ${channels} channels of x ${showShape(x.shape)}. Use a divisor of ${channels}.`);
  const eps = checkNumber("groupNorm", "eps", options.eps ?? 1e-5, { min: 0 });
  for (const [label, p] of [["weight", weight], ["bias", bias]] as const) if (p) checkPerChannel("groupNorm", label, x, p);
  const dtype = computeDType(x.dtype);
  const parameters = [weight, bias].flatMap((p) => (p ? [cast(p, dtype)] : []));
  const images = reshape(cast(x, dtype), [batch, channels, sizeOf(x.shape.slice(2))]);
  const [y] = recordMany(groupNormOp, [images, ...parameters], { groups, eps, weight: Boolean(weight), bias: Boolean(bias) });
  return cast(reshape(y, x.shape), x.dtype);
}
