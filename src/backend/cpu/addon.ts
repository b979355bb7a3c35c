import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type { TypedArray } from "../../graph/index.js";
import { abiVersion, type Addon } from "../addon.js";

/** What kernels/bind/napi.cc exports. */
export interface NativeAddon extends Addon {
  /**
   * Memory for `length` elements whose content is anything; `dtype` as in plans. It goes to another result when nobody holds the view any more, whoever may
   * hold its buffer. `collect` collects all garbage, or what was made lately; it is called where that is worth its time.
   */
  allocate(dtype: number, length: number, collect?: (all: boolean) => void): TypedArray;
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
