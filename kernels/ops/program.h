// The tile interpreter: runs a fused program over an iteration space, a tile that fits in L1 at a time.
//
// The space is seen as `rows` x `cols`: cols is the (collapsed) last dimension, rows the flattened rest. A tile is a rectangle of rows and columns,
// packed row after row into registers of up to `tileLength` elements. An input that is already packed like this in memory is used in place,
// a broadcast scalar is filled once, anything else is filled per tile; a result whose memory is packed is computed straight into it.
//
// How map, reduce and the GEMM and convolution epilogues use it:
//   Binding binding;                                                  // on the stack, built once per step, shared by all workers
//   if (!bindEpilogue(binding, step.program, RegisterClass::F32,      // class of the product (F64 for a double product)
//                     step.in + 2, step.inCount - 2, step.out, step.outCount, context)) return 1;
//   // per worker (inside parallelFor): memory of binding.memoryBytes, 64-byte aligned, the worker's own
//   ProgramRunner runner(binding, memory);
//   runner.run(row, rowCount, col, colCount, product, productStride); // row counts through [batch..., M], col through N;
//                                                                     // product: element (row, col), rows productStride elements apart
// run() stores to the out views. It accepts a rectangle of any size; whole multiples of a vector in width are fastest.
// step.program may be NULL: then the product itself is stored (converted to the out view's dtype).
#pragma once
#include "scalar_ops.h"
