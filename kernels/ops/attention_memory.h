// Working memory of the gradients of attention.
#pragma once
#include "attention_panel.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace attention {

constexpr int64_t kApartMost = 256 << 10;   // bytes of keys and values that a head may have to be read where they are

// Whether keys and values that are gone through again and again are too many for that.
template <class T> static inline bool isLarge(const Problem& p) { return p.T > kQueries && p.S * (p.E + p.D) * int64_t(sizeof(T)) > kApartMost; }

// Keys of one key head, packed; of the queries of a task their panels and those of dy for the products with keys and values, both packed again for the
// sums over queries, log and sum_d dy y; and two tiles, [kKeys][kWidth]. Where the keys are gone through again and again and are many, they, the values and the
// gradients lie in memory of their own: rows that are far apart would meet in few sets of the caches.
template <class T> struct BackwardMemory {
  T *keys, *queriesAcross, *outputsAcross, *queries, *outputs, *weights, *slopes, *logs, *means, *ownKeys, *ownValues, *dq, *dk, *dv;
  int64_t bytes;
  BackwardMemory(const Problem& p, void* memory) {
    Cutter<T> cut(memory);
    keys = cut.take(packedSize<T>(p.E, p.S));
    queriesAcross = cut.take(kWidth<T> * p.E);
    outputsAcross = cut.take(kWidth<T> * p.D);
    queries = cut.take(packedSize<T>(p.E, kQueries));
    outputs = cut.take(packedSize<T>(p.D, kQueries));
    weights = cut.take(kKeys * kWidth<T>);
    slopes = cut.take(kKeys * kWidth<T>);
    logs = cut.take(kWidth<T>);
    means = cut.take(kWidth<T>);
    const int64_t again = isLarge<T>(p);
    ownKeys = cut.take(again * p.S * p.E);
    ownValues = cut.take(again * p.S * p.D);
    dq = cut.take(again * kQueries * p.E);
    dk = cut.take(again * p.S * p.E);
    dv = cut.take(again * p.S * p.D);
    bytes = cut.used();
  }
};

// The gradient of one head's rows, wherever it is summed.
template <class T> struct Sums {
  T* data;
  int64_t row;
};

template <class T> static void copyRows(T* to, int64_t toRow, const T* from, int64_t fromRow, int64_t n, int64_t cols) {
  for (int64_t i = 0; i < n; i++) memcpy(to + i * toRow, from + i * fromRow, size_t(cols) * sizeof(T));
}

// Rows whose elements lie side by side, copied to memory of their own.
template <class T> static Rows<T> gathered(const Rows<T>& x, T* own, int64_t n, int64_t cols) {
  if (x.col != 1) return x;
  copyRows(own, cols, x.data, x.row, n, cols);
  return {own, cols, 1};
}

}  // namespace attention
}  // namespace GRAFT_ISA_NS
}  // namespace graft
