import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Before all tests: the kernels in WebAssembly, where they were never built (after a change of C++, `npm run build:wasm` builds them again). */
export function setup(): void {
  const at = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));
  if (existsSync(at("build/wasm/graft.wasm"))) return;
  spawnSync(process.execPath, [at("scripts/build-wasm.mjs"), "--plain"], { stdio: "inherit" });
}
