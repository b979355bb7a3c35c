import type { DType } from "../../../graph/index.js";
import { isFloat } from "../../../graph/index.js";
import { int, type Value } from "./builder.js";
import type { Translate, Translators } from "./ops.js";

/** Ops that ONNX has under another name; all broadcast as Graft's do. */
const same: Readonly<Record<string, string>> = {
  eq: "Equal", lt: "Less", le: "LessOrEqual", gt: "Greater", ge: "GreaterOrEqual", not: "Not", and: "And", or: "Or", xor: "Xor", isnan: "IsNaN", where: "Where",
  add: "Add", sub: "Sub", mul: "Mul", div: "Div", intDiv: "Div", pow: "Pow", maximum: "Max", minimum: "Min",
  neg: "Neg", abs: "Abs", sign: "Sign", floor: "Floor", ceil: "Ceil", round: "Round", relu: "Relu", exp: "Exp", log: "Log", sqrt: "Sqrt", reciprocal: "Reciprocal",
  sin: "Sin", cos: "Cos", tan: "Tan", asin: "Asin", acos: "Acos", atan: "Atan", sinh: "Sinh", cosh: "Cosh", tanh: "Tanh", sigmoid: "Sigmoid", softplus: "Softplus", erf: "Erf",
}; // prettier-ignore

const plain =
  (op: string): Translate =>
  ({ builder, inputs, outputs: [spec] }) =>
    builder.value(op, inputs, spec);

/** f(x) as a few operations on values of x's shape; numbers take its dtype. */
const composed =
  (body: (apply: (op: string, ...inputs: (Value | number)[]) => Value, x: Value) => Value): Translate =>
  ({ builder, inputs: [x], outputs: [spec] }) =>
    body((op, ...inputs) => builder.value(op, inputs.map((input) => (typeof input === "number" ? builder.scalar(input, x.dtype) : input)), spec), x);

/** Translators of the element-wise ops. */
export const scalarOps: Translators = {
  ...Object.fromEntries(Object.entries(same).map(([name, op]) => [name, plain(op)])),
  ne: ({ builder, inputs, outputs: [spec] }) => builder.value("Not", [builder.value("Equal", inputs, spec)], spec),
  cast: ({ builder, inputs: [x], attrs: { dtype } }) => builder.cast(x, dtype as DType),
  copy: ({ inputs: [x] }) => x,
  square: composed((apply, x) => apply("Mul", x, x)),
  expm1: composed((apply, x) => apply("Sub", apply("Exp", x), 1)),
  log1p: composed((apply, x) => apply("Log", apply("Add", x, 1))),
  rsqrt: composed((apply, x) => apply("Reciprocal", apply("Sqrt", x))),
  trunc: composed((apply, x) => apply("Mul", apply("Sign", x), apply("Floor", apply("Abs", x)))),
  logSigmoid: composed((apply, x) => apply("Neg", apply("Softplus", apply("Neg", x)))), // ln sigmoid(x) = -ln(1 + e^-x)
  // The forms in which ONNX Runtime knows them as one kernel.
  silu: composed((apply, x) => apply("Mul", x, apply("Sigmoid", x))),
  gelu: composed((apply, x) => apply("Mul", apply("Mul", x, apply("Add", apply("Erf", apply("Div", x, Math.SQRT2)), 1)), 0.5)),
  geluTanh: composed((apply, x) => {
    const inner = apply("Mul", apply("Add", x, apply("Mul", apply("Pow", x, 3), 0.044715)), Math.sqrt(2 / Math.PI));
    return apply("Mul", apply("Mul", x, 0.5), apply("Add", apply("Tanh", inner), 1));
  }),
  // a - b floor(a / b); ONNX's Mod does that for integers only
  mod: ({ builder, inputs: [a, b], outputs: [spec] }) => {
    if (!isFloat(spec.dtype)) return builder.value("Mod", [a, b], spec, { fmod: int(0) });
    const quotient = builder.value("Floor", [builder.value("Div", [a, b], spec)], spec);
    return builder.value("Sub", [a, builder.value("Mul", [b, quotient], spec)], spec);
  },
};
