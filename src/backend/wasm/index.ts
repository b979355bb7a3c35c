import type { Backend } from "../backend.js";
import { kernelBackend } from "../kernels.js";
import type { WasmAddon } from "./addon.js";
import { wasmMemory } from "./memory.js";

export { loadWasm, type WasmAddon } from "./addon.js";

/** The C++ kernels in WebAssembly. */
export const wasmBackend = (addon: WasmAddon): Backend => kernelBackend("wasm", addon, wasmMemory(addon));
