// Kernel "argreduce": x -> the position (i32) of the largest or smallest element along a dimension; attrs [dim, largest]. Packed.
// The first of equal values wins, and NaN wins over numbers.
#include "lines.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace argreduce {

template <class T> struct Index : rows::LaneIndex<T> {};
template <> struct Index<int32_t> { typedef VecOf<int32_t>::type type; };

// Whether x takes the place of an earlier best; T is a number or a vector. & and | keep it free of branches.
template <bool kLargest, class T> static inline auto beats(T x, T best) { return (kLargest ? x > best : x < best) | ((x != x) & (best == best)); }

template <bool kLargest, class T>
static int64_t ofRow(const T* x, int64_t n) {
  constexpr int L = kLanes<T>;
  typedef typename Index<T>::type Places;
  int64_t found = 0, i = 0;
  T best = x[0];
  if (n >= 4 * L) {
    Vec<T> top = load(x);
    Places place, now, step;
    for (int l = 0; l < L; l++) place[l] = l, step[l] = L;
    now = place;
    for (i = L; i + L <= n; i += L) {
      now += step;
      const Vec<T> value = load(x + i);
      const Places wins = Places(beats<kLargest>(value, top));
      top = wins ? value : top;
      place = wins ? now : place;
    }
    best = top[0], found = place[0];
    for (int l = 1; l < L; l++) {
      const bool equal = top[l] == best || (top[l] != top[l] && best != best);
      if (beats<kLargest, T>(top[l], best) || (equal && place[l] < found)) best = top[l], found = place[l];
    }
  }
  for (; i < n; i++)
    if (beats<kLargest, T>(x[i], best)) best = x[i], found = i;
  return found;
}

template <bool kLargest, class T>
static void run(const Context& context, const lines::Lines& l, const T* x, int32_t* out) {
  if (l.inner == 1) {
    parallelFor(context, l.outer, lines::larger(1, 16384 / l.size), [&](int64_t begin, int64_t end, int) {
      for (int64_t o = begin; o < end; o++) out[o] = int32_t(ofRow<kLargest>(x + o * l.size, l.size));
    });
    return;
  }
  constexpr int64_t kColumns = 64;
  const int64_t pieces = lines::ceilDiv(l.inner, kColumns), cost = l.size * lines::smaller(l.inner, kColumns);
  parallelFor(context, l.outer * pieces, lines::larger(1, 16384 / cost), [&](int64_t begin, int64_t end, int) {
    for (int64_t item = begin; item < end; item++) {
      const int64_t first = item % pieces * kColumns, width = lines::smaller(kColumns, l.inner - first), o = item / pieces;
      T best[kColumns];
      int32_t place[kColumns];
      for (int64_t c = 0; c < width; c++) best[c] = x[o * l.size * l.inner + first + c], place[c] = 0;
      for (int64_t k = 1; k < l.size; k++) {
        const T* row = x + (o * l.size + k) * l.inner + first;
        for (int64_t c = 0; c < width; c++) {
          const bool wins = beats<kLargest, T>(row[c], best[c]);
          best[c] = wins ? row[c] : best[c];
          place[c] = wins ? int32_t(k) : place[c];
        }
      }
      memcpy(out + o * l.inner + first, place, size_t(width) * 4);
    }
  });
}

}  // namespace argreduce

static int runArgreduce(const Step& step, const Context& context) {
  using namespace lines;
  int64_t dim, largest;
  if (!shaped(step, 1, 1) || !attribute(step, 0, 0, step.in[0].rank - 1, &dim) || !attribute(step, 1, 0, 1, &largest) || step.out[0].dtype != DType::I32 ||
      !sameSizes(step.in[0], step.out[0], int(dim)) || step.out[0].shape[dim] != 1 || step.in[0].shape[dim] < 1 || step.in[0].shape[dim] > INT32_MAX)
    return fail(context, "argreduce", "input, output and attributes do not fit");
  const Lines l = linesOf(step.in[0], int(dim));
  int32_t* out = static_cast<int32_t*>(step.out[0].data);
  const bool known = byNumber(step.in[0].dtype, [&](auto element) {
    typedef decltype(element) T;
    const T* x = static_cast<const T*>(step.in[0].data);
    if (largest) argreduce::run<true>(context, l, x, out);
    else argreduce::run<false>(context, l, x, out);
  });
  return known ? 0 : fail(context, "argreduce", "only f32, f64 and i32 are supported");
}

}  // namespace GRAFT_ISA_NS
}  // namespace graft
