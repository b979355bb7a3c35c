export { type HasModules } from "./paths.js";
export { Profile, type ProfileData } from "./profile.js";
export { type KernelProfile, type ModuleProfile, type OutsideProfile } from "./rows.js";
export { checkSteps, openProfile, profile, type ProfileOptions, type ProfileSteps } from "./run.js";
export { addSpan, profiling, timed } from "./session.js";
export { type Trace, type TraceEvent } from "./trace.js";
