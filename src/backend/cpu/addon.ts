import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { abiVersion, type Addon } from "../addon.js";

/** What kernels/bind/napi.cc exports. */
export interface NativeAddon extends Addon {
  allocate(bytes: number): ArrayBuffer;
}

/** Loads the compiled kernels, or says why they cannot be. */
export function loadAddon(): { addon: NativeAddon } | { reason: string } {
  const path = fileURLToPath(new URL("../../../build/Release/graft.node", import.meta.url)); // src/backend/cpu and dist/backend/cpu are equally deep
  if (!existsSync(path)) return { reason: "it was not built (npm rebuild graftml builds it)" };
  try {
    const addon = createRequire(import.meta.url)(path) as NativeAddon;
    if (addon.abiVersion() !== abiVersion) return { reason: `it was built for another version of Graft (${addon.abiVersion()}, this is ${abiVersion}; npm rebuild graftml builds it again)` };
    return { addon };
  } catch (error) {
    return { reason: (error as Error).message };
  }
}
