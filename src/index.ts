// The public surface. Folders are also there as subpaths (graftml/nn, graftml/optim, ...).
export { GraftError, type ErrorCode } from "./base/index.js";
export {
  defineOp, dtypes, fromData, isGradEnabled, noGrad, tensor, Tensor, traceLines,
  type Attrs, type DType, type GradientHook, type Nested, type Op, type Shape, type Spec, type TensorOptions, type TypedArray,
} from "./graph/index.js";
export {
  arange, assign, eye, F, full, getRandomState, linspace, manualSeed, ones, onesLike, rand, randint, randn, setRandomState, zeros, zerosLike,
  type CreateOptions, type Operand, type RandomState,
} from "./ops/index.js";
export { checkpoint, customGradient, grad, valueAndGrad, vjp, type BackwardOptions, type CustomContext } from "./autograd/index.js";
export {
  compile, currentBackend, gradcheck, hasNative, hasWasm, planCounters, profile, Profile, realize, realizeSync, tolerance, useBackend,
  type GradcheckOptions, type KernelProfile, type ModuleProfile, type OutsideProfile, type ProfileData, type ProfileOptions, type Trace, type TraceEvent,
} from "./runtime/index.js";
export * as nn from "./nn/index.js";
export * as optim from "./optim/index.js";
export * as io from "./io/index.js";
export * as data from "./data/index.js";
export * as models from "./models/index.js";
export * as train from "./train/index.js";
export * as tune from "./tune/index.js";
export { defineTraining } from "./cli/index.js";
