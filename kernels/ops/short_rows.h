// Slices of a cube [outer, n, inner] along n, as many side by side as a vector has lanes, a lane for each: the columns of its matrices as they lie, and rows
// (inner 1) too short to fill vectors, turned round in the first-level cache, element c of each to vector c. What costs most for a short row, adding up lanes,
// a logarithm, a division, is then done for all of them at once.
#pragma once
#include "../simd/transpose.h"
#include "rows.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace rows {

constexpr int64_t kShort = 64;   // elements of a row or column

struct Slices {
  int64_t outer = 0, n = 0, inner = 1;

  Slices() = default;
  // Of a matrix [rows, n] or a cube [outer, n, inner].
  explicit Slices(const View& v) : outer(v.shape[0]), n(v.shape[1]), inner(v.rank == 3 ? v.shape[2] : 1) {}
  static bool accept(const View& v) { return (v.dtype == DType::F32 || v.dtype == DType::F64) && packed(v) && (v.rank == 2 || v.rank == 3); }
  bool fit(const View& v, DType dtype) const {
    return v.dtype == dtype && accept(v) && v.shape[0] == outer && v.shape[1] == n && (v.rank == 3 ? v.shape[2] : 1) == inner;
  }
  int64_t count() const { return outer * inner; }
  // Whether a lane for each is the way: long rows fill vectors by themselves.
  template <class T> bool goByLanes() const { return inner > 1 || (n <= kShort && outer >= kLanes<T>); }
  // Slices that are held at once: of columns, whose rows are read in runs, as many vectors as fit in half of the first-level cache.
  template <class T> int64_t width() const {
    constexpr int64_t L = kLanes<T>, most = 16384 / int64_t(sizeof(T));
    return inner == 1 || n * L > most ? L : smaller(most / larger(n, 1) / L * L, 16 * L);
  }
  // Slices per task.
  template <class T> int64_t grain() const { return inner == 1 ? rows::grain(n) : ceilDiv(rows::grain(n), width<T>()) * width<T>(); }
  // Bytes that a Turned needs besides its own.
  template <class T> int64_t memoryBytes() const { return inner == 1 ? 0 : n * width<T>() * int64_t(sizeof(T)); }
  // body(first, how many) for slices [begin, end), as many at a time as are held at once, of one matrix.
  template <class T, class F> void eachGroup(int64_t begin, int64_t end, const F& body) const {
    for (int64_t r = begin; r < end;) {
      int64_t count = smaller(width<T>(), end - r);
      if (inner > 1) count = smaller(count, inner - r % inner);
      body(r, count);
      r += count;
    }
  }
};

// Slices of n elements in a cache. get, put and at are of those in the vector from slice `lane` on, see eachVector.
template <class T> struct Turned {
  static constexpr int L = kLanes<T>;
  alignas(64) T own[kShort * L] = {};
  const Slices& slices;
  const int64_t n, step;
  T *const data, *lanes;

  Turned(const Slices& slices_, void* memory)
      : slices(slices_), n(slices_.n), step(slices_.width<T>()), data(slices_.inner == 1 ? own : static_cast<T*>(memory)), lanes(data) {}
  void read(const T* x, int64_t first, int64_t count) {
    if (slices.inner == 1) return transpose(x + first * n, n, data, L, n, count);
    const T* from = x + place(first);
    for (int64_t c = 0; c < n; c++, from += slices.inner)
      rows::each<T>(count, [&](int64_t i, int some) { store(data + c * step + i, rows::get(from + i, some)); });
  }
  void write(T* y, int64_t first, int64_t count) const {
    if (slices.inner == 1) return transpose(data, L, y + first * n, n, count, n);
    T* to = y + place(first);
    for (int64_t c = 0; c < n; c++, to += slices.inner)
      rows::each<T>(count, [&](int64_t i, int some) { rows::put(to + i, load(data + c * step + i), some); });
  }
  Vec<T> get(int64_t c) const { return load(lanes + c * step); }
  void put(int64_t c, Vec<T> v) { store(lanes + c * step, v); }
  T& at(int64_t c, int64_t lane) { return lanes[c * step + lane]; }

 private:
  int64_t place(int64_t first) const { return first / slices.inner * n * slices.inner + first % slices.inner; }
};

// body(lane, how many) for each vector of `count` slices, which the given Turned then show.
template <class T, class F, class... Others> static inline void eachVector(int64_t count, const F& body, Turned<T>& x, Others&... others) {
  for (int64_t lane = 0; lane < count; lane += kLanes<T>) {
    x.lanes = x.data + lane;
    ((others.lanes = others.data + lane), ...);
    body(lane, smaller(kLanes<T>, count - lane));
  }
}

// task(begin, end, memory) for slices [begin, end) in parallel, with the memory of `count` Turned; false where there is none.
template <class T, class F> static inline bool eachTask(const Context& context, const Slices& slices, int count, const F& task) {
  const uint64_t bytes = uint64_t(slices.memoryBytes<T>() * count);
  bool failed = false;
  parallelFor(context, slices.count(), slices.grain<T>(), [&](int64_t begin, int64_t end, int worker) {
    char* const memory = bytes ? static_cast<char*>(context.scratch(context.pool, worker, bytes)) : nullptr;
    if (bytes && !memory) __atomic_store_n(&failed, true, __ATOMIC_RELAXED);
    else task(begin, end, memory);
  });
  return !failed;
}

// A sum in double for each lane.
template <class T> struct WideSum;
template <> struct WideSum<double> {
  VecD sum{};
  void add(VecD v) { sum += v; }
  template <class F> VecD map(const F& f) const { return f(sum); }
  double at(int64_t lane) const { return sum[lane]; }
};
template <> struct WideSum<float> {
  VecD low{}, high{};
  void add(VecF v) { low += lowHalf(v), high += highHalf(v); }
  template <class F> VecF map(const F& f) const { return joinHalves(f(low), f(high)); }
  double at(int64_t lane) const { return lane < kLanes<double> ? low[lane] : high[lane - kLanes<double>]; }
};

template <class T> static inline Vec<T> largestOf(const Turned<T>& x) {
  const int64_t n = x.n;
  Vec<T> even = x.get(0), odd = even;   // two chains
  int64_t c = 1;
  for (; c + 2 <= n; c += 2) even = maximum(even, x.get(c)), odd = maximum(odd, x.get(c + 1));
  if (c < n) even = maximum(even, x.get(c));
  return maximum(even, odd);
}

}  // namespace rows
}  // namespace GRAFT_ISA_NS
}  // namespace graft
