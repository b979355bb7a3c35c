import "./backward.js"; // adds Tensor.backward
export { type BackwardOptions } from "./backward.js";
export { checkpoint, customGradient, type CustomContext } from "./custom.js";
export { differentiate } from "./differentiate.js";
export { grad, valueAndGrad, vjp } from "./functional.js";
