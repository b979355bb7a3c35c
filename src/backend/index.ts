export { type Backend, type LoadedPlan } from "./backend.js";
export { cpuBackend, loadAddon, type Addon } from "./cpu/index.js";
export { referenceBackend } from "./reference/index.js";
