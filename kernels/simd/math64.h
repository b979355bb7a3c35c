// Transcendental functions on vectors of double. exp and log are vector code (within 1 ulp) and f32 pow is made of them; the others go through the C
// library lane by lane: f64 serves to check gradients.
#pragma once
#include "math32.h"

namespace graft {
namespace GRAFT_ISA_NS {

static inline VecD powerOfTwo(VecD n) { return VecD((VecL(n + 0x1.8p52) + 1023) << 52); }   // n a whole number from -1022 to 1023

// As in f32: x = n ln 2 + r, e^r by its series (|r| < 0.347: the first term left out is below 2^-57).
static inline VecD exp(VecD a) {
  VecD x = a > 710.0 ? broadcast(710.0) : a;
  x = x < -750.0 ? broadcast(-750.0) : x;
  const VecD magic = broadcast(0x1.8p52), n = (x * 1.4426950408889634074 + magic) - magic;
  const VecD r = (x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;   // ln 2, its first 33 bits and the rest
  const VecD p = polynomial(r, 1 / 2.0, 1 / 6.0, 1 / 24.0, 1 / 120.0, 1 / 720.0, 1 / 5040.0, 1 / 40320.0, 1 / 362880.0, 1 / 3628800.0, 1 / 39916800.0, 1 / 479001600.0, 1 / 6227020800.0);
  const VecD half = (n * 0.5 + magic) - magic;
  const VecD y = (1 + (r + r * r * p)) * powerOfTwo(half) * powerOfTwo(n - half);
  return a > 709.782712893384 ? broadcast(__builtin_inf()) : y;
}

// x = 2^e (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)); x positive, finite and not subnormal. Returns f.
static inline VecD splitExponent(VecD x, VecD* e) {
  typedef VecOf<uint64_t>::type VecUL;
  const VecUL bits = VecUL(x), biased = (bits + (0x3ff0000000000000u - 0x3fe6a09e667f3bcdu)) >> 52;   // rounds up from sqrt(1/2) on
  *e = VecD(biased | 0x4330000000000000u) - (0x1p52 + 1023);
  return VecD(bits - ((biased - 1023) << 52)) - 1;
}

// x = 2^e (1 + f), s = f / (2 + f): ln(1 + f) = 2 atanh(s) = f - (f^2 / 2 - s (f^2 / 2 + R)), R = 2 (s^2 / 3 + s^4 / 5 + ...)
static inline VecD log(VecD x) {
  const VecL subnormal = VecL(x < 0x1p-1022);
  VecD whole;
  const VecD f = splitExponent(subnormal ? x * 0x1p52 : x, &whole), e = whole - (subnormal ? broadcast(52.0) : VecD{});
  const VecD s = f / (2 + f), z = s * s, square = 0.5 * f * f;
  const VecD r = z * polynomial(z, 2 / 3.0, 2 / 5.0, 2 / 7.0, 2 / 9.0, 2 / 11.0, 2 / 13.0, 2 / 15.0, 2 / 17.0, 2 / 19.0, 2 / 21.0);
  const VecD y = e * 6.93147180369123816490e-01 - ((square - (s * (square + r) + e * 1.90821492927058770002e-10)) - f);
  const VecD inf = broadcast(__builtin_inf()), nan = broadcast(__builtin_nan(""));
  return x > 0 ? (x < inf ? y : x) : x == 0 ? -inf : nan;
}

#define GRAFT_PER_LANE(name) static inline VecD name(VecD a) { return perLane(a, [](double x) { return __builtin_##name(x); }); }
GRAFT_PER_LANE(expm1)
GRAFT_PER_LANE(log1p)
GRAFT_PER_LANE(sin)
GRAFT_PER_LANE(cos)
GRAFT_PER_LANE(tan)
GRAFT_PER_LANE(asin)
GRAFT_PER_LANE(acos)
GRAFT_PER_LANE(atan)
GRAFT_PER_LANE(sinh)
GRAFT_PER_LANE(cosh)
GRAFT_PER_LANE(tanh)
GRAFT_PER_LANE(erf)
#undef GRAFT_PER_LANE
static inline VecD pow(VecD a, VecD b) { return perLane(a, b, [](double x, double y) { return __builtin_pow(x, y); }); }
static inline VecD atan2(VecD a, VecD b) { return perLane(a, b, [](double x, double y) { return __builtin_atan2(x, y); }); }

}  // namespace GRAFT_ISA_NS
}  // namespace graft
