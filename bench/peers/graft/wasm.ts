// main.ts with the kernels in WebAssembly.
process.env.GRAFT_BACKEND = "wasm";
await import("./main.js");
