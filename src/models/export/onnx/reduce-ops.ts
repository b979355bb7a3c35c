import { float, int, ints, type Value } from "./builder.js";
import { fixedAttr, fixedAttrs, type Translate, type Translators } from "./ops.js";
import { sameSize } from "./size.js";

/** Reduced dims stay with size 1. ReduceSum takes its dims as an input since opset 13, the others since 18. */
const reduced =
  (op: string): Translate =>
  (t) =>
    t.builder.value(op, t.inputs, t.outputs[0], { axes: ints(fixedAttrs(t, "dims")), keepdims: int(1) });

/** The rows of a matrix [rows, n]: of the value that was reshaped to it, where that has rows of n too. */
function rowsOf(x: Value): Value {
  const { source } = x;
  return source !== undefined && source.shape.length > 0 && sameSize(source.shape[source.shape.length - 1], x.shape[1]) ? source : x;
}

const softmax: Translate = ({ builder, inputs: [x], attrs: { logarithm }, outputs: [spec] }) => {
  const along = (value: Value, axis: number): Value => builder.value(logarithm === true ? "LogSoftmax" : "Softmax", [value], value, { axis: int(axis) });
  return spec.shape.length === 3 ? along(x, 1) : builder.reshape(along(rowsOf(x), -1), spec.shape);
};

const norm: Translate = (t) => {
  const { builder, inputs: [x, ...parameters], attrs: { centred, weight, bias }, outputs: [spec] } = t;
  const rows = rowsOf(x);
  const eps = fixedAttr(t, "eps");
  const [w, b] = [weight === true ? parameters[0] : undefined, bias === true ? parameters[weight === true ? 1 : 0] : undefined];
  let y: Value;
  if (centred === true) {
    const n = x.shape[1] as number;
    const ones = w ?? builder.value("Expand", [builder.scalar(1, x.dtype), builder.sizes([n])], { shape: [n], dtype: x.dtype });
    y = builder.value("LayerNormalization", [rows, ones, ...(b === undefined ? [] : [b])], rows, { axis: int(-1), epsilon: float(eps) });
  } else {
    // x / sqrt(mean(x^2) + eps), in the form that ONNX Runtime makes one kernel of
    const one = { ...rows, shape: [...rows.shape.slice(0, -1), 1] };
    const mean = builder.value("ReduceMean", [builder.value("Pow", [rows, builder.scalar(2, x.dtype)], rows)], one, { axes: ints([-1]), keepdims: int(1) });
    const root = builder.value("Sqrt", [builder.value("Add", [mean, builder.scalar(eps, x.dtype)], one)], one);
    y = builder.value("Div", [rows, root], rows);
    if (w !== undefined) y = builder.value("Mul", [y, w], rows);
    if (b !== undefined) y = builder.value("Add", [y, b], rows);
  }
  return [builder.reshape(y, spec.shape), undefined];
};

/** Translators of what folds dims: sums, products of matrices, norms. */
export const reduceOps: Translators = {
  sum: (t) => t.builder.value("ReduceSum", [t.inputs[0], t.builder.sizes(fixedAttrs(t, "dims"))], t.outputs[0], { keepdims: int(1) }),
  prod: reduced("ReduceProd"),
  max: reduced("ReduceMax"),
  min: reduced("ReduceMin"),
  matmul: ({ builder, inputs, outputs: [spec] }) => builder.value("MatMul", inputs, spec),
  softmax,
  norm,
};
