import { GraftError } from "../base/index.js";
import { showShape, type Tensor } from "../graph/index.js";
import { checkWeights, imagesOf, knownOptions, perDim, span, toPlane, type PerDim } from "./conv-options.js";
import { conv, convData } from "./conv-ops.js";
import { padZeros } from "./join.js";
import { permute, reshape, windows } from "./movement.js";
import { add, cast } from "./scalar.js";

/** Options of {@link conv1d}, {@link conv2d} and {@link conv3d}; a list gives one value per spatial dim. */
export interface ConvOptions {
  /** Step between output pixels. Default: 1. */
  readonly stride?: PerDim;
  /** Zeros around the image: a number, `"valid"` (none) or `"same"` (the output is as large as the input; stride 1 only). Default: 0. */
  readonly padding?: PerDim | "same" | "valid";
  /** Distance between taps. Default: 1. */
  readonly dilation?: PerDim;
  /** Channel groups that do not see each other; as many as channels is a depthwise convolution. Default: 1. */
  readonly groups?: number;
}

/** Options of {@link convTranspose1d} and {@link convTranspose2d}; a list gives one value per spatial dim. */
export interface ConvTransposeOptions {
  readonly stride?: PerDim;
  /** Rows and columns of the result that are cut off at each side. Default: 0. */
  readonly padding?: PerDim;
  /** Rows and columns added at the end; below stride or dilation. Default: 0. */
  readonly outputPadding?: PerDim;
  readonly dilation?: PerDim;
  readonly groups?: number;
}

const withBias = (y: Tensor, bias: Tensor | null | undefined): Tensor => (bias ? add(y, reshape(cast(bias, y.dtype), [bias.shape[0], 1, 1])) : y);

/** Zeros before and after the image along each spatial dim. */
function paddingOf(op: string, padding: ConvOptions["padding"], stride: readonly number[], spans: readonly number[]): { low: number[]; high: number[] } {
  const rank = spans.length;
  if (padding !== "same") {
    if (typeof padding === "string" && padding !== "valid") throw new GraftError("argument", `${op}: padding is "${String(padding)}". Use "same", "valid" or numbers.`);
    const low = perDim(op, "padding", padding === "valid" ? 0 : padding, 0, rank, 0);
    return { low, high: low };
  }
  if (stride.some((n) => n !== 1)) throw new GraftError("argument", `${op}: padding "same" needs stride 1, stride is ${showShape(stride)}. Give the padding in numbers.`);
  return { low: spans.map((n) => (n - 1) >> 1), high: spans.map((n) => n >> 1) }; // the odd one goes behind
}

function convolve(op: string, rank: number, x: Tensor, weight: Tensor, bias: Tensor | null | undefined, options: ConvOptions | undefined): Tensor {
  const { stride: step, padding, dilation: spread, groups = 1 } = knownOptions(op, options, ["stride", "padding", "dilation", "groups"]);
  const dtype = checkWeights(op, x, weight, bias, rank, groups, false);
  const images = imagesOf(op, x, rank, dtype);
  const stride = perDim(op, "stride", step, 1, rank, 1);
  const dilation = perDim(op, "dilation", spread, 1, rank, 1);
  const kernel = weight.shape.slice(2);
  const { low, high } = paddingOf(op, padding, stride, kernel.map((k, d) => span(k, dilation[d])));
  const input = x.shape.slice(x.ndim - rank);
  const size = input.map((n, d) => Math.floor((n + low[d] + high[d] - span(kernel[d], dilation[d])) / stride[d]) + 1);
  if (size.some((n) => n < 1)) {
    const reach = `${showShape(kernel)} (dilation ${showShape(dilation)})`;
    throw new GraftError("shape", `${op}: the kernel ${reach} is larger than the padded image: x is ${showShape(x.shape)}, padding ${showShape(low)}. Use a smaller kernel or more padding.`);
  }
  const w = cast(weight, images.x.dtype);
  if (rank === 3) return images.restore(throughDepth(images.x, w, bias, { stride, low, high, dilation, groups, size }));
  const y = conv(images.x, rank === 1 ? reshape(w, [w.shape[0], w.shape[1], 1, w.shape[2]]) : w, {
    stride: toPlane(stride, 1), pad: toPlane(low, 0), dilation: toPlane(dilation, 1), groups, size: toPlane(size, 1),
  });
  return images.restore(withBias(y, bias));
}

interface VolumeGeometry {
  readonly stride: readonly number[];
  readonly low: readonly number[];
  readonly high: readonly number[];
  readonly dilation: readonly number[];
  readonly groups: number;
  readonly size: readonly number[];
}

/** A 3-d convolution as a 2-d one over every output depth: the taps along the depth become channels. */
function throughDepth(x: Tensor, w: Tensor, bias: Tensor | null | undefined, { stride, low, high, dilation, groups, size }: VolumeGeometry): Tensor {
  const [batch, channels, , height, width] = x.shape;
  const [outputs, inner, depthTaps, kernelHeight, kernelWidth] = w.shape;
  const padded = padZeros(x, [0, 0, 0, 0, low[0], high[0], 0, 0, 0, 0]);
  const taps = windows(padded, 2, depthTaps, stride[0], dilation[0]); // [N, C, D', H, W, kD]
  const planes = reshape(permute(taps, [0, 2, 1, 5, 3, 4]), [batch * size[0], channels * depthTaps, height, width]);
  const y = conv(planes, reshape(w, [outputs, inner * depthTaps, kernelHeight, kernelWidth]), {
    stride: stride.slice(1), pad: low.slice(1), dilation: dilation.slice(1), groups, size: size.slice(1),
  });
  return permute(reshape(withBias(y, bias), [batch, size[0], outputs, size[1], size[2]]), [0, 2, 1, 3, 4]); // [N, O, D', H', W']
}

function convolveTransposed(op: string, rank: number, x: Tensor, weight: Tensor, bias: Tensor | null | undefined, options: ConvTransposeOptions | undefined): Tensor {
  const given = knownOptions(op, options, ["stride", "padding", "outputPadding", "dilation", "groups"]);
  const { stride: step, padding, outputPadding, dilation: spread, groups = 1 } = given;
  const dtype = checkWeights(op, x, weight, bias, rank, groups, true);
  const images = imagesOf(op, x, rank, dtype);
  const stride = perDim(op, "stride", step, 1, rank, 1);
  const pad = perDim(op, "padding", padding, 0, rank, 0);
  const dilation = perDim(op, "dilation", spread, 1, rank, 1);
  const extra = perDim(op, "outputPadding", outputPadding, 0, rank, 0);
  if (extra.some((n, d) => n >= Math.max(stride[d], dilation[d]))) {
    throw new GraftError("argument", `${op}: outputPadding is ${showShape(extra)}, stride ${showShape(stride)}, dilation ${showShape(dilation)}. It must be smaller than one of them.`);
  }
  const kernel = weight.shape.slice(2);
  const input = x.shape.slice(x.ndim - rank);
  const size = input.map((n, d) => (n - 1) * stride[d] - 2 * pad[d] + span(kernel[d], dilation[d]) + extra[d]);
  if (size.some((n) => n < 1)) {
    throw new GraftError("shape", `${op}: x is ${showShape(x.shape)}, weight ${showShape(weight.shape)}, padding ${showShape(pad)}: the result would be ${showShape(size)}. Use less padding.`);
  }
  const w = cast(weight, images.x.dtype);
  const y = convData(images.x, rank === 1 ? reshape(w, [w.shape[0], w.shape[1], 1, w.shape[2]]) : w, {
    stride: toPlane(stride, 1), pad: toPlane(pad, 0), dilation: toPlane(dilation, 1), groups, size: toPlane(size, 1),
  });
  return images.restore(withBias(y, bias));
}

/**
 * 1-d convolution (cross-correlation) of x [N, C, L] or [C, L] with weight [O, C/groups, k] and bias [O]:
 * y[o, i] = bias[o] + sum_c,k weight[o, c, k] * x[c, i * stride - padding + k * dilation]. Result [N, O, L'].
 *
 * @throws GraftError `shape`, `argument`, `dtype` for shapes, settings and dtypes that do not fit.
 * @example F.conv1d(x, weight, bias, { padding: 1 });
 */
export const conv1d = (x: Tensor, weight: Tensor, bias?: Tensor | null, options?: ConvOptions): Tensor => convolve("conv1d", 1, x, weight, bias, options);

/**
 * 2-d convolution (cross-correlation) of x [N, C, H, W] or [C, H, W] with weight [O, C/groups, kH, kW] and bias [O]. Result [N, O, H', W'] with
 * H' = floor((H + 2 padding - dilation (kH - 1) - 1) / stride) + 1.
 * In f32, 3x3 weights with 32 channels or more on both sides, stride and dilation 1 and one group are multiplied in tiles (Winograd's F(2x2, 3x3); Lavin and
 * Gray 2016, arXiv 1509.09308), which rounds differently by about a bit, and makes NaN of an infinity in the image. f64 is computed as it is defined.
 *
 * @throws GraftError `shape`, `argument`, `dtype` for shapes, settings and dtypes that do not fit.
 * @example F.relu(F.conv2d(images, weight, bias, { stride: 2, padding: 1 }));
 */
export const conv2d = (x: Tensor, weight: Tensor, bias?: Tensor | null, options?: ConvOptions): Tensor => convolve("conv2d", 2, x, weight, bias, options);

/**
 * 3-d convolution of x [N, C, D, H, W] or [C, D, H, W] with weight [O, C/groups, kD, kH, kW] and bias [O]. Result [N, O, D', H', W'].
 *
 * @throws GraftError `shape`, `argument`, `dtype` for shapes, settings and dtypes that do not fit.
 * @example F.conv3d(video, weight, null, { padding: [1, 0, 0] });
 */
export const conv3d = (x: Tensor, weight: Tensor, bias?: Tensor | null, options?: ConvOptions): Tensor => convolve("conv3d", 3, x, weight, bias, options);

/**
 * Transposed 1-d convolution of x [N, C, L] or [C, L] with weight [C, O/groups, k]: the gradient of {@link conv1d} with respect to its input.
 * Result [N, O, L'] with L' = (L - 1) stride - 2 padding + dilation (k - 1) + outputPadding + 1.
 *
 * @throws GraftError `shape`, `argument`, `dtype` for shapes, settings and dtypes that do not fit.
 * @example F.convTranspose1d(x, weight, bias, { stride: 2, padding: 1, outputPadding: 1 });
 */
export const convTranspose1d = (x: Tensor, weight: Tensor, bias?: Tensor | null, options?: ConvTransposeOptions): Tensor =>
  convolveTransposed("convTranspose1d", 1, x, weight, bias, options);

/**
 * Transposed 2-d convolution of x [N, C, H, W] or [C, H, W] with weight [C, O/groups, kH, kW]: the gradient of {@link conv2d} with respect to its
 * input, used to make images larger. Result [N, O, H', W'] with H' = (H - 1) stride - 2 padding + dilation (kH - 1) + outputPadding + 1.
 *
 * @throws GraftError `shape`, `argument`, `dtype` for shapes, settings and dtypes that do not fit.
 * @example F.convTranspose2d(x, weight, bias, { stride: 2, padding: 1, outputPadding: 1 }); // twice the size for a 3x3 kernel
 */
export const convTranspose2d = (x: Tensor, weight: Tensor, bias?: Tensor | null, options?: ConvTransposeOptions): Tensor =>
  convolveTransposed("convTranspose2d", 2, x, weight, bias, options);
