export { type Addon } from "./addon.js";
export { type Backend, type LoadedPlan } from "./backend.js";
export { cpuBackend, loadAddon } from "./cpu/index.js";
export { referenceBackend } from "./reference/index.js";
export { loadWasm, wasmBackend } from "./wasm/index.js";
