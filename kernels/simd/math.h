// Transcendental functions on vectors: those of float, those of double, and what is made of either.
#pragma once
#include "math32.h"
#include "math64.h"

namespace graft {
namespace GRAFT_ISA_NS {

// From e^-|x|, so that nothing overflows and small results keep their precision
template <class V> static inline V sigmoid(V x) {
  const V e = exp(-absolute(x));
  return (x < 0 ? e : V{} + 1) / (1 + e);
}
template <class V> static inline V softplus(V x) { return maximum(x, V{}) + log1p(exp(-absolute(x))); }

// e^(b ln a) of positive numbers, to f32 accuracy; ends far outside f32 are cut before they leave f64.
static inline VecD powPositive(VecD a, VecD b) {
  VecD t = b * log(a);
  t = t > 200.0 ? broadcast(200.0) : t;
  return exp(t < -200.0 ? broadcast(-200.0) : t);
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
