import { hasNative, hasWasm } from "graftml";

/** The tests in test/wasm run whole suites once more, with the kernels in WebAssembly: they set GRAFT_BACKEND and import the suites. */
const wasm = process.env.GRAFT_BACKEND === "wasm";

/** The backends that a suite of this process is about, whether or not this machine has them. */
export const suiteBackends: readonly ("reference" | "cpu" | "wasm")[] = wasm ? ["wasm"] : ["reference", "cpu"];

/** Whether a backend can be used here. */
export const hasBackend = (name: (typeof suiteBackends)[number]): boolean => name === "reference" || (name === "cpu" ? hasNative() : hasWasm());

/** Those of {@link suiteBackends} that this machine has. */
export const backendNames = suiteBackends.filter(hasBackend);

/** The one that runs the kernels. */
export const kernelBackend: "wasm" | "cpu" = wasm ? "wasm" : "cpu";
export const hasKernels = hasBackend(kernelBackend);

/** The golden case of f32 that WebAssembly's SIMD does not meet: like GRAFT_ISA=scalar it has no fused multiply-add and rounds the product as well. */
const missed = ["LBFGS"];

/** What the bound of a golden case is multiplied with: 1 but for that, which stays within twice its bound (docs/roadmap.md, known limits). */
export const roundings = (name: string): number => (wasm && missed.some((part) => name.includes(part)) ? 2 : 1);
