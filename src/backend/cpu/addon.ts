import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

/** What kernels/bind/napi.cc exports. */
export interface Addon {
  abiVersion(): number;
  isa(): string;
  threads(): number;
  setThreads(count: number): void;
  setProfile(on: boolean): void;
  hasKernel(name: string): boolean;
  loadPlan(code: Float64Array, names: readonly string[]): object;
  run(plan: object, slots: readonly ArrayBufferView[], checkFinite: boolean): Promise<number>;
  runSync(plan: object, slots: readonly ArrayBufferView[], checkFinite: boolean): number;
  waitIdle(): void;
  planTimes(plan: object): Float64Array;
  allocate(bytes: number): ArrayBuffer;
}

const abiVersion = 1;

/** Loads the compiled kernels, or says why they cannot be. */
export function loadAddon(): { addon: Addon } | { reason: string } {
  const path = fileURLToPath(new URL("../../../build/Release/graft.node", import.meta.url)); // src/backend/cpu and dist/backend/cpu are equally deep
  if (!existsSync(path)) return { reason: "it was not built (npm rebuild graftml builds it)" };
  try {
    const addon = createRequire(import.meta.url)(path) as Addon;
    if (addon.abiVersion() !== abiVersion) return { reason: `it was built for another version of Graft (${addon.abiVersion()}, this is ${abiVersion}; npm rebuild graftml builds it again)` };
    return { addon };
  } catch (error) {
    return { reason: (error as Error).message };
  }
}
