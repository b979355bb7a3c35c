import { Worker } from "node:worker_threads";
import { engine, type SharedMemory } from "./engine.js";

/** What kernels/abi/graft.h and kernels/bind/wasm.cc export. Addresses above 2 GiB come as negative numbers. */
export interface Exports {
  _initialize(): void;
  graft_abi_version(): number;
  graft_plan_load(code: number, length: number, names: number, nameCount: number, error: number, errorLength: number): number;
  graft_plan_run(plan: number, slots: number, slotBytes: number, slotCount: number, checkFinite: number, error: number, errorLength: number): number;
  graft_plan_times(plan: number, nanoseconds: number, capacity: number): number;
  graft_plan_free(plan: number): void;
  graft_has_kernel(name: number): number;
  graft_isa(): number;
  graft_set_threads(count: number): void;
  graft_threads(): number;
  graft_set_profile(on: number): void;
  graft_allocate(bytes: number): number;
  graft_free(address: number, bytes: number): void;
  graft_thread(start: number): void;
  graft_thread_failed(): void;
}

export interface Instance {
  readonly memory: SharedMemory;
  readonly exports: Exports;
}

/** In pages of 64 KiB, as scripts/build-wasm.mjs has them: 16 MiB to begin with, 4 GiB at most. */
const pages = { initial: 256, maximum: 65536 };
const stackBytes = 1 << 20;

/**
 * One more instance of the module on the same memory, in a thread of its own, as plain text: it must not wait for a TypeScript loader. If it ever traps,
 * the threads that wait for it have to be told.
 */
const threadSource = `
const { workerData: { module, memory, start, stack, tls } } = require("node:worker_threads");
const { exports } = new WebAssembly.Instance(module, {
  env: { memory },
  graft: { start_thread: () => 0, now: () => performance.now() * 1e6 },
  wasi_snapshot_preview1: new Proxy({}, { get: () => () => 52 }),
});
exports.__stack_pointer.value = stack;
exports.__wasm_init_tls(tls);
try {
  exports.graft_thread(start);
} catch (error) {
  exports.graft_thread_failed();
  throw error;
}`;

/** Starts the module, with threads as it asks for them. */
export function instantiate(module: object): Instance {
  const memory = new engine.Memory({ ...pages, shared: true }); // shared memory never moves when it grows: views on it stay good
  const startThread = (start: number): number => {
    const base = exports.graft_allocate(stackBytes) >>> 0;
    if (base === 0) return 0;
    const free = (): void => exports.graft_free(base, stackBytes);
    try {
      // The thread's variables lie at the low end, the stack grows down from the high end.
      const worker = new Worker(threadSource, { eval: true, execArgv: [], name: "graft kernels", workerData: { module, memory, start, stack: base + stackBytes, tls: base } });
      worker.unref(); // a thread that waits for work does not keep the process alive
      worker.on("error", () => undefined); // the run that it broke says so
      worker.on("exit", free);
      return 1;
    } catch {
      free();
      return 0;
    }
  };
  const instance = new engine.Instance(module, {
    env: { memory },
    graft: { start_thread: startThread, now: () => performance.now() * 1e6 },
    // The C library asks for files and the environment, of which there are none here: 52 says so.
    wasi_snapshot_preview1: new Proxy({}, { get: () => () => 52 }),
  });
  const exports = instance.exports as unknown as Exports;
  exports._initialize();
  return { memory, exports };
}
