import "./methods.js";
export { tolerance } from "./compare.js";
export { compile } from "./compile.js";
export { currentBackend, hasNative, hasWasm, useBackend, type BackendName } from "./device.js";
export { gradcheck, type GradcheckOptions } from "./gradcheck.js";
export { discardPending, planOf, type PlanInfo } from "./inspect.js";
export { memoryLimit, planBytes, planCounters } from "./plans.js";
export {
  addSpan, checkSteps, openProfile, profile, Profile, profiling, timed,
  type HasModules, type KernelProfile, type ModuleProfile, type OutsideProfile, type ProfileData, type ProfileOptions, type ProfileSteps, type Trace, type TraceEvent,
} from "./profile/index.js";
export { realize, realizeSync } from "./realize.js";
