// The suites of the ops, with the kernels in WebAssembly.
process.env.GRAFT_BACKEND = "wasm";
await import("../../src/ops/attention.test.js");
await import("../../src/ops/batch-norm.test.js");
await import("../../src/ops/conv.test.js");
await import("../../src/ops/cross-entropy.test.js");
await import("../../src/ops/ctc.test.js");
await import("../../src/ops/gated.test.js");
await import("../../src/ops/gather.test.js");
await import("../../src/ops/linalg.test.js");
await import("../../src/ops/norm.test.js");
await import("../../src/ops/pool.test.js");
await import("../../src/ops/quant.test.js");
await import("../../src/ops/shape.test.js");
await import("../../src/ops/short-rows.test.js");
await import("../../src/ops/softmax.test.js");
await import("../../src/ops/sort.test.js");
