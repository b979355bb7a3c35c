import { each, matrix, normal, positive, type FunctionDeclaration } from "./declare.js";

export const elementwise: readonly FunctionDeclaration[] = [
  ...each("exp tanh sigmoid relu silu mish gelu_tanh sin square abs softplus elu erf hardswish leaky_relu", matrix),
  { name: "clamp", inputs: [matrix], note: "from -0.5 to 0.5" },
  ...each("atan floor neg", matrix),
  ...each("log sqrt rsqrt pow_1_5 reciprocal", positive(1024, 1024)),
  ...each("add mul", matrix, matrix),
  ...each("div", matrix, positive(1024, 1024)),
  ...each("maximum hypot atan2", matrix, matrix),
  { name: "add_row", call: "add", inputs: [matrix, normal(1024)] },
  { name: "add_column", call: "add", inputs: [matrix, normal(1024, 1)] },
  ...each("outer", normal(1024), normal(1024)),
  { name: "where", inputs: [matrix, matrix], note: "a where a > 0, otherwise b" },
  { name: "lerp", inputs: [matrix, matrix], note: "weight 0.3" },
  { name: "fused", inputs: [matrix, matrix, matrix], note: "tanh(a * b + c) * a" },
  { name: "glu", inputs: [matrix], options: { dim: 1 } },
];
