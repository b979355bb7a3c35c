// Arithmetic on vectors of float, double and int32 under one name each, with PyTorch's meaning: maximum and minimum propagate NaN,
// mod has the divisor's sign, integers wrap around, and no integer division traps.
#pragma once
#include <math.h>

#include "vec.h"

namespace graft {
namespace GRAFT_ISA_NS {

// f on every lane, for what has no vector form.
template <class V, class F> static inline V perLane(V a, const F& f) {
  for (unsigned i = 0; i < sizeof(V) / sizeof(a[0]); i++) a[i] = f(a[i]);
  return a;
}
template <class V, class F> static inline V perLane(V a, V b, const F& f) {
  for (unsigned i = 0; i < sizeof(V) / sizeof(a[0]); i++) a[i] = f(a[i], b[i]);
  return a;
}

static inline VecF absolute(VecF a) { return VecF(VecI(a) & 0x7fffffff); }
static inline VecD absolute(VecD a) { return VecD(VecL(a) & 0x7fffffffffffffff); }
static inline VecF copySign(VecF magnitude, VecF sign) { return VecF((VecI(magnitude) & 0x7fffffff) | (VecI(sign) & int32_t(0x80000000))); }
static inline VecD copySign(VecD magnitude, VecD sign) { return VecD((VecL(magnitude) & INT64_MAX) | (VecL(sign) & INT64_MIN)); }

// Signed overflow is undefined, so integers are added and multiplied as unsigned.
typedef VecOf<uint32_t>::type VecU;
template <class V> static inline V sum(V a, V b) { return a + b; }
template <class V> static inline V difference(V a, V b) { return a - b; }
template <class V> static inline V product(V a, V b) { return a * b; }
template <class V> static inline V quotient(V a, V b) { return a / b; }
template <class V> static inline V negate(V a) { return -a; }
template <> inline VecI sum<VecI>(VecI a, VecI b) { return VecI(VecU(a) + VecU(b)); }
template <> inline VecI difference<VecI>(VecI a, VecI b) { return VecI(VecU(a) - VecU(b)); }
template <> inline VecI product<VecI>(VecI a, VecI b) { return VecI(VecU(a) * VecU(b)); }
template <> inline VecI negate<VecI>(VecI a) { return VecI(-VecU(a)); }
template <> inline VecI quotient<VecI>(VecI a, VecI b) {
  return perLane(a, b, [](int32_t x, int32_t y) { return y == 0 ? 0 : int32_t(int64_t(x) / y); });
}
static inline VecI absolute(VecI a) { return a < 0 ? negate(a) : a; }

template <class V> static inline V maximum(V a, V b) { return (a > b) | (a != a) ? a : b; }
template <class V> static inline V minimum(V a, V b) { return (a < b) | (a != a) ? a : b; }
// x86's instructions give b where either is NaN, and where both are equal, as above.
#if defined(__AVX512F__)
static inline VecF nanOf(VecF a, VecF other) { const __m512 x = __m512(a); return VecF(_mm512_mask_mov_ps(__m512(other), _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), x)); }
static inline VecD nanOf(VecD a, VecD other) { const __m512d x = __m512d(a); return VecD(_mm512_mask_mov_pd(__m512d(other), _mm512_cmp_pd_mask(x, x, _CMP_UNORD_Q), x)); }
template <> inline VecF maximum<VecF>(VecF a, VecF b) { return nanOf(a, VecF(_mm512_max_ps(__m512(a), __m512(b)))); }
template <> inline VecF minimum<VecF>(VecF a, VecF b) { return nanOf(a, VecF(_mm512_min_ps(__m512(a), __m512(b)))); }
template <> inline VecD maximum<VecD>(VecD a, VecD b) { return nanOf(a, VecD(_mm512_max_pd(__m512d(a), __m512d(b)))); }
template <> inline VecD minimum<VecD>(VecD a, VecD b) { return nanOf(a, VecD(_mm512_min_pd(__m512d(a), __m512d(b)))); }
#elif defined(__AVX2__)
static inline VecF nanOf(VecF a, VecF other) { const __m256 x = __m256(a); return VecF(_mm256_blendv_ps(__m256(other), x, _mm256_cmp_ps(x, x, _CMP_UNORD_Q))); }
static inline VecD nanOf(VecD a, VecD other) { const __m256d x = __m256d(a); return VecD(_mm256_blendv_pd(__m256d(other), x, _mm256_cmp_pd(x, x, _CMP_UNORD_Q))); }
template <> inline VecF maximum<VecF>(VecF a, VecF b) { return nanOf(a, VecF(_mm256_max_ps(__m256(a), __m256(b)))); }
template <> inline VecF minimum<VecF>(VecF a, VecF b) { return nanOf(a, VecF(_mm256_min_ps(__m256(a), __m256(b)))); }
template <> inline VecD maximum<VecD>(VecD a, VecD b) { return nanOf(a, VecD(_mm256_max_pd(__m256d(a), __m256d(b)))); }
template <> inline VecD minimum<VecD>(VecD a, VecD b) { return nanOf(a, VecD(_mm256_min_pd(__m256d(a), __m256d(b)))); }
#endif
template <class V> static inline V relu(V a) { return a < 0 ? V{} : a; }   // keeps NaN
template <class V> static inline V signOf(V a) { return a > 0 ? V{} + 1 : a < 0 ? V{} - 1 : a != a ? a : V{}; }

// Rounding by adding and taking away the power of two from which on a float has no fraction bits (2^23; 2^52 for double).
static inline VecF roundEven(VecF a) {
  const VecF big = broadcast(0x1p23f), x = absolute(a);
  return copySign(x < big ? (x + big) - big : x, a);
}
static inline VecD roundEven(VecD a) {
  const VecD big = broadcast(0x1p52), x = absolute(a);
  return copySign(x < big ? (x + big) - big : x, a);
}
template <class V> static inline V floor(V a) { const V r = roundEven(a); return r > a ? r - 1 : r; }
template <class V> static inline V ceil(V a) { const V r = roundEven(a); return copySign(r < a ? r + 1 : r, a); }
template <class V> static inline V truncate(V a) { const V x = absolute(a), r = roundEven(x); return copySign(r > x ? r - 1 : r, a); }

// a - floor(a / b) * b, exact as in fmod, with the sign of b; x mod 0 is NaN, and 0 for integers.
static inline VecF floorMod(VecF a, VecF b) {
  return perLane(a, b, [](float x, float y) { const float m = __builtin_fmodf(x, y); return m != 0 && (m < 0) != (y < 0) ? m + y : m; });
}
static inline VecD floorMod(VecD a, VecD b) {
  return perLane(a, b, [](double x, double y) { const double m = __builtin_fmod(x, y); return m != 0 && (m < 0) != (y < 0) ? m + y : m; });
}
static inline VecI floorMod(VecI a, VecI b) {
  return perLane(a, b, [](int32_t x, int32_t y) {
    if (y == 0) return 0;
    const int32_t m = int32_t(int64_t(x) % y);
    return m != 0 && (m < 0) != (y < 0) ? m + y : m;
  });
}
// By squaring, wrapping around; a negative exponent gives 1 / a^|b| truncated.
static inline VecI pow(VecI a, VecI b) {
  return perLane(a, b, [](int32_t x, int32_t y) {
    if (y < 0) return x == 1 ? 1 : x == -1 ? (y & 1 ? -1 : 1) : 0;
    uint32_t r = 1, p = uint32_t(x);
    for (; y; y >>= 1, p *= p) if (y & 1) r *= p;
    return int32_t(r);
  });
}

// All lanes of a vector joined by halves: of four, (0 2)(1 3).
template <class T, class F> static inline T foldLanes(Vec<T> v, const F& join) {
  T part[kLanes<T>];
  memcpy(part, &v, sizeof part);
  for (int half = kLanes<T> / 2; half > 0; half /= 2)
    for (int i = 0; i < half; i++) part[i] = join(part[i], part[i + half]);
  return part[0];
}

// Conversions. To integers: toward zero, saturating, NaN gives 0.
// GCC splits conversions between widths into quarters, and takes vectors apart by way of memory.
#if defined(__AVX512F__)
static inline VecD widen(HalfF a) { return VecD(_mm512_cvtps_pd(__m256(a))); }
static inline HalfF narrow(VecD a) { return HalfF(_mm512_cvtpd_ps(__m512d(a))); }
static inline HalfF lowOf(VecF a) { return HalfF(_mm512_castps512_ps256(__m512(a))); }
static inline HalfF highOf(VecF a) { return HalfF(_mm512_extractf32x8_ps(__m512(a), 1)); }
static inline VecF join(HalfF low, HalfF high) { return VecF(_mm512_insertf32x8(_mm512_castps256_ps512(__m256(low)), __m256(high), 1)); }
#elif defined(__AVX2__)
static inline VecD widen(HalfF a) { return VecD(_mm256_cvtps_pd(__m128(a))); }
static inline HalfF narrow(VecD a) { return HalfF(_mm256_cvtpd_ps(__m256d(a))); }
static inline HalfF lowOf(VecF a) { return HalfF(_mm256_castps256_ps128(__m256(a))); }
static inline HalfF highOf(VecF a) { return HalfF(_mm256_extractf128_ps(__m256(a), 1)); }
static inline VecF join(HalfF low, HalfF high) { return VecF(_mm256_insertf128_ps(_mm256_castps128_ps256(__m128(low)), __m128(high), 1)); }
#else
static inline VecD widen(HalfF a) { return convert<VecD>(a); }
static inline HalfF narrow(VecD a) { return convert<HalfF>(a); }
static inline HalfF lowOf(VecF a) { HalfF h; memcpy(&h, &a, sizeof h); return h; }
static inline HalfF highOf(VecF a) { HalfF h; memcpy(&h, reinterpret_cast<char*>(&a) + sizeof h, sizeof h); return h; }
static inline VecF join(HalfF low, HalfF high) {
  VecF r;
  memcpy(&r, &low, sizeof low);
  memcpy(reinterpret_cast<char*>(&r) + sizeof low, &high, sizeof high);
  return r;
}
#endif
static inline VecD lowHalf(VecF a) { return widen(lowOf(a)); }
static inline VecD highHalf(VecF a) { return widen(highOf(a)); }
static inline VecF joinHalves(VecD low, VecD high) { return join(narrow(low), narrow(high)); }
static inline VecF toFloat(VecI a) { return convert<VecF>(a); }
static inline VecD toDouble(HalfI a) { return convert<VecD>(a); }
static inline VecI toInt(VecF a) {
  const VecI max = VecI{} + INT32_MAX, min = VecI{} + INT32_MIN;
  const VecF inside = (a < 0x1p31f) & (a > -0x1p31f) ? a : VecF{};
  return a >= 0x1p31f ? max : a <= -0x1p31f ? min : convert<VecI>(inside);
}
static inline HalfI toInt(VecD a) {
  const VecD max = broadcast(2147483647.0), min = broadcast(-2147483648.0);
  VecD inside = a != a ? VecD{} : a > max ? max : a < min ? min : a;
  return convert<HalfI>(inside);
}

}  // namespace GRAFT_ISA_NS
}  // namespace graft
