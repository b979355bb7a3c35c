// Transcendental functions on vectors: those of float, those of double, and what is made of either.
#pragma once
#include "math32.h"
#include "gelu32.h"
#include "math64.h"

namespace graft {
namespace GRAFT_ISA_NS {

static inline VecD expDown(VecD x) { return exp(x); }

// From e^-|x|, so that nothing overflows and small results keep their precision
template <class V> static inline V sigmoid(V x) {
  const V e = exp(-absolute(x));
  return (x < 0 ? e : V{} + 1) / (1 + e);
}
template <class V> static inline V softplus(V x) { return maximum(x, V{}) + log1p(exp(-absolute(x))); }

// x times a gate s in (0, 1), and the derivative times dy. For a sigmoid of v both s and s (1 - s) come from e^-|v|: nothing overflows, and where s is
// near 1 its complement keeps its digits.
template <class V> struct SigmoidGate { V s, slope; };
template <class V> static inline SigmoidGate<V> sigmoidGate(V v) {
  const V e = expDown(-absolute(v)), p = 1 / (1 + e);
  return {v < 0 ? e * p : p, e * p * p};
}
template <class V> static inline V silu(V x) { return x * sigmoidGate(x).s; }
template <class V> static inline V siluGrad(V x, V dy) {
  const SigmoidGate<V> gate = sigmoidGate(x);
  return dy * (gate.s + x * gate.slope);
}
// In f64; for f32 see gelu32.h. (1 + tanh u) / 2 = sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3)
static constexpr double kTwiceOuter = 1.5957691216057308, kCubic = 0.044715, kRootHalf = 0.70710678118654752, kBell = 0.39894228040143268;
static inline VecD twiceInner(VecD x) { return kTwiceOuter * (x + kCubic * (x * x * x)); }
static inline VecD geluTanh(VecD x) { return x * sigmoidGate(twiceInner(x)).s; }
static inline VecD geluTanhGrad(VecD x, VecD dy) {
  const SigmoidGate<VecD> gate = sigmoidGate(twiceInner(x));
  return dy * (gate.s + x * gate.slope * (kTwiceOuter * (1 + 3 * kCubic * (x * x))));
}
// x P(x) with the normal distribution P(x) = (1 + erf(x / sqrt 2)) / 2; its density is e^(-x^2 / 2) / sqrt(2 pi)
static inline VecD gelu(VecD x) { return x * (0.5 + 0.5 * erf(x * kRootHalf)); }
static inline VecD geluGrad(VecD x, VecD dy) { return dy * (0.5 + 0.5 * erf(x * kRootHalf) + x * (kBell * expDown(-0.5 * (x * x)))); }

// e^(b ln a) of what a float can hold from 0 to infinity, to 2^-27: ln(1 + f) = f + f^2 Q(f) for 1 + f in [sqrt(1/2), sqrt(2)), e^r = 1 + r + r^2 P(r) for
// |r| < 0.347. Q and P are Chebyshev's polynomials of degree 11 (2^-34 of the logarithm, which b ln a makes 89 times as much at most) and 5 (2^-32), their
// terms added in pairs (Estrin): a vector waits for the longest chain, and there are two behind each other. Ends far outside f32 are cut before they leave f64.
static inline VecD powPositive(VecD a, VecD b) {
  const auto pair = [](VecD x, double low, double high) { return low + x * high; };
  VecD e;
  const VecD f = splitExponent(a, &e), f2 = f * f, f4 = f2 * f2;
  const VecD low = pair(f, -0.50000000004456335, 0.33333333619653824) + f2 * pair(f, -0.24999997692993609, 0.19999941130866822);
  const VecD middle = pair(f, -0.16666823826926573, 0.14289164800185855) + f2 * pair(f, -0.1249823881958088, 0.11028403306854525);
  const VecD high = pair(f, -0.099361413765132701, 0.099238798029241017) + f2 * pair(f, -0.097714493563827625, 0.053931296078182257);
  const VecD y = e * 0.69314718055994531 + (f + f2 * (low + f4 * (middle + f4 * high))), inf = broadcast(__builtin_inf());
  VecD t = b * (a == 0 ? -inf : a < inf ? y : inf);
  t = t > 200.0 ? broadcast(200.0) : t;
  t = t < -200.0 ? broadcast(-200.0) : t;
  const VecD magic = broadcast(0x1.8p52), n = (t * 1.4426950408889634 + magic) - magic, r = t - n * 0.69314718055994531, r2 = r * r;
  const VecD p = pair(r, 0.50000000134658092, 0.166666666816232314) + r2 * (pair(r, 0.0416664649252859054, 0.00833331092548090083) + r2 * pair(r, 0.00139336499963092504, 0.000198909908246736538));
  return (1 + (r + r2 * p)) * powerOfTwo(n);
}
static inline VecF pow(VecF a, VecF b) {
  const VecF p = absolute(a), inf = broadcast(kInfinity), nan = broadcast(__builtin_nanf("")), one = broadcast(1.0f);
  VecF y = joinHalves(powPositive(lowHalf(p), lowHalf(b)), powPositive(highHalf(p), highHalf(b)));
  const VecI whole = truncate(b) == b, odd = whole & (floor(b * 0.5f) * 2 != b), negative = VecI(a) < 0;
  y = negative & odd ? -y : y;
  y = (a < 0) & (p < inf) & ~whole ? nan : y;
  y = (p == 1) & (absolute(b) == inf) ? one : y;
  return (b == 0) | (a == 1) ? one : a != a ? a : y;
}

}  // namespace GRAFT_ISA_NS
}  // namespace graft
