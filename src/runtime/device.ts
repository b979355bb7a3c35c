import { env, GraftError } from "../base/index.js";
import { cpuBackend, loadAddon, loadWasm, referenceBackend, wasmBackend, type Backend } from "../backend/index.js";

/** Backends by name: the native kernels, the same kernels in WebAssembly, and the slow oracle. */
export type BackendName = "cpu" | "wasm" | "reference";

let current: Backend | undefined;
let wasm: Backend | undefined; // one for the process: values stay in its memory

/** A backend, or the reason why it cannot be used. */
function load(name: BackendName): Backend | string {
  if (name === "reference") return referenceBackend;
  if (name === "cpu") {
    const loaded = loadAddon();
    return "addon" in loaded ? cpuBackend(loaded.addon) : `the native kernels cannot be used: ${loaded.reason}`;
  }
  if (wasm !== undefined) return wasm;
  const loaded = loadWasm();
  return "addon" in loaded ? (wasm = wasmBackend(loaded.addon)) : `the WebAssembly kernels cannot be used: ${loaded.reason}`;
}

function choose(): Backend {
  const asked = env.backend;
  if (asked !== "auto") {
    const backend = load(asked);
    if (typeof backend === "string") throw new GraftError("backend", `GRAFT_BACKEND=${asked}: ${backend}. Fix that, or unset GRAFT_BACKEND.`);
    return backend;
  }
  const cpu = load("cpu");
  if (typeof cpu !== "string") return cpu;
  const second = load("wasm");
  if (typeof second !== "string") {
    process.stderr.write(`graft: ${cpu}. The same kernels in WebAssembly take over, which is slower.\n`);
    return second;
  }
  process.stderr.write(`graft: ${cpu}; ${second}. The slow reference backend takes over.\n`);
  return referenceBackend;
}

/** The backend that runs plans: `GRAFT_BACKEND`, or the native kernels; where they are missing, those in WebAssembly or the reference (said once). */
export function currentBackend(): Backend {
  return (current ??= choose());
}

/** Switches to another backend by name; undefined goes back to the default. Values computed so far stay. */
export function useBackend(name: BackendName | undefined): void {
  current?.waitIdle();
  if (name === undefined) return void (current = undefined);
  const backend = load(name);
  if (typeof backend === "string") throw new GraftError("backend", `useBackend: ${backend}. Build them, or use "reference".`);
  current = backend;
}

/** Whether the native kernels are there. */
export const hasNative = (): boolean => typeof load("cpu") !== "string";

/** Whether the kernels are there in WebAssembly. */
export const hasWasm = (): boolean => typeof load("wasm") !== "string";
