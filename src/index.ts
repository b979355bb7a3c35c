export { GraftError, type ErrorCode } from "./base/index.js";
export * from "./graph/index.js";
export * from "./autograd/index.js";
export * from "./runtime/index.js";
export * from "./ops/index.js";
