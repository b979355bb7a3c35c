import { int, ints, type Value } from "./builder.js";
import { fixedAttr, fixedAttrs, fixedSize, type Translate, type Translation, type Translators } from "./ops.js";
import { cannotWrite } from "./problem.js";

/** Size of an image. */
const planeOf = (t: Translation, { shape }: Value): number[] => shape.slice(-2).map((size) => fixedSize(t, "image", size));

/** Padding behind the image that makes windows end where they must: pixel (size - 1) stride - pad + (kernel - 1) dilation is the last one. */
const behind = (image: readonly number[], size: readonly number[], kernel: readonly number[], stride: readonly number[], pad: readonly number[], dilation: readonly number[]): number[] =>
  image.map((length, d) => Math.max(0, (size[d] - 1) * stride[d] - pad[d] + (kernel[d] - 1) * dilation[d] + 1 - length));

const conv: Translate = (t) => {
  const { builder, inputs: [x, w], outputs: [spec] } = t;
  const [stride, pad, dilation, size] = ["stride", "pad", "dilation", "size"].map((name) => fixedAttrs(t, name));
  const kernel = planeOf(t, w);
  const pads = [...pad, ...behind(planeOf(t, x), size, kernel, stride, pad, dilation)];
  return builder.value("Conv", [x, w], spec, { kernel_shape: ints(kernel), strides: ints(stride), pads: ints(pads), dilations: ints(dilation), group: int(fixedAttr(t, "groups")) });
};

/** The transposed convolution: (in - 1) stride + (kernel - 1) dilation + 1 pixels, of which `pad` are cut off in front and the rest, up to `size`, behind. */
const convData: Translate = (t) => {
  const { builder, inputs: [x, w], outputs: [spec] } = t;
  const [stride, pad, dilation, size] = ["stride", "pad", "dilation", "size"].map((name) => fixedAttrs(t, name));
  const kernel = planeOf(t, w);
  const rest = planeOf(t, x).map((length, d) => (length - 1) * stride[d] + (kernel[d] - 1) * dilation[d] + 1 - pad[d] - size[d]);
  const cut = rest.map((n) => Math.max(0, n));
  const added = rest.map((n) => Math.max(0, -n));
  return builder.value("ConvTranspose", [x, w], spec, {
    kernel_shape: ints(kernel), strides: ints(stride), pads: ints([...pad, ...cut]), dilations: ints(dilation), output_padding: ints(added), group: int(fixedAttr(t, "groups")),
  }); // prettier-ignore
};

const maxPool: Translate = (t) => {
  const { builder, inputs: [x], outputs: [spec] } = t;
  const [kernel, stride, pad, dilation, size] = ["kernel", "stride", "pad", "dilation", "size"].map((name) => fixedAttrs(t, name));
  const pads = [...pad, ...behind(planeOf(t, x), size, kernel, stride, pad, dilation)];
  return [builder.value("MaxPool", [x], spec, { kernel_shape: ints(kernel), strides: ints(stride), pads: ints(pads), dilations: ints(dilation) }), undefined];
};

const avgPool: Translate = (t) => {
  const { builder, inputs: [x], attrs: { countPad }, outputs: [spec] } = t;
  const [kernel, stride, pad, size] = ["kernel", "stride", "pad", "size"].map((name) => fixedAttrs(t, name));
  const end = behind(planeOf(t, x), size, kernel, stride, pad, [1, 1]);
  if (countPad === true && end.some((n, d) => n > pad[d])) {
    throw cannotWrite("avgPool", t.path, "a last window overhangs the padding (ceilMode), which ONNX would count. Use ceilMode: false or countIncludePad: false");
  }
  return builder.value("AveragePool", [x], spec, { kernel_shape: ints(kernel), strides: ints(stride), pads: ints([...pad, ...end]), count_include_pad: int(countPad === true ? 1 : 0) });
};

/** Translators of convolutions and pools. */
export const imageOps: Translators = { conv, convData, maxPool, avgPool };
