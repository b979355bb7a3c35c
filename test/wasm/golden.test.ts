// What PyTorch computed, and with the kernels in WebAssembly.
process.env.GRAFT_BACKEND = "wasm";
await import("../golden/extra.test.js");
await import("../golden/models.test.js");
await import("../golden/ops.test.js");
await import("../golden/optim.test.js");
