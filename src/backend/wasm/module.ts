import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { engine } from "./engine.js";

/** A function that multiplies and adds with f32x4.relaxed_madd: only an engine with relaxed SIMD finds it valid. */
const relaxedProbe = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0], // magic and version
  ...[1, 5, 1, 96, 0, 1, 123], // a type: () -> v128
  ...[3, 2, 1, 0], // a function of that type
  ...[10, 19, 1, 17, 0, 65, 0, 253, 15, 65, 0, 253, 15, 65, 0, 253, 15, 253, 133, 2, 11], // its code
);

const file = (name: string): string => fileURLToPath(new URL(`../../../build/wasm/${name}.wasm`, import.meta.url)); // src/backend/wasm and dist/backend/wasm are equally deep

/** The compiled kernels that fit this engine best, or the reason why there are none. */
export function loadModule(): { module: object } | { reason: string } {
  const names = engine.validate(relaxedProbe) ? ["graft-relaxed", "graft"] : ["graft"];
  const path = names.map(file).find((candidate) => existsSync(candidate));
  if (path === undefined) return { reason: "they were not built (npm run build:wasm builds them in a clone)" };
  try {
    return { module: new engine.Module(readFileSync(path)) };
  } catch (error) {
    return { reason: (error as Error).message };
  }
}
