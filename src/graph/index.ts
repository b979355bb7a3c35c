export * from "./dtype.js";
export * from "./node.js";
export * from "./op.js";
export * from "./record.js";
export { currentScope, gradientScope, inScope, scoped, scopesOn, setScope, type Owner, type Pass, type Scope } from "./scope.js";
export * from "./shape.js";
export * from "./spec.js";
export * from "./tensor.js";
export * from "./keep.js";
