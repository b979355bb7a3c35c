// Sums, maxima and passes over one contiguous row, for the kernels that reduce and rescale rows (softmax, cross entropy, normalisation).
#pragma once
#include "../core/kernel.h"
#include "../simd/math.h"
#include "../simd/partial.h"
#include "../simd/stream.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace rows {

constexpr int64_t kTask = 16384;   // elements per parallel task: below that the hand-over costs more than it gains
constexpr int64_t kBlock = 1024;   // elements added in lanes of T before the sum goes on in double: long rows stay as exact as short ones
constexpr int kChains = 4;         // independent accumulators, to hide the latency of an addition

static inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t ceilDiv(int64_t a, int64_t b) { return a / b + (a % b != 0); }

// Rows per task.
static inline int64_t grain(int64_t n) { return n >= kTask ? 1 : kTask / larger(n, 1); }

template <class T> struct LaneIndex;
template <> struct LaneIndex<float> { typedef VecOf<int32_t>::type type; };
template <> struct LaneIndex<double> { typedef VecOf<int64_t>::type type; };

// The first n lanes of v, `rest` in the others.
template <class T> static inline Vec<T> firstLanes(Vec<T> v, int n, T rest) {
  typename LaneIndex<T>::type lane;
  for (int i = 0; i < kLanes<T>; i++) lane[i] = i;
  return lane < n ? v : broadcast(rest);
}

template <class T> static inline Vec<T> get(const T* p, int n) { return n == kLanes<T> ? load(p) : loadPartial(p, n); }
template <class T> static inline void put(T* p, Vec<T> v, int n) { if (n == kLanes<T>) store(p, v); else storePartial(p, v, n); }

// The same past the caches where kStream is set: see eachRow.
template <bool kStream, class T> static inline void putResult(T* p, Vec<T> v, int n) {
  if (kStream && n == kLanes<T>) storeStream(p, v);
  else put(p, v, n);
}

// body(i, lanes) for every vector of a row of n elements; `lanes` is below the vector's width for the ragged end.
template <class T, class F> static inline void each(int64_t n, const F& body) {
  constexpr int L = kLanes<T>;
  int64_t i = 0;
  for (; i + L <= n; i += L) body(i, L);
  if (i < n) body(i, int(n - i));
}

// The same for a row that begins anywhere, with whole vectors where `to`, the row that is written, is aligned to them.
template <class T, class F> static inline void eachAligned(const T* to, int64_t n, const F& body) {
  constexpr int L = kLanes<T>;
  const int64_t past = int64_t(reinterpret_cast<uintptr_t>(to) / sizeof(T) % L), head = past == 0 ? 0 : smaller(L - past, n);
  if (head > 0) body(0, int(head));
  each<T>(n - head, [&](int64_t i, int lanes) { body(head + i, lanes); });
}

// The sum of all lanes, in double.
static inline double addLanes(VecD v) { return foldLanes<double>(v, [](double a, double b) { return a + b; }); }
static inline double addLanes(VecF v) { return addLanes(lowHalf(v) + highHalf(v)); }

// K sums over a row at once: body(i, lanes, terms) gives the terms of one vector.
template <class T, int K, class F> static inline void sums(int64_t n, double (&total)[K], const F& body) {
  constexpr int L = kLanes<T>;
  for (int k = 0; k < K; k++) total[k] = 0;
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    const int64_t end = smaller(n, begin + kBlock);
    Vec<T> part[K][kChains] = {};
    int64_t i = begin;
    for (; i + kChains * L <= end; i += kChains * L) {
#pragma GCC unroll 4
      for (int c = 0; c < kChains; c++) {
        Vec<T> terms[K];
        body(i + c * L, L, terms);
#pragma GCC unroll 4
        for (int k = 0; k < K; k++) part[k][c] += terms[k];
      }
    }
    for (; i < end; i += L) {
      const int lanes = int(smaller(L, end - i));
      Vec<T> terms[K];
      body(i, lanes, terms);
      for (int k = 0; k < K; k++) part[k][0] += lanes == L ? terms[k] : firstLanes<T>(terms[k], lanes, 0);
    }
    for (int k = 0; k < K; k++) total[k] += addLanes((part[k][0] + part[k][1]) + (part[k][2] + part[k][3]));
  }
}

// The largest element of a row; NaN wins. kFetch: meanwhile the row after it is fetched, which comes from memory where there are many; a pass that
// writes past the caches keeps memory busy as it is.
template <bool kFetch, class T> static inline T largest(const T* x, int64_t n) {
  constexpr int L = kLanes<T>;
  const T lowest = -T(__builtin_inf());
  Vec<T> top[kChains];
  for (int c = 0; c < kChains; c++) top[c] = broadcast(lowest);
  int64_t i = 0;
  for (; i + kChains * L <= n; i += kChains * L) {
#pragma GCC unroll 4
    for (int c = 0; c < kChains; c++) {
      if (kFetch) __builtin_prefetch(x + n + i + c * L);
      top[c] = maximum(top[c], load(x + i + c * L));
    }
  }
  for (; i + L <= n; i += L) top[0] = maximum(top[0], load(x + i));
  if (i < n) top[0] = maximum(top[0], firstLanes<T>(loadPartial(x + i, int(n - i)), int(n - i), lowest));
  return foldLanes<T>(maximum(maximum(top[0], top[1]), maximum(top[2], top[3])), [](T a, T b) { return maximum(a, b); });
}

template <bool b> struct Flag { static constexpr bool value = b; };
template <int n> struct Count { static constexpr int value = n; };

// row(r, flag) for rows [begin, end); the flag's value is `stream`.
template <class F> static inline void eachOf(int64_t begin, int64_t end, bool stream, const F& row) {
  if (!stream)
    for (int64_t r = begin; r < end; r++) row(r, Flag<false>());
  else {
    for (int64_t r = begin; r < end; r++) row(r, Flag<true>());
    fenceStream();
  }
}

// row(r, worker, flag) for every row of n elements in parallel; the flag's value says whether `result`, the rows that it writes, is to go past the caches.
template <class T, class F> static inline void eachRow(const Context& context, const T* result, int64_t rowCount, int64_t n, const F& row) {
  const bool stream = mayStream(result, rowCount, n);
  parallelFor(context, rowCount, grain(n), [&](int64_t begin, int64_t end, int worker) {
    eachOf(begin, end, stream, [&](int64_t r, auto flag) { row(r, worker, flag); });
  });
}

// Checks that kernels make before they touch memory.
static inline int64_t sizeOf(const View& v) {
  int64_t size = 1;
  for (int d = 0; d < v.rank; d++) size *= v.shape[d];
  return size;
}

static inline bool packed(const View& v) {
  if (v.buffer == -2) return false;
  int64_t step = 1;
  for (int d = v.rank - 1; d >= 0; d--) {
    if (v.shape[d] != 1 && v.stride[d] != step) return sizeOf(v) == 0;
    step *= v.shape[d];
  }
  return true;
}

static inline bool isVector(const View& v, DType dtype, int64_t size) { return v.dtype == dtype && packed(v) && sizeOf(v) == size; }
static inline bool isMatrix(const View& v, DType dtype, int64_t rowCount, int64_t n) {
  return v.rank == 2 && v.shape[0] == rowCount && v.shape[1] == n && v.dtype == dtype && packed(v);
}

static inline bool isCube(const View& v, DType dtype, int64_t batch, int64_t rowCount, int64_t n) {
  return v.rank == 3 && v.dtype == dtype && packed(v) && v.shape[0] == batch && v.shape[1] == rowCount && v.shape[2] == n;
}
static inline bool isCube(const View& v, const View& like) { return isCube(v, like.dtype, like.shape[0], like.shape[1], like.shape[2]); }

static inline int fail(const Context& context, const char* kernel, const char* message) {
  __builtin_snprintf(context.error, context.errorLength, "%s: %s", kernel, message);
  return 1;
}

}  // namespace rows
}  // namespace GRAFT_ISA_NS
}  // namespace graft
