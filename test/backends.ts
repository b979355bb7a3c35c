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

/**
 * What a bound measured with fused multiply-adds is to be multiplied with in f32: WebAssembly's SIMD (like GRAFT_ISA=scalar) rounds the product, then the
 * sum, so results that many of them lead to are off by up to twice as much.
 */
export const roundings = wasm ? 2 : 1;
