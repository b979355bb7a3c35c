// What both passes of attention are given, and their working memory.
//   s = scale q k^T, blocked where key > query (causal) or the mask is 0;  w = e^s / sum e^s;  y = w v
#pragma once
#include "gemm_pack.h"
#include "rows.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace attention {

// Rows of one head: element (row, col) at data[row * rowStride + col * colStride].
template <class T> struct Rows {
  const T* data;
  int64_t row, col;
  // As the left factor of a product from row `from` on, as it is and transposed, and as the right one: its rows, or its columns, are the steps of the sum.
  gemm::Side<T> left(int64_t from) const { return gemm::Side<T>::direct(data + from * row, row, col); }
  gemm::Side<T> columns(int64_t from) const { return gemm::Side<T>::direct(data + from * row, col, row); }
  gemm::Operand byRows(DType dtype) const { return {data, dtype, col, row}; }
  gemm::Operand byColumns(DType dtype) const { return {data, dtype, row, col}; }
};

struct Problem {
  int64_t B, H, keyHeads, T, S, E, D;
  double scale;
  bool causal;
  DType dtype;
  double dropout;           // probability that a weight is dropped
  uint32_t key[4];          // of what is dropped
  int64_t randomBlocks;     // of a query's weights, four to a block
  const View* mask;   // bool, broadcast to [B, H, T, S]; NULL where there is none

  int64_t group() const { return H / keyHeads; }
  // How many of the n keys from j on query t sees.
  int64_t visible(int64_t t, int64_t j, int64_t n) const { return !causal || t + 1 - j >= n ? n : t + 1 > j ? t + 1 - j : 0; }

  template <class T> Rows<T> rowsOf(const View& x, int64_t b, int64_t h) const {
    return {static_cast<const T*>(x.data) + b * x.stride[0] + h * x.stride[1], x.stride[2], x.stride[3]};
  }
};

static inline bool isHeads(const View& x, DType dtype, int64_t B, int64_t H, int64_t rowCount, int64_t cols) {
  return x.rank == 4 && x.buffer != -2 && x.dtype == dtype && x.shape[0] == B && x.shape[1] == H && x.shape[2] == rowCount && x.shape[3] == cols;
}

// in: q [B, H, T, E], k [B, Hk, S, E], v [B, Hk, S, D], `further` views, the key i32 [4] where there is dropout, the mask where there is one
// attrs: scale, causal, dropout
static inline bool describe(const Step& step, int further, Problem& p) {
  if (step.attrCount != 3) return false;
  p.dropout = step.attrs[2];
  if (!(p.dropout >= 0 && p.dropout <= 1)) return false;
  const int given = 3 + further + (p.dropout > 0);
  if (step.inCount != given && step.inCount != given + 1) return false;
  const View &q = step.in[0], &k = step.in[1], &v = step.in[2];
  if (q.rank != 4 || k.rank != 4 || v.rank != 4 || (q.dtype != DType::F32 && q.dtype != DType::F64)) return false;
  p.dtype = q.dtype;
  p.B = q.shape[0], p.H = q.shape[1], p.T = q.shape[2], p.E = q.shape[3];
  p.keyHeads = k.shape[1], p.S = k.shape[2], p.D = v.shape[3];
  p.scale = step.attrs[0], p.causal = step.attrs[1] != 0;
  if (!(p.scale > 0)) return false;   // so that the largest score is the largest when scaled, and what is blocked stays so
  if (p.B < 1 || p.H < 1 || p.T < 1 || p.S < 1 || p.E < 1 || p.D < 1 || p.keyHeads < 1 || p.H % p.keyHeads != 0) return false;
  if (!isHeads(q, p.dtype, p.B, p.H, p.T, p.E) || !isHeads(k, p.dtype, p.B, p.keyHeads, p.S, p.E) || !isHeads(v, p.dtype, p.B, p.keyHeads, p.S, p.D)) return false;
  p.randomBlocks = (p.S + 3) / 4;
  if (p.dropout > 0) {
    const View& key = step.in[given - 1];
    if (!rows::isVector(key, DType::I32, 4)) return false;
    memcpy(p.key, key.data, sizeof p.key);
  }
  p.mask = step.inCount > given ? &step.in[given] : nullptr;
  return !p.mask || isHeads(*p.mask, DType::Bool, p.B, p.H, p.T, p.S);
}

// [B, rowCount, H, cols], as results are stored and as their gradients come, seen as [B, H, rowCount, cols].
static inline View asHeads(View x) {
  if (x.rank == 4) {
    const int64_t shape = x.shape[1], stride = x.stride[1];
    x.shape[1] = x.shape[2], x.stride[1] = x.stride[2];
    x.shape[2] = shape, x.stride[2] = stride;
  }
  return x;
}

static inline int refuse(const Context& context, const char* kernel) { return rows::fail(context, kernel, "the views are not heads of queries, keys and values that fit"); }

template <class T> static inline int64_t packedSize(int64_t cols, int64_t steps) { return gemm::wholeVectors<T>(cols) * steps; }

// Buffers cut one after another from a worker's memory, each aligned to a cache line. Without memory it only adds up what is needed.
template <class T> class Cutter {
 public:
  explicit Cutter(void* memory) : at_(static_cast<char*>(memory)) {}
  T* take(int64_t elements) {
    T* const here = reinterpret_cast<T*>(at_);
    const int64_t bytes = gemm::roundUp64(elements * int64_t(sizeof(T)));
    used_ += bytes;
    if (at_) at_ += bytes;
    return here;
  }
  int64_t used() const { return used_; }

 private:
  char* at_;
  int64_t used_ = 0;
};

static inline int memoryShort(const Context& context, const char* kernel) { return rows::fail(context, kernel, "no memory for its working buffers"); }

}  // namespace attention
}  // namespace GRAFT_ISA_NS
}  // namespace graft
