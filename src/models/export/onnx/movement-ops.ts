import { int, ints, to, type Value } from "./builder.js";
import { factorAttr, fixedAttr, fixedAttrs, fixedSize, sizeAttr, sizesAttr, type Translate, type Translators } from "./ops.js";
import { minus, plus, sameSize, times, type Size } from "./size.js";

const onlyInput: Translate = ({ inputs: [x] }) => x;

const permute: Translate = (t) => {
  const { builder, inputs: [x], outputs: [spec], sole: [sole] } = t;
  const dims = fixedAttrs(t, "dims");
  // A matrix that is only read transposed is stored transposed: tools that quantise look for matrices that a product reads directly.
  const turned = sole && dims.length === 2 ? builder.transposed(x) : undefined;
  return turned ?? builder.value("Transpose", [x], spec, { perm: ints(dims) });
};

/** Stretched dims; those that stay are 1 in the shape that ONNX is given, so that it need not be computed. */
const expand: Translate = ({ builder, inputs: [x], outputs: [spec] }) => {
  const lead = spec.shape.length - x.shape.length;
  const target = spec.shape.map((size, d) => (d >= lead && sameSize(x.shape[d - lead], size) ? 1 : size));
  return builder.value("Expand", [x, builder.sizes(target)], spec);
};

const slice: Translate = (t) => {
  const { builder, inputs: [x], outputs: [spec] } = t;
  const [starts, sizes, steps] = [sizesAttr(t, "starts"), sizesAttr(t, "sizes"), fixedAttrs(t, "steps")];
  const dims = x.shape.flatMap((size, d) => (steps[d] === 1 && sameSize(sizes[d], size) ? [] : [d]));
  const ends = dims.map((d): Size => {
    const last = plus(starts[d], times(minus(sizes[d], 1), steps[d]));
    return steps[d] > 0 ? plus(last, 1) : minus(minus(last, 1), x.shape[d]); // backwards to before 0: counted from the end, since -1 would be the last element
  });
  const lists = [dims.map((d) => starts[d]), ends, dims, dims.map((d) => steps[d])].map((list) => builder.sizes(list));
  return builder.value("Slice", [x, ...lists], spec);
};

/** Windows as a gather: element k of window i is at i step + k dilation. */
const windows: Translate = (t) => {
  const { builder, inputs: [x], outputs: [spec] } = t;
  const [dim, size, step, dilation] = ["dim", "size", "step", "dilation"].map((name) => fixedAttr(t, name));
  const count = fixedSize(t, "windows", spec.shape[dim]);
  const index = builder.tensor({ dtype: "i32", shape: [count, size], data: Int32Array.from({ length: count * size }, (_, i) => Math.floor(i / size) * step + (i % size) * dilation) });
  const gathered = builder.value("Gather", [x, index], { dtype: x.dtype, shape: [] }, { axis: int(dim) }); // [..., count, size, ...]
  const order = [...spec.shape.keys()].filter((d) => d !== dim + 1);
  return builder.value("Transpose", [gathered], spec, { perm: ints([...order, dim + 1]) });
};

const cat: Translate = (t) => t.builder.value("Concat", t.inputs, t.outputs[0], { axis: int(fixedAttr(t, "dim")) });

const pad: Translate = (t) => {
  const { builder, inputs: [x], outputs: [spec] } = t;
  const pads = sizesAttr(t, "pads"); // low and high of each dim; ONNX wants all low ones first
  const list = builder.sizes([...pads.filter((_, i) => i % 2 === 0), ...pads.filter((_, i) => i % 2 === 1)]);
  return builder.value("Pad", [x, list, builder.scalar(fixedAttr(t, "value"), x.dtype)], spec);
};

const full: Translate = (t) => {
  const { builder, outputs: [spec] } = t;
  const value = factorAttr(t, "value");
  let one: Value;
  if (typeof value === "number") one = builder.scalar(value, spec.dtype);
  else {
    const size = builder.node("Squeeze", [builder.size("inverse" in value ? value.inverse : value)])[0];
    const number = builder.value("Cast", [size], { shape: [], dtype: spec.dtype }, to(spec.dtype));
    one = "inverse" in value ? builder.value("Reciprocal", [number], { shape: [], dtype: spec.dtype }) : number;
  }
  return spec.shape.length === 0 ? one : builder.value("Expand", [one, builder.sizes(spec.shape)], spec);
};

/** start + step * index along one dim, the same along the others. */
const iota: Translate = (t) => {
  const { builder, outputs: [spec] } = t;
  const dim = fixedAttr(t, "dim");
  const count = spec.shape[dim];
  const [start, step] = [sizeAttr(t, "start"), fixedAttr(t, "step")];
  const [from, end, by] = [start, plus(start, times(count, step)), step].map((size) => builder.node("Squeeze", [builder.size(size)])[0]);
  const range = builder.value("Cast", [builder.node("Range", [from, end, by])[0]], { shape: [count], dtype: "i32" }, to("i32"));
  const line = builder.reshape(range, spec.shape.map((_, d) => (d === dim ? count : 1)));
  const others = spec.shape.filter((size, d) => d !== dim && size !== 1);
  return others.length === 0 ? line : builder.value("Expand", [line, builder.sizes(spec.shape.map((size, d) => (d === dim ? 1 : size)))], spec);
};

/** Translators of what moves, joins and makes elements. */
export const movementOps: Translators = {
  reshape: ({ builder, inputs: [x], outputs: [{ shape }] }) => builder.reshape(x, shape),
  identity: onlyInput,
  detach: onlyInput,
  assign: onlyInput,
  permute,
  expand,
  slice,
  windows,
  cat,
  pad,
  full,
  iota,
};
