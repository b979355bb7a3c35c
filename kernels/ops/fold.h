// Folding arrays of one class by one of the reductions' four operations.
//
// Values are folded in their own class, in vector lanes, over at most kSpan elements or kFlush rows; what comes out is folded in an accumulator
// (f64 for floats). So a sum's error stays near that of pairwise summation, and the order depends on sizes only.
#pragma once
#include "../simd/basic.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace fold {

enum Kind { Sum, Prod, Max, Min };
constexpr int64_t kSpan = 1024, kFlush = 64;
constexpr int kUnrolled = 5;   // a span of fewer elements is folded by unrolled code

// By function pointer, so that the driver exists once and not once per class and kind.
struct Folder {
  int elementBytes, accBytes, lanes;
  void (*start)(void* acc, int64_t n);                                          // acc[i] = identity
  void (*startValues)(void* values, int64_t n);                                 // values[i] = identity
  void (*span)(void* acc, const void* p, int64_t n);                            // acc[0] = acc[0] o p[0] o ... o p[n - 1]
  void (*spans)(void* values, const void* p, int64_t n, int64_t count);          // values[i] = p[i count] o ... o p[i count + count - 1], of fewer than `lanes` elements
  void (*columns)(void* values, const void* p, int64_t rows, int64_t cols, int64_t stride);   // values[c] = values[c] o p[c] o p[stride + c] o ...
  void (*merge)(void* acc, const void* other, int64_t n);                       // acc[i] = acc[i] o other[i], both accumulators
  void (*flush)(void* acc, void* values, int64_t n);                            // acc[i] = acc[i] o values[i], values[i] = identity
  void (*finish)(void* values, const void* acc, int64_t n);                     // values[i] = acc[i]
};

template <class T> struct AccOf { typedef double type; };
template <> struct AccOf<int32_t> { typedef int32_t type; };

template <class T> struct Limits { static constexpr T low = -__builtin_inf(), high = __builtin_inf(); };
template <> struct Limits<int32_t> { static constexpr int32_t low = INT32_MIN, high = INT32_MAX; };
template <Kind kind, class T> static constexpr T identity() { return kind == Sum ? T(0) : kind == Prod ? T(1) : kind == Max ? Limits<T>::low : Limits<T>::high; }

static inline double add(double a, double b) { return a + b; }
static inline float add(float a, float b) { return a + b; }
static inline int32_t add(int32_t a, int32_t b) { return int32_t(uint32_t(a) + uint32_t(b)); }
static inline double times(double a, double b) { return a * b; }
static inline float times(float a, float b) { return a * b; }
static inline int32_t times(int32_t a, int32_t b) { return int32_t(uint32_t(a) * uint32_t(b)); }

template <Kind kind, class T> static inline T fold(T a, T b) {
  return kind == Sum ? add(a, b) : kind == Prod ? times(a, b) : kind == Max ? ((a > b) | (a != a) ? a : b) : ((a < b) | (a != a) ? a : b);
}
template <Kind kind, class V> static inline V foldVec(V a, V b) {
  if (kind == Sum) return sum(a, b);
  if (kind == Prod) return product(a, b);
  return kind == Max ? maximum(a, b) : minimum(a, b);
}

template <Kind kind, class T> struct Impl {
  typedef typename AccOf<T>::type Acc;
  static constexpr int L = kLanes<T>;

  static void start(void* acc, int64_t n) {
    for (int64_t i = 0; i < n; i++) static_cast<Acc*>(acc)[i] = identity<kind, Acc>();
  }
  static void startValues(void* values, int64_t n) {
    for (int64_t i = 0; i < n; i++) static_cast<T*>(values)[i] = identity<kind, T>();
  }

  static T lanes(Vec<T> v) { return foldLanes<T>(v, [](T a, T b) { return fold<kind, T>(a, b); }); }
  static T block(const T* p, int64_t n) {
    T rest = identity<kind, T>();
    int64_t i = 0;
    if (n >= L) {
      Vec<T> a = load(p);
      i = L;
      if (n >= 4 * L) {
        Vec<T> b = load(p + L), c = load(p + 2 * L), d = load(p + 3 * L);
        for (i = 4 * L; i + 4 * L <= n; i += 4 * L) {
          a = foldVec<kind>(a, load(p + i));
          b = foldVec<kind>(b, load(p + i + L));
          c = foldVec<kind>(c, load(p + i + 2 * L));
          d = foldVec<kind>(d, load(p + i + 3 * L));
        }
        a = foldVec<kind>(foldVec<kind>(a, b), foldVec<kind>(c, d));
      }
      for (; i + L <= n; i += L) a = foldVec<kind>(a, load(p + i));
      rest = lanes(a);
    }
    for (; i < n; i++) rest = fold<kind, T>(rest, p[i]);
    return rest;
  }
  static void span(void* acc, const void* p, int64_t n) {
    Acc& total = *static_cast<Acc*>(acc);
    const T* values = static_cast<const T*>(p);
    for (int64_t i = 0; i < n; i += kSpan) total = fold<kind, Acc>(total, Acc(block(values + i, n - i < kSpan ? n - i : kSpan)));
  }

  template <int most> static void shortSpans(T* __restrict to, const T* p, int64_t n, int64_t count) {
    if (count < most) {
      if constexpr (most > 1) shortSpans<most - 1>(to, p, n, count);
      return;
    }
    const int64_t step = most < kUnrolled ? most : count;   // a constant where the loops are unrolled
    for (int64_t i = 0; i < n; i++) {
      T x = identity<kind, T>();
      for (int64_t j = 0; j < step; j++) x = fold<kind, T>(x, p[i * step + j]);
      to[i] = x;
    }
  }
  static void spans(void* values, const void* p, int64_t n, int64_t count) { shortSpans<kUnrolled>(static_cast<T*>(values), static_cast<const T*>(p), n, count); }

  static void columns(void* values, const void* from, int64_t rows, int64_t cols, int64_t stride) {
    T* to = static_cast<T*>(values);
    const T* p = static_cast<const T*>(from);
    int64_t c = 0;
    for (; c + 4 * L <= cols; c += 4 * L) {
      Vec<T> v[4];
      for (int k = 0; k < 4; k++) v[k] = load(to + c + k * L);
      const T* row = p + c;
      for (int64_t r = 0; r < rows; r++, row += stride)
        for (int k = 0; k < 4; k++) v[k] = foldVec<kind>(v[k], load(row + k * L));
      for (int k = 0; k < 4; k++) store(to + c + k * L, v[k]);
    }
    for (; c + L <= cols; c += L) {
      Vec<T> v = load(to + c);
      const T* row = p + c;
      for (int64_t r = 0; r < rows; r++, row += stride) v = foldVec<kind>(v, load(row));
      store(to + c, v);
    }
    for (; c < cols; c++) {
      T x = to[c];
      for (int64_t r = 0; r < rows; r++) x = fold<kind, T>(x, p[r * stride + c]);
      to[c] = x;
    }
  }

  static void merge(void* acc, const void* other, int64_t n) {
    Acc* a = static_cast<Acc*>(acc);
    const Acc* b = static_cast<const Acc*>(other);
    for (int64_t i = 0; i < n; i++) a[i] = fold<kind, Acc>(a[i], b[i]);
  }
  static void flush(void* acc, void* values, int64_t n) {
    Acc* __restrict a = static_cast<Acc*>(acc);
    T* __restrict v = static_cast<T*>(values);
    for (int64_t i = 0; i < n; i++) {
      a[i] = fold<kind, Acc>(a[i], Acc(v[i]));
      v[i] = identity<kind, T>();
    }
  }
  static void finish(void* values, const void* acc, int64_t n) {
    for (int64_t i = 0; i < n; i++) static_cast<T*>(values)[i] = T(static_cast<const Acc*>(acc)[i]);
  }
};

template <Kind kind, class T> static constexpr Folder folderOf() {
  using I = Impl<kind, T>;
  return {sizeof(T), sizeof(typename I::Acc), kLanes<T>, I::start, I::startValues, I::span, I::spans, I::columns, I::merge, I::flush, I::finish};
}

// Indexed by register class and kind.
static constexpr Folder kFolders[3][4] = {
    {folderOf<Sum, float>(), folderOf<Prod, float>(), folderOf<Max, float>(), folderOf<Min, float>()},
    {folderOf<Sum, double>(), folderOf<Prod, double>(), folderOf<Max, double>(), folderOf<Min, double>()},
    {folderOf<Sum, int32_t>(), folderOf<Prod, int32_t>(), folderOf<Max, int32_t>(), folderOf<Min, int32_t>()},
};

}  // namespace fold
}  // namespace GRAFT_ISA_NS
}  // namespace graft
