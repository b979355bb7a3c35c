// What a kernel sees. Include this and simd/vec.h only: kernels are compiled once per instruction set, each in its own namespace, so a
// kernel file must not use inline functions of the standard library (the linker would merge copies built for different machines).
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace graft {

enum class DType : int32_t { F32 = 0, F64 = 1, I32 = 2, U8 = 3, Bool = 4, BF16 = 5, F16 = 6 };
constexpr int kMaxRank = 8;

struct View {
  DType dtype;
  int32_t rank;
  int32_t buffer;               // -2: virtual index, see abi/encoding.md
  int64_t offset;               // bytes into the buffer
  int64_t shape[kMaxRank];
  int64_t stride[kMaxRank];     // in elements
  void* data;                   // resolved before each run (buffer start + offset)
};

struct Instr {
  int32_t opcode;               // resolved when the plan is loaded
  int32_t dst, a, b, c;
  double immediate;
};

struct Program {
  int32_t inputCount, registerCount, instrCount, storeCount;
  const Instr* instrs;
  const int32_t* stores;
  DType productType;            // what register 0 of an epilogue holds: f64 where one of the kernel's own inputs is, otherwise f32
};

// Work is cut by size, never by thread: body(begin, end, worker) gets ranges of `grain` items, so results do not depend on the number of threads.
// `worker` is 0..threads-1 and serves to index scratch memory only.
struct Context {
  void (*parallelFor)(void* pool, int64_t count, int64_t grain, void (*body)(void* state, int64_t begin, int64_t end, int worker), void* state);
  void* (*scratch)(void* pool, int worker, uint64_t bytes);   // 64-byte aligned, one block per worker, valid until the step ends or it asks again; NULL when memory is short
  void* pool;
  int threads;
  char* error;                  // a kernel that fails writes its message here and returns nonzero
  size_t errorLength;
};

struct Step {
  const View* in;
  const View* out;
  int32_t inCount, outCount;
  const double* attrs;
  int32_t attrCount;
  const Program* program;       // decoded from attrs where the step has one, otherwise NULL; attrs before it are the kernel's own
};

using KernelFn = int (*)(const Step&, const Context&);

// `ownInputs` is -1 for a kernel whose program takes all its views (map, reduce). A kernel with an epilogue says how many inputs are its own:
// its program has the product in register 0 and the views behind them in the others. Programs are checked against that when a plan is loaded.
struct KernelEntry { const char* name; KernelFn run; int32_t ownInputs = -1; };

// A lambda-friendly wrapper over Context::parallelFor (no std::function).
template <class F>
inline void parallelFor(const Context& context, int64_t count, int64_t grain, const F& body) {
  if (count <= 0) return;
  context.parallelFor(context.pool, count, grain,
      [](void* state, int64_t begin, int64_t end, int worker) { (*static_cast<const F*>(state))(begin, end, worker); }, const_cast<F*>(&body));
}

}  // namespace graft
