// Even and odd lanes of two neighbouring vectors, and the way back, for what is read or written with a stride of 2; and lanes in the opposite order.
#pragma once
#include "partial.h"
#include "vec.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace pairs {

template <class T> struct LaneOf;
template <> struct LaneOf<float> { typedef int32_t whole; typedef VecOf<int32_t>::type type; };
template <> struct LaneOf<double> { typedef int64_t whole; typedef VecOf<int64_t>::type type; };
template <class T> using Lane = typename LaneOf<T>::type;     // whole numbers beside a Vec<T>
template <class T> using Whole = typename LaneOf<T>::whole;

#if defined(__clang__)
#define GRAFT_PICK(index, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define GRAFT_PICK(index, a, b, ...) __builtin_shuffle(a, b, index{__VA_ARGS__})
#endif
#if GRAFT_VEC_BYTES == 64
#define GRAFT_PAIRS_OF_16(T) \
  static inline Vec<T> evens(Vec<T> a, Vec<T> b) { return GRAFT_PICK(Lane<T>, a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30); } \
  static inline Vec<T> odds(Vec<T> a, Vec<T> b) { return GRAFT_PICK(Lane<T>, a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31); } \
  static inline Vec<T> zipLow(Vec<T> a, Vec<T> b) { return GRAFT_PICK(Lane<T>, a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23); } \
  static inline Vec<T> zipHigh(Vec<T> a, Vec<T> b) { return GRAFT_PICK(Lane<T>, a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31); } \
  static inline Vec<T> reversed(Vec<T> a) { return GRAFT_PICK(Lane<T>, a, a, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0); }
GRAFT_PAIRS_OF_16(float)
#undef GRAFT_PAIRS_OF_16
#endif
#define GRAFT_PAIRS_OF_8(T) \
  static inline Vec<T> evens(Vec<T> a, Vec<T> b) { return GRAFT_PICK(Lane<T>, a, b, 0, 2, 4, 6, 8, 10, 12, 14); } \
  static inline Vec<T> odds(Vec<T> a, Vec<T> b) { return GRAFT_PICK(Lane<T>, a, b, 1, 3, 5, 7, 9, 11, 13, 15); } \
  static inline Vec<T> zipLow(Vec<T> a, Vec<T> b) { return GRAFT_PICK(Lane<T>, a, b, 0, 8, 1, 9, 2, 10, 3, 11); } \
  static inline Vec<T> zipHigh(Vec<T> a, Vec<T> b) { return GRAFT_PICK(Lane<T>, a, b, 4, 12, 5, 13, 6, 14, 7, 15); } \
  static inline Vec<T> reversed(Vec<T> a) { return GRAFT_PICK(Lane<T>, a, a, 7, 6, 5, 4, 3, 2, 1, 0); }
#define GRAFT_PAIRS_OF_4(T) \
  static inline Vec<T> evens(Vec<T> a, Vec<T> b) { return GRAFT_PICK(Lane<T>, a, b, 0, 2, 4, 6); } \
  static inline Vec<T> odds(Vec<T> a, Vec<T> b) { return GRAFT_PICK(Lane<T>, a, b, 1, 3, 5, 7); } \
  static inline Vec<T> zipLow(Vec<T> a, Vec<T> b) { return GRAFT_PICK(Lane<T>, a, b, 0, 4, 1, 5); } \
  static inline Vec<T> zipHigh(Vec<T> a, Vec<T> b) { return GRAFT_PICK(Lane<T>, a, b, 2, 6, 3, 7); } \
  static inline Vec<T> reversed(Vec<T> a) { return GRAFT_PICK(Lane<T>, a, a, 3, 2, 1, 0); }
#define GRAFT_PAIRS_OF_2(T) \
  static inline Vec<T> evens(Vec<T> a, Vec<T> b) { return GRAFT_PICK(Lane<T>, a, b, 0, 2); } \
  static inline Vec<T> odds(Vec<T> a, Vec<T> b) { return GRAFT_PICK(Lane<T>, a, b, 1, 3); } \
  static inline Vec<T> zipLow(Vec<T> a, Vec<T> b) { return GRAFT_PICK(Lane<T>, a, b, 0, 2); } \
  static inline Vec<T> zipHigh(Vec<T> a, Vec<T> b) { return GRAFT_PICK(Lane<T>, a, b, 1, 3); } \
  static inline Vec<T> reversed(Vec<T> a) { return GRAFT_PICK(Lane<T>, a, a, 1, 0); }
#if GRAFT_VEC_BYTES == 64
GRAFT_PAIRS_OF_8(double)
#elif GRAFT_VEC_BYTES == 32
GRAFT_PAIRS_OF_8(float)
GRAFT_PAIRS_OF_4(double)
#else
GRAFT_PAIRS_OF_4(float)
GRAFT_PAIRS_OF_2(double)
#endif

// dst[i] = src[2 * i] for i < 4; nothing behind src[6] is read.
static inline void everySecond(float* dst, const float* src) {
  typedef float Quad __attribute__((vector_size(16)));
  Quad a, b;
  memcpy(&a, src, sizeof a), memcpy(&b, src + 3, sizeof b);
#if !defined(__clang__)
  typedef int32_t QuadIndex __attribute__((vector_size(16)));
#endif
  const Quad picked = GRAFT_PICK(QuadIndex, a, b, 0, 2, 5, 7);
  memcpy(dst, &picked, sizeof picked);
}
static inline void everySecond(double* dst, const double* src) {
  for (int i = 0; i < 4; i++) dst[i] = src[2 * i];
}

#undef GRAFT_PAIRS_OF_8
#undef GRAFT_PAIRS_OF_4
#undef GRAFT_PAIRS_OF_2
#undef GRAFT_PICK

// to[2 i] = even[i] and to[2 i + 1] = odd[i], n elements together.
template <class T> static inline void weave(T* to, const T* even, const T* odd, int64_t n) {
  constexpr int L = kLanes<T>;
  for (; n >= 2 * L; n -= 2 * L, to += 2 * L, even += L, odd += L) {
    const Vec<T> a = load(even), b = load(odd);
    store(to, zipLow(a, b)), store(to + L, zipHigh(a, b));
  }
  if (n == 0) return;
  const Vec<T> a = loadPartial(even, int(n + 1) / 2), b = loadPartial(odd, int(n) / 2);
  storePartial(to, zipLow(a, b), n < L ? int(n) : L);
  if (n > L) storePartial(to + L, zipHigh(a, b), int(n) - L);
}

// to[i] = from[-i] for i < n.
template <class T> static inline void copyReversed(T* to, const T* from, int64_t n) {
  constexpr int L = kLanes<T>;
  int64_t i = 0;
  for (; i + L <= n; i += L) store(to + i, reversed(load(from - i - (L - 1))));
  for (; i < n; i++) to[i] = from[-i];
}

}  // namespace pairs
}  // namespace GRAFT_ISA_NS
}  // namespace graft
