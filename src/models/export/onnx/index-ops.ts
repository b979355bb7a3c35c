import type { SymbolicSpec } from "./align.js";
import { int, text, to, type GraphBuilder, type Value } from "./builder.js";
import { fixedAttr, fixedSize, sizeAttr, type Translate, type Translators } from "./ops.js";
import type { Size } from "./size.js";

const along =
  (op: string): Translate =>
  (t) =>
    t.builder.value(op, t.inputs, t.outputs[0], { axis: int(fixedAttr(t, "dim")) });

/** Indices come out of ONNX with 64 bits. */
const indices = (builder: GraphBuilder, name: string, spec: SymbolicSpec): Value => builder.value("Cast", [name], spec, to("i32"));

const argreduce: Translate = (t) => {
  const { builder, inputs: [x], attrs: { largest }, outputs: [spec] } = t;
  const [name] = builder.node(largest === true ? "ArgMax" : "ArgMin", [x.name], { axis: int(fixedAttr(t, "dim")), keepdims: int(1) });
  return indices(builder, name, spec);
};

const best =
  (largest: "largest" | "descending", count: (t: Parameters<Translate>[0], dim: number) => Size): Translate =>
  (t) => {
    const { builder, inputs: [x], attrs, outputs: [values, places] } = t;
    const dim = fixedAttr(t, "dim");
    const [first, second] = builder.node("TopK", [x.name, builder.size(count(t, dim))], { axis: int(dim), largest: int(attrs[largest] === true ? 1 : 0), sorted: int(1) }, 2);
    return [{ name: first, ...values }, indices(builder, second, places)];
  };

const scatter =
  (reduction: "none" | "add"): Translate =>
  (t) =>
    t.builder.value("ScatterElements", t.inputs, t.outputs[0], { axis: int(fixedAttr(t, "dim")), reduction: text(reduction) });

/** 1 where the label is the class; ONNX Runtime has its own OneHot for few types only. */
const oneHot: Translate = (t) => {
  const { builder, inputs: [x], outputs: [spec] } = t;
  const classes = fixedAttr(t, "classes");
  const numbers = builder.tensor({ dtype: "i32", shape: [classes], data: Int32Array.from({ length: classes }, (_, i) => i) });
  const column = builder.reshape(x, [...x.shape, 1]);
  return builder.cast(builder.value("Equal", [column, numbers], { ...spec, dtype: "bool" }), "i32");
};

const cumsum: Translate = (t) => {
  const { builder, inputs: [x], attrs: { reverse }, outputs: [spec] } = t;
  return builder.value("CumSum", [x, builder.scalar(fixedAttr(t, "dim"), "i32")], spec, { reverse: int(reverse === true ? 1 : 0) });
};

/** Translators of what looks up, sorts and counts. */
export const indexOps: Translators = {
  embedding: along("Gather"),
  indexSelect: along("Gather"),
  gather: along("GatherElements"),
  scatter: scatter("none"),
  scatterAdd: scatter("add"),
  topk: best("largest", (t) => sizeAttr(t, "k")),
  sort: best("descending", (t, dim) => fixedSize(t, "dim", t.inputs[0].shape[dim])),
  argreduce,
  oneHot,
  cumsum,
};
