// Where finished blocks of a product go: straight into the out view, or through the fused program.
#pragma once
#include "matmul_shape.h"
#include "program.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace gemm {

constexpr int64_t kRowsFrom = 1 << 20;     // bytes that a program reads and writes besides the product
constexpr int64_t kBandBytes = 2 << 20;    // of products that wait for it,
constexpr int64_t kBandMost = 8 << 20;     // or more where whole rows take more
constexpr int64_t kBandTask = 16384;       // elements per task of its pass

struct Output {
  const Product& p;
  int64_t bytes;                       // of one element
  bool isDirect;                       // the kernel may write (and accumulate) in the out view itself
  const Binding* binding = nullptr;    // otherwise
  int64_t memoryBytes = 0;             // that a worker's ProgramRunner needs

  Output(const Product& p_, DType own, const View& out, bool hasProgram)
      : p(p_), bytes(elementBytes(out.dtype)), isDirect(!hasProgram && out.dtype == own && p_.outCol == 1) {}
  void bind(const Binding& b) { binding = &b, memoryBytes = b.memoryBytes; }

  void* at(int64_t z, int64_t row, int64_t col) const { return p.out + (p.offset(z, p.outBatch) + row * p.outRow + col * p.outCol) * bytes; }

  // f(runner), runner being NULL where no program runs.
  template <class F> void withRunner(void* memory, const F& f) const {
    if (!binding) return f(static_cast<ProgramRunner*>(nullptr));
    ProgramRunner runner(*binding, memory);
    f(&runner);
  }

  // What the program touches of the tile that begins at (row, col), but for rows and numbers that all tiles share.
  void fetchesAhead(Ahead& ahead, int64_t z, int64_t row, int64_t col) const {
    for (int o = 1; o < binding->inputCount + binding->storeCount; o++) {
      const Binding::Operand& x = binding->operand[o];
      if (!x.isMatrix() || !x.isFlat) continue;
      ahead.add(x.base + ((z * p.M + row) * x.rowStride + col * x.colStride) * x.bytes, x.rowStride * x.bytes, x.colStride * x.bytes);
    }
  }

  // Whether the program goes through so much memory that it is to be read and written in whole rows.
  bool wantsRows() const {
    if (!binding) return false;
    int64_t matrices = 0;
    for (int o = 1; o < binding->inputCount + binding->storeCount; o++) matrices += binding->operand[o].isMatrix();
    return matrices * p.M * p.N * bytes >= kRowsFrom;
  }

  // Rows [row, row + rows) and columns [col, col + cols) of matrix z; c holds them, its rows ldc elements apart.
  void write(ProgramRunner* runner, int64_t z, int64_t row, int64_t rows, int64_t col, int64_t cols, const void* c, int64_t ldc) const {
    if (runner) return runner->run(z * p.M + row, rows, col, cols, c, ldc);
    for (int64_t r = 0; r < rows; r++) memcpy(at(z, row + r, col), static_cast<const char*>(c) + r * ldc * bytes, size_t(cols * bytes));
  }
};

static inline int memoryShort(const Context& context) {
  __builtin_snprintf(context.error, context.errorLength, "matmul: no memory for its working buffers");
  return 1;
}

// sum[i] = from[i] + from[stride + i] + ... over `pieces`, in this order.
template <class T> static void addUp(T* sum, const T* from, int64_t stride, int64_t pieces, int64_t n) {
  constexpr int L = kLanes<T>;
  int64_t i = 0;
  for (; i + L <= n; i += L) {
    Vec<T> v = load(from + i);
    for (int64_t p = 1; p < pieces; p++) v += load(from + p * stride + i);
    store(sum + i, v);
  }
  for (; i < n; i++) {
    T x = from[i];
    for (int64_t p = 1; p < pieces; p++) x += from[p * stride + i];
    sum[i] = x;
  }
}

}  // namespace gemm
}  // namespace GRAFT_ISA_NS
}  // namespace graft
