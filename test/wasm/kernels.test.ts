// The suites of the native kernels once more, with the same kernels in WebAssembly.
process.env.GRAFT_BACKEND = "wasm";
await import("../native/map.test.js");
await import("../native/math.test.js");
await import("../native/plan-fuzz.test.js");
await import("../native/random.test.js");
await import("../native/reduce.test.js");
await import("../plan/random-graphs.test.js");
