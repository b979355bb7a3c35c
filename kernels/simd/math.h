// Transcendental functions on vectors.
#pragma once
#include "basic.h"
namespace graft {
namespace GRAFT_ISA_NS {
#define X(n) static inline VecF n(VecF a) { return perLane(a, [](float x) { return __builtin_##n##f(x); }); } static inline VecD n(VecD a) { return perLane(a, [](double x) { return __builtin_##n(x); }); }
X(exp) X(expm1) X(log) X(log1p) X(sin) X(cos) X(tan) X(asin) X(acos) X(atan) X(sinh) X(cosh) X(tanh) X(erf)
#undef X
template <class V> static inline V sigmoid(V a) { return 1 / (1 + exp(-a)); }
template <class V> static inline V softplus(V a) { return maximum(a, V{}) + log1p(exp(-absolute(a))); }
static inline VecF pow(VecF a, VecF b) { return perLane(a, b, [](float x, float y) { return __builtin_powf(x, y); }); }
static inline VecD pow(VecD a, VecD b) { return perLane(a, b, [](double x, double y) { return __builtin_pow(x, y); }); }
static inline VecF atan2(VecF a, VecF b) { return perLane(a, b, [](float x, float y) { return __builtin_atan2f(x, y); }); }
static inline VecD atan2(VecD a, VecD b) { return perLane(a, b, [](double x, double y) { return __builtin_atan2(x, y); }); }
}
}
