import { defineOp, record, recordMany, sizeOf, type KernelCall, type Shape, type Spec, type Tensor } from "../graph/index.js";

/** Windows over the last two dims. Window o covers pixels `o * stride - pad + k * dilation`, k < kernel, as far as they exist. `size` is [H, W] of the result. */
export type PoolAttrs = {
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly pad: readonly number[];
  readonly dilation: readonly number[];
  readonly size: readonly number[];
};

/** Average pooling: what a window's sum is divided by counts its padding, or only its pixels. */
export type AveragePoolAttrs = PoolAttrs & { readonly countPad: boolean };

/** Called for a window with its position and those of its pixels within the plane. */
type WindowVisitor = (plane: number, row: number, col: number, pixels: readonly number[]) => void;

/** Calls `body(plane, row, col, pixels)` for every window, with the positions (within the plane) of the pixels that exist, in row-major order. */
function forEachWindow(image: Shape, rows: number, cols: number, { kernel, stride, pad, dilation }: PoolAttrs, body: WindowVisitor): void {
  const [height, width] = image.slice(-2);
  const planes = sizeOf(image.slice(0, -2));
  const along = (o: number, d: number, limit: number): number[] =>
    Array.from({ length: kernel[d] }, (_, k) => o * stride[d] - pad[d] + k * dilation[d]).filter((i) => i >= 0 && i < limit);
  for (let r = 0; r < rows; r++) {
    const vertical = along(r, 0, height);
    for (let c = 0; c < cols; c++) {
      const horizontal = along(c, 1, width);
      const pixels = vertical.flatMap((h) => horizontal.map((w) => h * width + w));
      for (let plane = 0; plane < planes; plane++) body(plane, r, c, pixels);
    }
  }
}

const geometry = ({ kernel, stride, pad, dilation }: PoolAttrs): number[] => [...kernel, ...stride, ...pad, ...dilation];
const floats = ({ dtype }: Spec, name: string, attrs: readonly number[], epilogue = false): KernelCall | undefined =>
  dtype === "f32" || dtype === "f64" ? { name, attrs, epilogue } : undefined;
const resized = (x: Spec, size: readonly number[]): Spec => ({ shape: [...x.shape.slice(0, -2), ...size], dtype: x.dtype });
const imageSize = (x: Tensor): Shape => x.shape.slice(-2);

/** The largest pixel of each window, and its position in the plane (the first one of equals; NaN is larger than everything). */
const maxPoolOp = defineOp<PoolAttrs>({
  name: "maxPool",
  trait: "opaque",
  infer: ([x], { size }) => [resized(x, size), { shape: resized(x, size).shape, dtype: "i32" }],
  vjp: ({ inputs: [x], outputs: [, index], grads: [grad], attrs }) => [grad && maxPoolGrad(grad, index, { ...attrs, size: imageSize(x) })],
  evaluate: ([x], attrs, [y, index]) => {
    const [rows, cols] = attrs.size;
    const plane = sizeOf(x.shape.slice(-2));
    forEachWindow(x.shape, rows, cols, attrs, (p, r, c, pixels) => {
      let best = -Infinity;
      let where = pixels[0] ?? 0;
      for (const at of pixels) {
        const value = x.data[p * plane + at];
        if (value > best || Number.isNaN(value)) [best, where] = [value, at];
      }
      y.data[(p * rows + r) * cols + c] = best;
      index.data[(p * rows + r) * cols + c] = where;
    });
  },
  kernel: ([x], attrs) => floats(x, "maxPool", geometry(attrs)),
  flops: (_, { kernel }, [y]) => sizeOf(y.shape) * sizeOf(kernel),
});

/** dx: zeros, plus each dy at its window's position. */
const maxPoolGradOp = defineOp<PoolAttrs>({
  name: "maxPoolGrad",
  trait: "opaque",
  infer: ([dy], { size }) => resized(dy, size),
  vjp: ({ inputs: [, index], grad }) => [maxPoolGather(grad, index), null],
  evaluate: ([dy, index], { size }, [dx]) => {
    const [small, large] = [sizeOf(dy.shape.slice(-2)), sizeOf(size)];
    dx.data.fill(0);
    for (let i = 0; i < dy.data.length; i++) dx.data[Math.floor(i / small) * large + index.data[i]] += dy.data[i];
  },
  kernel: ([dy], attrs) => floats(dy, "maxPoolGrad", geometry(attrs), true),
});

/** The pixels at given positions of each plane: the transpose of {@link maxPoolGradOp}. */
const maxPoolGatherOp = defineOp({
  name: "maxPoolGather",
  trait: "opaque",
  infer: ([x, index]) => ({ shape: index.shape, dtype: x.dtype }),
  vjp: ({ inputs: [x, index], grad }) => [maxPoolGrad(grad, index, { kernel: [1, 1], stride: [1, 1], pad: [0, 0], dilation: [1, 1], size: imageSize(x) }), null],
  evaluate: ([x, index], _, [out]) => {
    const [small, large] = [sizeOf(index.shape.slice(-2)), sizeOf(x.shape.slice(-2))];
    for (let i = 0; i < out.data.length; i++) out.data[i] = x.data[Math.floor(i / small) * large + index.data[i]];
  },
  kernel: ([x]) => floats(x, "maxPoolGather", []),
});

export const maxPool = (x: Tensor, attrs: PoolAttrs): Tensor => recordMany(maxPoolOp, [x], attrs)[0];
const maxPoolGrad = (dy: Tensor, index: Tensor, attrs: PoolAttrs): Tensor => record(maxPoolGradOp, [dy, index], attrs);
const maxPoolGather = (x: Tensor, index: Tensor): Tensor => record(maxPoolGatherOp, [x, index]);

/** 1 / (number of pixels that a window's mean is over). Padding counts as far as the padded image goes (a window may overhang it with ceilMode). */
function share(row: number, col: number, image: Shape, pixels: number, { kernel, stride, pad, countPad }: AveragePoolAttrs): number {
  const extent = (o: number, d: number): number => Math.min(kernel[d], image[image.length - 2 + d] + 2 * pad[d] - o * stride[d]);
  return 1 / (countPad ? extent(row, 0) * extent(col, 1) : pixels);
}

/** The mean of each window. */
const avgPoolOp = defineOp<AveragePoolAttrs>({
  name: "avgPool",
  trait: "opaque",
  infer: ([x], { size }) => resized(x, size),
  vjp: ({ inputs: [x], grad, attrs }) => [avgPoolGrad(grad, { ...attrs, size: imageSize(x) })],
  evaluate: ([x], attrs, [y]) => {
    const [rows, cols] = attrs.size;
    const plane = sizeOf(x.shape.slice(-2));
    forEachWindow(x.shape, rows, cols, attrs, (p, r, c, pixels) => {
      let total = 0;
      for (const at of pixels) total += x.data[p * plane + at];
      y.data[(p * rows + r) * cols + c] = total * share(r, c, x.shape, pixels.length, attrs);
    });
  },
  kernel: ([x], attrs) => floats(x, "avgPool", [...geometry(attrs), Number(attrs.countPad)]),
  flops: (_, { kernel }, [y]) => sizeOf(y.shape) * sizeOf(kernel),
});

/** dx: each dy spread evenly over its window. */
const avgPoolGradOp = defineOp<AveragePoolAttrs>({
  name: "avgPoolGrad",
  trait: "opaque",
  infer: ([dy], { size }) => resized(dy, size),
  vjp: ({ inputs: [dy], grad, attrs }) => [avgPool(grad, { ...attrs, size: imageSize(dy) })],
  evaluate: ([dy], attrs, [dx]) => {
    const [rows, cols] = dy.shape.slice(-2);
    const plane = sizeOf(dx.shape.slice(-2));
    dx.data.fill(0);
    forEachWindow(dx.shape, rows, cols, attrs, (p, r, c, pixels) => {
      const part = dy.data[(p * rows + r) * cols + c] * share(r, c, dx.shape, pixels.length, attrs);
      for (const at of pixels) dx.data[p * plane + at] += part;
    });
  },
  kernel: ([dy], attrs) => floats(dy, "avgPoolGrad", [...geometry(attrs), Number(attrs.countPad)]),
});

export const avgPool = (x: Tensor, attrs: AveragePoolAttrs): Tensor => record(avgPoolOp, [x], attrs);
const avgPoolGrad = (dy: Tensor, attrs: AveragePoolAttrs): Tensor => record(avgPoolGradOp, [dy], attrs);
