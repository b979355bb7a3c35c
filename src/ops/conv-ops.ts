import { GraftError } from "../base/index.js";
import { defineOp, record, showShape, sizeOf, type KernelCall, type Shape, type Spec, type Tensor } from "../graph/index.js";
import { padZeros } from "./join.js";
import { matmul } from "./matmul.js";
import { permute, reshape, transpose } from "./movement.js";

/**
 * A 2-d convolution. Output pixel o reads input pixel `o * stride - pad + k * dilation` at tap k, per dim. Padding behind the image follows from
 * the sizes. `size` is [H, W] of the result: of y, of dx, or of the kernel.
 */
export type ConvAttrs = {
  readonly stride: readonly number[];
  readonly pad: readonly number[];
  readonly dilation: readonly number[];
  readonly groups: number;
  readonly size: readonly number[];
};

/**
 * Calls `body(ix, iw, iy)` for every product x[ix] * w[iw] that belongs to y[iy]: x [N, C, H, W], w [O, C/groups, kH, kW], y [N, O, H', W'].
 * The convolution and both its gradients are sums over the same triples.
 */
function forEachProduct(x: Shape, w: Shape, y: Shape, { stride, pad, dilation, groups }: ConvAttrs, body: (ix: number, iw: number, iy: number) => void): void {
  const [, channels, height, width] = x;
  const [outputs, inner, kernelHeight, kernelWidth] = w;
  const [batch, , rows, cols] = y;
  const perGroup = outputs / groups;
  for (let n = 0; n < batch; n++) {
    for (let o = 0; o < outputs; o++) {
      const first = Math.floor(o / perGroup) * inner;
      for (let c = 0; c < inner; c++) {
        for (let kh = 0; kh < kernelHeight; kh++) {
          for (let kw = 0; kw < kernelWidth; kw++) {
            const iw = ((o * inner + c) * kernelHeight + kh) * kernelWidth + kw;
            for (let r = 0; r < rows; r++) {
              const h = r * stride[0] - pad[0] + kh * dilation[0];
              if (h < 0 || h >= height) continue;
              for (let s = 0; s < cols; s++) {
                const v = s * stride[1] - pad[1] + kw * dilation[1];
                if (v >= 0 && v < width) body(((n * channels + first + c) * height + h) * width + v, iw, ((n * outputs + o) * rows + r) * cols + s);
              }
            }
          }
        }
      }
    }
  }
}

const call = (name: string, { stride, pad, dilation, groups }: ConvAttrs, [a]: readonly Spec[], epilogue: boolean): KernelCall | undefined =>
  a.dtype === "f32" || a.dtype === "f64" ? { name, attrs: [...stride, ...pad, ...dilation, groups], epilogue } : undefined;

/** y [N, O, ...size] = sum over taps of x [N, C, H, W] and w [O, C/groups, kH, kW]. A bias and what follows are fused onto it. */
const convOp = defineOp<ConvAttrs>({
  name: "conv",
  trait: "opaque",
  infer: ([x, w], { size, groups }) => {
    const channels = w.shape[1] * groups;
    if (x.shape[1] !== channels) throw new GraftError("shape", `conv: x is ${showShape(x.shape)}, weight is ${showShape(w.shape)} with groups = ${groups}. x must have ${channels} channels.`);
    return { shape: [x.shape[0], w.shape[0], ...size], dtype: x.dtype };
  },
  vjp: ({ inputs: [x, w], grad, attrs, needs }) => [
    needs[0] ? convData(grad, w, { ...attrs, size: x.shape.slice(2) }) : null,
    needs[1] ? convWeight(x, grad, { ...attrs, size: w.shape.slice(2) }) : null,
  ],
  evaluate: ([x, w], attrs, [y]) => {
    y.data.fill(0);
    forEachProduct(x.shape, w.shape, y.shape, attrs, (ix, iw, iy) => (y.data[iy] += x.data[ix] * w.data[iw]));
  },
  kernel: (inputs, attrs) => call("conv", attrs, inputs, true),
  flops: ([, w], _, [y]) => (2 * sizeOf(y.shape) * sizeOf(w.shape)) / Math.max(1, w.shape[0]),
});

/** dx [N, C, ...size] from dy [N, O, H', W'] and w: the transpose of the convolution as a linear map of x, which is also the transposed convolution. */
const convDataOp = defineOp<ConvAttrs>({
  name: "convData",
  trait: "opaque",
  infer: ([dy, w], { size, groups }) => {
    if (dy.shape[1] !== w.shape[0]) throw new GraftError("shape", `convData: dy is ${showShape(dy.shape)}, weight is ${showShape(w.shape)}. dy must have ${w.shape[0]} channels.`);
    return { shape: [dy.shape[0], w.shape[1] * groups, ...size], dtype: dy.dtype };
  },
  vjp: ({ inputs: [dy, w], grad, attrs, needs }) => [
    needs[0] ? conv(grad, w, { ...attrs, size: dy.shape.slice(2) }) : null,
    needs[1] ? convWeight(grad, dy, { ...attrs, size: w.shape.slice(2) }) : null,
  ],
  evaluate: ([dy, w], attrs, [dx]) => {
    dx.data.fill(0);
    forEachProduct(dx.shape, w.shape, dy.shape, attrs, (ix, iw, iy) => (dx.data[ix] += dy.data[iy] * w.data[iw]));
  },
  kernel: (inputs, attrs) => call("convData", attrs, inputs, true),
  flops: ([dy, w]) => (2 * sizeOf(dy.shape) * sizeOf(w.shape)) / Math.max(1, w.shape[0]),
});

/** dw [O, C/groups, ...size] from x [N, C, H, W] and dy [N, O, H', W']. */
const convWeightOp = defineOp<ConvAttrs>({
  name: "convWeight",
  trait: "opaque",
  infer: ([x, dy], { size, groups }) => ({ shape: [dy.shape[1], x.shape[1] / groups, ...size], dtype: x.dtype }),
  vjp: ({ inputs: [x, dy], grad, attrs, needs }) => [
    needs[0] ? convData(dy, grad, { ...attrs, size: x.shape.slice(2) }) : null,
    needs[1] ? conv(x, grad, { ...attrs, size: dy.shape.slice(2) }) : null,
  ],
  evaluate: ([x, dy], attrs, [dw]) => {
    dw.data.fill(0);
    forEachProduct(x.shape, dw.shape, dy.shape, attrs, (ix, iw, iy) => (dw.data[iw] += x.data[ix] * dy.data[iy]));
  },
  kernel: (inputs, attrs) => call("convWeight", attrs, inputs, false),
  flops: ([, dy], _, [dw]) => (2 * sizeOf(dy.shape) * sizeOf(dw.shape)) / Math.max(1, dw.shape[0]),
});

/** Whether output pixels look at parts of the image that do not overlap, with rows long enough to be moved as such. */
const arePatches = ([, , ...kernel]: Shape, { stride, pad, dilation, groups }: ConvAttrs): boolean =>
  groups === 1 && kernel[1] >= 4 && kernel.every((n, d) => n === stride[d] && pad[d] === 0 && dilation[d] === 1);

/** Then dx is one product, [N, H' W', O] x [O, C kH kW], with the patches put in their places and zeros where none reaches. */
function dataOfPatches(dy: Tensor, w: Tensor, [height, width]: readonly number[]): Tensor {
  const [N, O, rows, cols] = dy.shape;
  const [, C, kernelHeight, kernelWidth] = w.shape;
  const patches = matmul(transpose(reshape(dy, [N, O, rows * cols]), 1, 2), reshape(w, [O, C * kernelHeight * kernelWidth]));
  const dx = reshape(permute(reshape(patches, [N, rows, cols, C, kernelHeight, kernelWidth]), [0, 3, 1, 4, 2, 5]), [N, C, rows * kernelHeight, cols * kernelWidth]);
  return padZeros(dx, [0, 0, 0, 0, 0, height - rows * kernelHeight, 0, width - cols * kernelWidth]);
}

// A gradient of the one is always one of the other two, so they can be differentiated any number of times.
export const conv = (x: Tensor, w: Tensor, attrs: ConvAttrs): Tensor => record(convOp, [x, w], attrs);
export function convData(dy: Tensor, w: Tensor, attrs: ConvAttrs): Tensor {
  return arePatches(w.shape, attrs) ? dataOfPatches(dy, w, attrs.size) : record(convDataOp, [dy, w], attrs);
}
export const convWeight = (x: Tensor, dy: Tensor, attrs: ConvAttrs): Tensor => record(convWeightOp, [x, dy], attrs);
