// Transcendental functions on vectors of float (include math.h). Largest errors found against f64 (test/native/math.test.ts checks them), in units in the last place:
// exp, log, log1p, tan, pow, acos, erf 1.2; expm1, sin, cos, asin, atan, atan2, sinh, cosh, tanh, softplus 1.6; sigmoid 2.1. Infinities, NaN, zeros
// with their sign and subnormals give what the C library gives. Polynomials are minimax fits of the stated quotient, with coefficients rounded to f32.
#pragma once
#include "basic.h"

namespace graft {
namespace GRAFT_ISA_NS {

template <class V> static inline V horner(V, V c) { return c; }
template <class V, class... C> static inline V horner(V x, V c, C... rest) { return c + x * horner(x, rest...); }
// c0 + x * (c1 + x * (c2 + ...))
template <class V, class T, class... C> static inline V polynomial(V x, T c0, C... rest) { return horner(x, V{} + c0, (V{} + T(rest))...); }

static inline bool anyLane(VecI mask) {
#if defined(__AVX512F__)
  return _mm512_test_epi32_mask(__m512i(mask), __m512i(mask)) != 0;
#elif defined(__AVX2__)
  return _mm256_movemask_epi8(__m256i(mask)) != 0;
#elif defined(__SSE2__)
  return _mm_movemask_epi8(__m128i(mask)) != 0;
#else
  int32_t any = 0;
  for (int i = 0; i < kLanes<int32_t>; i++) any |= mask[i];
  return any != 0;
#endif
}

static constexpr float kInfinity = __builtin_inff();

// x = n ln 2 + high + low with n = round(x / ln 2): ln 2 in two parts, the first short enough for n times it, and so `high`, to be exact.
static inline VecF reduceLn2(VecF x, VecI* n, VecF* low) {
  const VecF magic = broadcast(0x1.8p23f);   // adding it rounds to an integer, which then stands in the low bits
  const VecF t = x * 1.44269504088896341f + magic, k = t - magic;
  *n = VecI(t) - VecI(magic);
  *low = k * 2.12194440054690583e-4f;
  return x - k * 0.693359375f;
}
static inline VecF powerOfTwo(VecI n) { return VecF((n + 127) << 23); }   // -126 <= n <= 127

#if defined(__AVX512F__)
// e^x = series 2^power, power a whole number. One instruction (scalef) then multiplies by 2^power, also to infinities and subnormals.
struct ExpParts { VecF series, power; };
static inline ExpParts expParts(VecF x) {
  const VecF n = VecF(_mm512_maskz_roundscale_ps(__mmask16(-1), __m512(x * 1.44269504088896341f), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  const VecF r = (x - n * 0.693359375f) + n * 2.12194440054690583e-4f;   // ln 2 in two parts, the first short enough for n times it to be exact
  return {polynomial(r, 1.0f, 1.0f, 0.49999994f, 0.16666521f, 0.041668274f, 0.008368684f, 0.001382008f), n};
}
static inline VecF timesPowerOfTwo(VecF x, VecF n, __mmask16 kept = __mmask16(-1)) { return VecF(_mm512_maskz_scalef_ps(kept, __m512(x), __m512(n))); }
#endif

// e^x 2^bias
static inline VecF expScaled(VecF x, int32_t bias) {
  x = x > 100.0f ? broadcast(100.0f) : x;
  x = x < -110.0f ? broadcast(-110.0f) : x;
#if defined(__AVX512F__)
  const ExpParts e = expParts(x);
  return timesPowerOfTwo(e.series, e.power + float(bias));
#else
  // e^r = 1 + r + r^2 P(r); the power of two is applied in two halves, so that results may be subnormal.
  VecI n;
  VecF low;
  const VecF high = reduceLn2(x, &n, &low), r = high + low;
  const VecF p = polynomial(r, 0.49999994f, 0.16666521f, 0.041668274f, 0.008368684f, 0.001382008f);
  const VecF y = 1 + (high + (low + r * r * p));
  n += bias;
  const VecI half = n >> 1;
  return y * powerOfTwo(half) * powerOfTwo(n - half);
#endif
}
static inline VecF exp(VecF x) { return expScaled(x, 0); }

// e^x for |x| < 87, in less work than exp; and for x <= 0 (a little above does no harm), with 0 below -87 in place of subnormals: for weights relative to a
// largest one.
#if defined(__AVX512F__)
static inline VecF expNear(VecF x) {
  const ExpParts e = expParts(x);
  return timesPowerOfTwo(e.series, e.power);
}
static inline VecF expDown(VecF a) {
  const __m512 least = _mm512_set1_ps(-87.0f), x = __m512(a);
  const ExpParts e = expParts(VecF(_mm512_maskz_max_ps(__mmask16(-1), least, x)));   // a where it is NaN
  return timesPowerOfTwo(e.series, e.power, _mm512_cmp_ps_mask(x, least, _CMP_NLT_UQ));
}
#else
static inline VecF expNear(VecF x) {
  VecI n;
  VecF low;
  const VecF high = reduceLn2(x, &n, &low), r = high + low;
  const VecF y = 1 + (r + r * r * polynomial(r, 0.49999994f, 0.16666521f, 0.041668274f, 0.008368684f, 0.001382008f));
  return VecF(VecI(y) + (n << 23));
}

static inline VecF expDown(VecF a) { return a < -87.0f ? VecF{} : expNear(a < -87.0f ? broadcast(-87.0f) : a); }
#endif

// 2^n (e^r - 1) + (2^n - 1), halved inside because 2^128 is no float.
static inline VecF expm1(VecF a) {
  VecF x = a > 89.0f ? broadcast(89.0f) : a;   // e^89 is beyond f32
  x = x < -20.0f ? broadcast(-20.0f) : x;
  VecI n;
  VecF low;
  const VecF high = reduceLn2(x, &n, &low), r = high + low;
  const VecF p = polynomial(r, 0.5f, 0.16666666f, 0.041666493f, 0.008333544f, 0.0013932341f, 0.00019763413f);
  const VecF small = high + (low + r * r * p);
  const VecF s = powerOfTwo(n - 1), half = s * small + (s - 0.5f);
  return a == 0 ? a : half + half;
}

// x = 2^e (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)); x positive, finite and not subnormal.
static inline VecF splitExponent(VecF x, VecI* e) {
  const VecI bits = VecI(x) - 0x3f3504f3;   // sqrt(1/2)
  *e = bits >> 23;
  return VecF(VecI(x) - (*e << 23)) - 1;
}
// ln(2^e (1 + f)) + c for a small correction c. ln(1 + f) = f - f^2 / 2 + f^3 P(f)
static inline VecF logOf(VecF f, VecF e, VecF c) {
  const VecF z = f * f;
  const VecF p = polynomial(f, 0.33333313f, -0.2500001f, 0.20002072f, -0.16667989f, 0.14220358f, -0.12406234f, 0.11883549f, -0.116700985f, 0.06749269f);
  return e * 0.693359375f + (f - (0.5f * z - (f * z * p + (e * -2.12194440054690583e-4f + c))));
}
// What every logarithm of x shares: 0 gives -inf, below NaN, inf stays.
static inline VecF logEnds(VecF x, VecF y) {
  const VecF nan = broadcast(__builtin_nanf(""));
  return x > 0 ? (x < kInfinity ? y : x) : x == 0 ? broadcast(-kInfinity) : nan;
}
static inline VecF log(VecF x) {
  const VecI subnormal = x < 0x1p-126f;
  VecI e;
  const VecF f = splitExponent(subnormal ? x * 0x1p23f : x, &e);
  return logEnds(x, logOf(f, toFloat(subnormal ? e - 23 : e), VecF{}));
}
// ln(u) + c / u, where u = 1 + x is rounded and c is what the rounding lost
static inline VecF log1p(VecF x) {
  const VecF u = 1 + x, lost = x > 1 ? 1 - (u - x) : x - (u - 1);
  VecI e;
  const VecF f = splitExponent(u, &e);
  const VecF y = logOf(e == 0 ? x : f, toFloat(e), e == 0 ? VecF{} : lost / u);
  return x == 0 ? x : logEnds(u, y);
}

// |x| = q pi/2 + r, |r| <= pi/4, in f64: the products of q and the 33 leading bits of pi/2 are exact below 2^20.
static constexpr float kReducible = 0x1p20f;
static inline VecD reduceQuarter(VecD x, HalfI* q) {
  const VecD magic = broadcast(0x1.8p52), n = (x * 0.63661977236758134308 + magic) - magic;
  *q = convert<HalfI>(n);
  return (x - n * 1.57079632673412561417) - n * 6.07710050650619224932e-11;
}
static inline VecF reduceQuarter(VecF x, VecI* q) {
  HalfI low, high;
  const VecD l = reduceQuarter(lowHalf(x), &low), h = reduceQuarter(highHalf(x), &high);
  memcpy(q, &low, sizeof low);
  memcpy(reinterpret_cast<char*>(q) + sizeof low, &high, sizeof high);
  return joinHalves(l, h);
}
// On [-pi/4, pi/4]: sin x = x + x^3 P(x^2), cos x = 1 - x^2 / 2 + x^4 P(x^2)
template <class V> static inline V sinQuarter(V x) {
  const V z = x * x;
  return x + x * z * polynomial(z, -0.16666667f, 0.008333379f, -0.00019853072f, 2.8326801e-06f);
}
template <class V> static inline V cosQuarter(V x) {
  const V z = x * x;
  return 1 - (0.5f * z - z * z * polynomial(z, 0.041666646f, -0.001388731f, 2.4432327e-05f));
}
static inline VecF sin(VecF x) {
  const VecF a = absolute(x);
  if (anyLane((a >= kReducible) & (a < kInfinity))) return perLane(x, [](float v) { return float(__builtin_sin(v)); });
  VecI q;
  const VecF r = reduceQuarter(a, &q), y = (q & 1) != 0 ? cosQuarter(r) : sinQuarter(r);
  return VecF(VecI(y) ^ ((q & 2) << 30) ^ (VecI(x) & INT32_MIN));
}
static inline VecF cos(VecF x) {
  const VecF a = absolute(x);
  if (anyLane((a >= kReducible) & (a < kInfinity))) return perLane(x, [](float v) { return float(__builtin_cos(v)); });
  VecI q;
  const VecF r = reduceQuarter(a, &q), y = (q & 1) != 0 ? sinQuarter(r) : cosQuarter(r);
  return VecF(VecI(y) ^ (((q + 1) & 2) << 30));
}
static inline VecD tanReduced(VecD x) {   // to f32 accuracy
  HalfI q;
  const VecD r = reduceQuarter(x, &q), s = sinQuarter(r), c = cosQuarter(r);
  const VecL odd = convert<VecL>((q & 1) != 0);
  return (odd ? -c : s) / (odd ? s : c);
}
static inline VecF tan(VecF x) {
  const VecF a = absolute(x);
  if (anyLane((a >= kReducible) & (a < kInfinity))) return perLane(x, [](float v) { return float(__builtin_tan(v)); });
  const VecF y = joinHalves(tanReduced(lowHalf(a)), tanReduced(highHalf(a)));
  return VecF(VecI(y) ^ (VecI(x) & INT32_MIN));
}

static constexpr float kHalfPi = 1.57079637f, kHalfPiLow = -4.37113883e-8f;   // their sum is pi/2 to 48 bits

// On [0, 1]: atan x = x + x^3 P(x^2)
static inline VecF atanUnit(VecF x) {
  const VecF z = x * x;
  return x + x * z * polynomial(z, -0.333333f, 0.1999853f, -0.14264016f, 0.109508805f, -0.083993055f, 0.057881333f, -0.031096844f, 0.010868536f, -0.0017827646f);
}
static inline VecF atan(VecF x) {
  const VecF a = absolute(x);
  const VecI large = a > 1;
  const VecF y = atanUnit(large ? 1 / a : a);
  return copySign(large ? kHalfPi - (y - kHalfPiLow) : y, x);
}
static inline VecF atan2(VecF y, VecF x) {
  const VecF a = absolute(y), b = absolute(x);
  const VecI swap = a > b;
  const VecF low = swap ? b : a, high = swap ? a : b;
  VecF q = high == 0 ? VecF{} : low / high;
  q = (low == kInfinity) & (high == kInfinity) ? broadcast(1.0f) : q;
  VecF angle = atanUnit(q);
  angle = swap ? kHalfPi - (angle - kHalfPiLow) : angle;
  angle = VecI(x) < 0 ? 2 * kHalfPi - (angle - 2 * kHalfPiLow) : angle;
  const VecF r = copySign(angle, y);
  return (x != x) | (y != y) ? x + y : r;
}
// On [0, 1/2]: asin x = x + x^3 P(x^2); this is the second term
static inline VecF asinTail(VecF x) {
  const VecF z = x * x;
  return x * z * polynomial(z, 0.16666752f, 0.074953064f, 0.045469772f, 0.024180776f, 0.042166404f);
}
// Beyond 1/2: asin x = pi/2 - 2 asin(s), s = sqrt((1 - x) / 2); what rounding pi/2 - 2 s loses is put back
static inline VecF asin(VecF x) {
  const VecF a = absolute(x);
  const VecI large = a > 0.5f;
  const VecF s = large ? squareRoot(0.5f - 0.5f * a) : a, tail = asinTail(s);
  const VecF rest = kHalfPi - 2 * s, lost = (kHalfPi - rest) - 2 * s;
  return copySign(large ? rest - ((2 * tail - kHalfPiLow) - lost) : s + tail, x);
}
static inline VecF acos(VecF x) {
  const VecF a = absolute(x);
  const VecI large = a > 0.5f;
  const VecF s = large ? squareRoot(0.5f - 0.5f * a) : x, y = s + asinTail(s);
  const VecF beyond = x < 0 ? 2 * (kHalfPi - (y - kHalfPiLow)) : 2 * y;
  return large ? beyond : kHalfPi - (y - kHalfPiLow);
}

// Below 1: sinh x = x + x^3 P(x^2); otherwise from h = e^|x| / 2, which overflows where sinh does
static inline VecF sinh(VecF x) {
  const VecF a = absolute(x), z = a * a, h = expScaled(a, -1);
  const VecF small = a + a * z * polynomial(z, 0.16666667f, 0.0083333105f, 0.00019842894f, 2.78223e-06f);
  return copySign(a < 1 ? small : h - 0.25f / h, x);
}
static inline VecF cosh(VecF x) {
  const VecF h = expScaled(absolute(x), -1);
  return h + 0.25f / h;
}
// Below 5/8: tanh x = x + x^3 P(x^2); otherwise 1 - 2 / (e^2x + 1)
static inline VecF tanh(VecF x) {
  const VecF a = absolute(x), z = a * a;
  const VecF small = a + a * z * polynomial(z, -0.3333328f, 0.13331406f, -0.053736515f, 0.020628167f, -0.0056922967f);
  return copySign(a < 0.625f ? small : 1 - 2 / (exp(a + a) + 1), x);
}

// Below 0.92: erf x = x + x P(x^2); otherwise 1 - e^P(x), the fit of ln(erfc x) up to 4, where erf is 1 in f32
static inline VecF erf(VecF x) {
  const VecF a = absolute(x), z = a * a, t = a > 4.0f ? broadcast(4.0f) : a;
  const VecF small = a + a * polynomial(z, 0.12837917f, -0.3761263f, 0.11283626f, -0.026855728f, 0.0051923767f, -0.00080491515f, 7.992568e-05f);
  const VecF tail = expNear(polynomial(t, -0.00018811591f, -1.1277069f, -0.6371296f, -0.10397777f, 0.02224915f, -0.0030487836f, 0.00019650342f));
  return copySign(a >= 0.92f ? 1 - tail : small, x);   // NaN takes the polynomial
}

}  // namespace GRAFT_ISA_NS
}  // namespace graft
