import { env, GraftError } from "../base/index.js";
import { cpuBackend, loadAddon, referenceBackend, type Backend } from "../backend/index.js";

let current: Backend | undefined;

function choose(): Backend {
  if (env.backend === "reference") return referenceBackend;
  const loaded = loadAddon();
  if ("addon" in loaded) return cpuBackend(loaded.addon);
  if (env.backend === "cpu") throw new GraftError("backend", `GRAFT_BACKEND=cpu: the native kernels cannot be used: ${loaded.reason}. Fix that, or unset GRAFT_BACKEND.`);
  process.stderr.write(`graft: the native kernels cannot be used: ${loaded.reason}. The slow reference backend takes over.\n`);
  return referenceBackend;
}

/** The backend that runs plans: the native kernels, or the reference where they are missing (said once) or `GRAFT_BACKEND` asks for it. */
export function currentBackend(): Backend {
  return (current ??= choose());
}

/** Switches to another backend by name; undefined goes back to the default. Values computed so far stay. */
export function useBackend(name: "cpu" | "reference" | undefined): void {
  current?.waitIdle();
  if (name === undefined) current = undefined;
  else if (name === "reference") current = referenceBackend;
  else {
    const loaded = loadAddon();
    if (!("addon" in loaded)) throw new GraftError("backend", `useBackend: the native kernels cannot be used: ${loaded.reason}. Build them, or use "reference".`);
    current = cpuBackend(loaded.addon);
  }
}

/** Whether the native kernels are there. */
export const hasNative = (): boolean => "addon" in loadAddon();
