import { GraftError } from "../base/index.js";
import { fromData, showShape, type Tensor } from "../graph/index.js";
import { imagesOf, knownOptions, perDim, span, toPlane, type PerDim } from "./conv-options.js";
import { matmul } from "./matmul.js";
import { transpose } from "./movement.js";
import { avgPool, maxPool, type PoolAttrs } from "./pool-ops.js";

/** Options of {@link maxPool1d} and {@link maxPool2d}; a list gives one value per spatial dim. */
export interface MaxPoolOptions {
  /** Size of the window. */
  readonly kernelSize: PerDim;
  /** Step between windows. Default: `kernelSize`. */
  readonly stride?: PerDim;
  /** Pixels (of -inf) around the image, at most half of the window. Default: 0. */
  readonly padding?: PerDim;
  /** Distance between the pixels of a window. Default: 1. */
  readonly dilation?: PerDim;
  /** Whether a last window that overhangs the image counts. Default: false. */
  readonly ceilMode?: boolean;
}

/** Options of {@link avgPool1d} and {@link avgPool2d}; a list gives one value per spatial dim. */
export interface AvgPoolOptions {
  /** Size of the window. */
  readonly kernelSize: PerDim;
  /** Step between windows. Default: `kernelSize`. */
  readonly stride?: PerDim;
  /** Zeros around the image, at most half of the window. Default: 0. */
  readonly padding?: PerDim;
  /** Whether a last window that overhangs the image counts. Default: false. */
  readonly ceilMode?: boolean;
  /** Whether the padding counts in the mean. Default: true. */
  readonly countIncludePad?: boolean;
}

/** Number of windows along one dim. With `ceilMode` the last one may overhang the end, but it must begin inside the image or its left padding. */
function windowCount(length: number, kernel: number, stride: number, pad: number, dilation: number, ceilMode: boolean): number {
  const room = length + 2 * pad - span(kernel, dilation);
  const count = (ceilMode ? Math.ceil(room / stride) : Math.floor(room / stride)) + 1;
  return ceilMode && (count - 1) * stride >= length + pad ? count - 1 : count;
}

function geometryOf(op: string, rank: number, x: Tensor, options: MaxPoolOptions): PoolAttrs {
  if (options.kernelSize === undefined) throw new GraftError("argument", `${op}: kernelSize is missing. Write ${op}(x, { kernelSize: 2 }).`);
  const kernel = perDim(op, "kernelSize", options.kernelSize, 1, rank, 1);
  const stride = perDim(op, "stride", options.stride, kernel, rank, 1);
  const pad = perDim(op, "padding", options.padding, 0, rank, 0);
  const dilation = perDim(op, "dilation", options.dilation, 1, rank, 1);
  if (pad.some((n, d) => 2 * n > kernel[d])) {
    throw new GraftError("argument", `${op}: padding ${showShape(pad)} is more than half of the window ${showShape(kernel)}: some windows would hold padding only. Use less padding.`);
  }
  const size = x.shape.slice(x.ndim - rank).map((n, d) => windowCount(n, kernel[d], stride[d], pad[d], dilation[d], options.ceilMode ?? false));
  if (size.some((n) => n < 1)) {
    const window = `${showShape(kernel)} (dilation ${showShape(dilation)})`;
    throw new GraftError("shape", `${op}: the window ${window} is larger than the padded image: x is ${showShape(x.shape)}, padding ${showShape(pad)}. Use a smaller window.`);
  }
  return { kernel: toPlane(kernel, 1), stride: toPlane(stride, 1), pad: toPlane(pad, 0), dilation: toPlane(dilation, 1), size: toPlane(size, 1) };
}

function largest(op: string, rank: number, x: Tensor, options: MaxPoolOptions): Tensor {
  const given = knownOptions(op, options, ["kernelSize", "stride", "padding", "dilation", "ceilMode"]);
  const images = imagesOf(op, x, rank);
  return images.restore(maxPool(images.x, geometryOf(op, rank, x, given)));
}

function average(op: string, rank: number, x: Tensor, options: AvgPoolOptions): Tensor {
  const given = knownOptions(op, options, ["kernelSize", "stride", "padding", "ceilMode", "countIncludePad"]);
  const images = imagesOf(op, x, rank);
  return images.restore(avgPool(images.x, { ...geometryOf(op, rank, x, given), countPad: given.countIncludePad ?? true }));
}

/**
 * The largest value of each window of x [N, C, L] or [C, L]. Equal values: the gradient goes to the first. NaN wins. Result [N, C, L'].
 *
 * @throws GraftError `shape`, `argument` for shapes and settings that do not fit.
 * @example F.maxPool1d(x, { kernelSize: 3, stride: 2 });
 */
export const maxPool1d = (x: Tensor, options: MaxPoolOptions): Tensor => largest("maxPool1d", 1, x, options);

/**
 * The largest value of each window of x [N, C, H, W] or [C, H, W]. Equal values: the gradient goes to the first. NaN wins. Result [N, C, H', W'] with
 * H' = floor((H + 2 padding - dilation (kernel - 1) - 1) / stride) + 1.
 *
 * @throws GraftError `shape`, `argument` for shapes and settings that do not fit.
 * @example F.maxPool2d(x, { kernelSize: 2 }); // half the size
 */
export const maxPool2d = (x: Tensor, options: MaxPoolOptions): Tensor => largest("maxPool2d", 2, x, options);

/**
 * The mean of each window of x [N, C, L] or [C, L]. Result [N, C, L'].
 *
 * @throws GraftError `shape`, `argument` for shapes and settings that do not fit.
 * @example F.avgPool1d(x, { kernelSize: 3 });
 */
export const avgPool1d = (x: Tensor, options: AvgPoolOptions): Tensor => average("avgPool1d", 1, x, options);

/**
 * The mean of each window of x [N, C, H, W] or [C, H, W]. Result [N, C, H', W'].
 *
 * @throws GraftError `shape`, `argument` for shapes and settings that do not fit.
 * @example F.avgPool2d(x, { kernelSize: 3, stride: 2, padding: 1, countIncludePad: false });
 */
export const avgPool2d = (x: Tensor, options: AvgPoolOptions): Tensor => average("avgPool2d", 2, x, options);

/** The mean over window i of `count`, [floor(i n / count), ceil((i + 1) n / count)), as a matrix [n, count]. */
function averagingMatrix(n: number, count: number, like: Tensor): Tensor {
  const values = like.dtype === "f64" ? new Float64Array(n * count) : new Float32Array(n * count);
  for (let i = 0; i < count; i++) {
    const [first, end] = [Math.floor((i * n) / count), Math.ceil(((i + 1) * n) / count)];
    for (let k = first; k < end; k++) values[k * count + i] = 1 / (end - first);
  }
  return fromData(values, [n, count], like.dtype);
}

function adaptive(op: string, rank: number, x: Tensor, outputSize: number | readonly (number | null)[]): Tensor {
  const images = imagesOf(op, x, rank);
  const input = x.shape.slice(x.ndim - rank);
  const wanted = Array.isArray(outputSize) ? (outputSize as readonly (number | null)[]).map((n, d) => n ?? input[d]) : (outputSize as number);
  const size = toPlane(perDim(op, "outputSize", wanted, 1, rank, 1), 1);
  const [height, width] = images.x.shape.slice(2);
  if (height === 0 || width === 0) throw new GraftError("shape", `${op}: x is ${showShape(x.shape)}. The image must not be empty.`);
  if (height % size[0] === 0 && width % size[1] === 0) {
    const kernel = [height / size[0], width / size[1]];
    return images.restore(avgPool(images.x, { kernel, stride: kernel, pad: [0, 0], dilation: [1, 1], size, countPad: true }));
  }
  // Windows of different sizes: y = A^T x B, separable over the dims.
  const narrow = size[1] === width ? images.x : matmul(images.x, averagingMatrix(width, size[1], images.x));
  return images.restore(size[0] === height ? narrow : matmul(transpose(averagingMatrix(height, size[0], images.x)), narrow));
}

/**
 * Means over windows that divide x [N, C, L] or [C, L] into `outputSize` parts as evenly as can be. Result [N, C, outputSize].
 *
 * @throws GraftError `shape`, `argument` for shapes and settings that do not fit.
 * @example F.adaptiveAvgPool1d(x, 1); // the mean over the whole length
 */
export const adaptiveAvgPool1d = (x: Tensor, outputSize: number | readonly (number | null)[]): Tensor => adaptive("adaptiveAvgPool1d", 1, x, outputSize);

/**
 * Means over windows that divide x [N, C, H, W] or [C, H, W] into `outputSize` parts as evenly as can be (null keeps a size). Result [N, C, ...outputSize].
 *
 * @throws GraftError `shape`, `argument` for shapes and settings that do not fit.
 * @example F.adaptiveAvgPool2d(x, [1, 1]); // global average pooling
 */
export const adaptiveAvgPool2d = (x: Tensor, outputSize: number | readonly (number | null)[]): Tensor => adaptive("adaptiveAvgPool2d", 2, x, outputSize);
