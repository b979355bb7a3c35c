// Kernels "cumsum", "cumprod": x -> running sums and products along a dimension, packed; attrs [dim, reverse]. f32 is accumulated in f64, i32 wraps around.
#include "lines.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace scanning {

template <class T> struct Running { typedef double type; };
template <> struct Running<int32_t> { typedef uint32_t type; };

template <bool kProduct, class A> static inline A fold(A a, A b) { return kProduct ? a * b : a + b; }

template <bool kProduct, class T>
static void scan(const Context& context, const lines::Lines& l, bool reverse, const T* from, T* to) {
  typedef typename Running<T>::type A;
  constexpr int64_t kColumns = 64;
  const int64_t pieces = lines::ceilDiv(l.inner, kColumns), cost = l.size * lines::smaller(l.inner, kColumns);
  parallelFor(context, l.outer * pieces, lines::larger(1, 16384 / lines::larger(cost, 1)), [&](int64_t begin, int64_t end, int) {
    for (int64_t item = begin; item < end; item++) {
      const int64_t first = item % pieces * kColumns, width = lines::smaller(kColumns, l.inner - first);
      const int64_t base = item / pieces * l.size * l.inner + first;
      if (l.inner == 1) {
        A total = A(kProduct ? 1 : 0);
        const int64_t step = reverse ? -1 : 1;
        int64_t at = base + (reverse ? l.size - 1 : 0);
        for (int64_t k = 0; k < l.size; k++, at += step) to[at] = T(total = fold<kProduct>(total, A(from[at])));
        continue;
      }
      A total[kColumns];
      for (int64_t c = 0; c < width; c++) total[c] = A(kProduct ? 1 : 0);
      for (int64_t k = 0; k < l.size; k++) {
        const int64_t row = base + (reverse ? l.size - 1 - k : k) * l.inner;
        for (int64_t c = 0; c < width; c++) to[row + c] = T(total[c] = fold<kProduct>(total[c], A(from[row + c])));
      }
    }
  });
}

template <bool kProduct>
static int run(const char* name, const Step& step, const Context& context) {
  int64_t dim, reverse;
  if (!lines::shaped(step, 1, 1) || !lines::attribute(step, 0, 0, step.in[0].rank - 1, &dim) || !lines::attribute(step, 1, 0, 1, &reverse) ||
      step.out[0].dtype != step.in[0].dtype || !lines::sameSizes(step.in[0], step.out[0]))
    return lines::fail(context, name, "input, output and attributes do not fit");
  const bool known = lines::byNumber(step.in[0].dtype, [&](auto element) {
    typedef decltype(element) T;
    scan<kProduct>(context, lines::linesOf(step.in[0], int(dim)), reverse != 0, static_cast<const T*>(step.in[0].data), static_cast<T*>(step.out[0].data));
  });
  return known ? 0 : lines::fail(context, name, "only f32, f64 and i32 are supported");
}

}  // namespace scanning

static int runCumsum(const Step& step, const Context& context) { return scanning::run<false>("cumsum", step, context); }
static int runCumprod(const Step& step, const Context& context) { return scanning::run<true>("cumprod", step, context); }

}  // namespace GRAFT_ISA_NS
}  // namespace graft
