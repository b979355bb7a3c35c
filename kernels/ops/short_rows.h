// Rows too short to fill vectors: as many as a vector has lanes are turned round in the first-level cache, element c of each to vector c, and computed side by
// side. What costs most for a short row, adding up lanes, a logarithm, a division, is then done for all of them at once.
#pragma once
#include "../simd/transpose.h"
#include "rows.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace rows {

constexpr int64_t kShort = 64;   // elements

template <class T> static inline bool areShort(int64_t rowCount, int64_t n) { return n <= kShort && rowCount >= kLanes<T>; }

// Rows of n elements, a lane for each.
template <class T> struct Turned {
  static constexpr int L = kLanes<T>;
  alignas(64) T data[kShort * L] = {};
  int64_t n;

  explicit Turned(int64_t n_) : n(n_) {}
  void read(const T* x, int64_t count) { transpose(x, n, data, L, n, count); }
  void write(T* y, int64_t count) const { transpose(data, L, y, n, count, n); }
  Vec<T> get(int64_t c) const { return load(data + c * L); }
  void put(int64_t c, Vec<T> v) { store(data + c * L, v); }
  T& at(int64_t c, int64_t row) { return data[c * L + row]; }
};

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

// body(first row, how many) for rows [begin, end), as many at a time as there are lanes.
template <class T, class F> static inline void eachGroup(int64_t begin, int64_t end, const F& body) {
  for (int64_t r = begin; r < end; r += kLanes<T>) body(r, smaller(kLanes<T>, end - r));
}

template <class T> static inline Vec<T> largestOf(const Turned<T>& x) {
  Vec<T> top = x.get(0);
  for (int64_t c = 1; c < x.n; c++) top = maximum(top, x.get(c));
  return top;
}

}  // namespace rows
}  // namespace GRAFT_ISA_NS
}  // namespace graft
