import { GraftError } from "../base/index.js";
import { showShape, type Tensor } from "../graph/index.js";
import { imagesOf, knownOptions, perDim, span, type PerDim } from "./conv-options.js";
import { padZeros } from "./join.js";
import { dilate, permute, reshape, slice, windows } from "./movement.js";
import { add } from "./scalar.js";

/** Options of {@link unfold}; a list gives one value for the height and one for the width. */
export interface UnfoldOptions {
  /** Size of the window. */
  readonly kernelSize: PerDim;
  readonly stride?: PerDim;
  readonly padding?: PerDim;
  readonly dilation?: PerDim;
}

/** Options of {@link fold}. */
export interface FoldOptions extends UnfoldOptions {
  /** Height and width of the result. */
  readonly outputSize: PerDim;
}

function settings(op: string, options: UnfoldOptions): { kernel: number[]; stride: number[]; pad: number[]; dilation: number[] } {
  if (options.kernelSize === undefined) throw new GraftError("argument", `${op}: kernelSize is missing. Write { kernelSize: 3 }.`);
  return {
    kernel: perDim(op, "kernelSize", options.kernelSize, 1, 2, 1),
    stride: perDim(op, "stride", options.stride, 1, 2, 1),
    pad: perDim(op, "padding", options.padding, 0, 2, 0),
    dilation: perDim(op, "dilation", options.dilation, 1, 2, 1),
  };
}

/**
 * The windows of x [N, C, H, W] (or [C, H, W]) as columns: [N, C kH kW, L], L windows in row-major order (PyTorch's im2col).
 *
 * @throws GraftError `shape`, `argument` for shapes and settings that do not fit.
 * @example F.unfold(x, { kernelSize: 3, padding: 1 });
 */
export function unfold(x: Tensor, options: UnfoldOptions): Tensor {
  const { kernel, stride, pad, dilation } = settings("unfold", knownOptions("unfold", options, ["kernelSize", "stride", "padding", "dilation"]));
  const images = imagesOf("unfold", x, 2);
  const [batch, channels, height, width] = images.x.shape;
  if (height + 2 * pad[0] < span(kernel[0], dilation[0]) || width + 2 * pad[1] < span(kernel[1], dilation[1])) {
    const window = `${showShape(kernel)} (dilation ${showShape(dilation)})`;
    throw new GraftError("shape", `unfold: the window ${window} is larger than the padded image: x is ${showShape(x.shape)}, padding ${showShape(pad)}. Use a smaller window.`);
  }
  const padded = padZeros(images.x, [0, 0, 0, 0, pad[0], pad[0], pad[1], pad[1]]);
  const taps = windows(windows(padded, 2, kernel[0], stride[0], dilation[0]), 3, kernel[1], stride[1], dilation[1]); // [N, C, H', W', kH, kW]
  const [rows, cols] = taps.shape.slice(2);
  return images.restore(reshape(permute(taps, [0, 1, 4, 5, 2, 3]), [batch, channels * kernel[0] * kernel[1], rows * cols]));
}

/**
 * Puts columns [N, C kH kW, L] (or [C kH kW, L]) back to where {@link unfold} takes them from, adding where windows overlap: [N, C, ...outputSize].
 *
 * @throws GraftError `shape`, `argument` for shapes and settings that do not fit.
 * @example F.fold(F.unfold(x, { kernelSize: 2, stride: 2 }), { outputSize: [8, 8], kernelSize: 2, stride: 2 }); // x again
 */
export function fold(x: Tensor, options: FoldOptions): Tensor {
  const given = knownOptions("fold", options, ["outputSize", "kernelSize", "stride", "padding", "dilation"]);
  const { kernel, stride, pad, dilation } = settings("fold", given);
  const size = perDim("fold", "outputSize", given.outputSize, 1, 2, 1);
  const single = x.ndim === 2;
  const columns = single ? reshape(x, [1, ...x.shape]) : x;
  const padded = size.map((n, d) => n + 2 * pad[d]);
  const counts = padded.map((n, d) => Math.floor((n - span(kernel[d], dilation[d])) / stride[d]) + 1);
  const taps = kernel[0] * kernel[1];
  if (columns.ndim !== 3 || columns.shape[1] % taps !== 0 || counts.some((n) => n < 1) || columns.shape[2] !== counts[0] * counts[1]) {
    const needed = `[N, C * ${taps}, ${counts[0] * counts[1]}]`;
    throw new GraftError("shape", `fold: x is ${showShape(x.shape)}; outputSize ${showShape(size)} with kernelSize ${showShape(kernel)} needs ${needed}.`);
  }
  const channels = columns.shape[1] / taps;
  const windowed = reshape(columns, [columns.shape[0], channels, kernel[0], kernel[1], counts[0], counts[1]]);
  let total: Tensor | undefined;
  for (let tap = 0; tap < taps; tap++) {
    const [kh, kw] = [Math.floor(tap / kernel[1]), tap % kernel[1]];
    const one = reshape(slice(slice(windowed, 2, kh, 1), 3, kw, 1), [columns.shape[0], channels, counts[0], counts[1]]);
    const spread = dilate(dilate(one, 2, stride[0]), 3, stride[1]);
    const before = [kh * dilation[0], kw * dilation[1]];
    const pads = padded.flatMap((n, d) => [before[d], n - before[d] - spread.shape[2 + d]]);
    const placed = padZeros(spread, [0, 0, 0, 0, ...pads]);
    total = total === undefined ? placed : add(total, placed);
  }
  const image = slice(slice(total as Tensor, 2, pad[0], size[0]), 3, pad[1], size[1]);
  return single ? reshape(image, image.shape.slice(1)) : image;
}
