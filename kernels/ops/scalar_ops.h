// One loop per scalar opcode, generated from scalar.def, and the table that the tile interpreter dispatches over.
#pragma once
#include "../core/opcodes.h"
#include "../simd/math.h"

namespace graft {
namespace GRAFT_ISA_NS {

// dst[0..n) = op(a, b, c). dst may be one of the operands where the element size is the same. Of operand j whose bit 1 << j is set in `same` there is one
// vector, which stands for all.
using ScalarFn = void (*)(const void* a, const void* b, const void* c, void* dst, int64_t n, unsigned same, double immediate);

namespace scalar_ops {

typedef float f32;
typedef double f64;
typedef int32_t i32;

// Vectors a turn of the loop: of 64 bytes two keep the stores busy, of 32 it takes four.
#if GRAFT_VEC_BYTES == 32
#define GRAFT_UNROLL _Pragma("GCC unroll 4")
#else
#define GRAFT_UNROLL _Pragma("GCC unroll 2")
#endif

// A whole vector at a time; the tail goes through a zero-padded vector, so that it gives the same bits.
template <bool kSame, class A, class B, class C, class D, int lanes, class F>
static inline void pass(const A* a, const B* b, const C* c, D* dst, int64_t n, unsigned same, int operands, const F& f) {
  const auto step = [=](int operand) { return kSame && (same >> operand & 1) ? 0 : lanes; };
  const int64_t stepA = step(0), stepB = step(1), stepC = step(2);
  VecN<A, lanes> va{};
  VecN<B, lanes> vb{};
  VecN<C, lanes> vc{};
  int64_t i = 0;
GRAFT_UNROLL
  for (; i + lanes <= n; i += lanes, a += stepA, b += stepB, c += stepC) {
    if (operands > 0) memcpy(&va, a, sizeof va);
    if (operands > 1) memcpy(&vb, b, sizeof vb);
    if (operands > 2) memcpy(&vc, c, sizeof vc);
    const VecN<D, lanes> r = f(va, vb, vc);
    memcpy(dst + i, &r, sizeof r);
  }
  const int64_t rest = n - i;
  if (rest == 0) return;
  if (operands > 0) va = loadPart<VecN<A, lanes>>(a, rest);
  if (operands > 1) vb = loadPart<VecN<B, lanes>>(b, rest);
  if (operands > 2) vc = loadPart<VecN<C, lanes>>(c, rest);
  storePart(dst + i, f(va, vb, vc), rest);
}

template <class A, class B, class C, class D, int lanes, class F>
static inline void loop(const void* a, const void* b, const void* c, void* dst, int64_t n, unsigned same, int operands, const F& f) {
  const A* const pa = static_cast<const A*>(a);
  const B* const pb = static_cast<const B*>(b);
  const C* const pc = static_cast<const C*>(c);
  D* const pd = static_cast<D*>(dst);
  if (same) pass<true, A, B, C, D, lanes>(pa, pb, pc, pd, n, same, operands, f);
  else pass<false, A, B, C, D, lanes>(pa, pb, pc, pd, n, same, operands, f);
}

#undef GRAFT_UNROLL

template <class T> using I = VecN<int32_t, kLanes<T>>;
template <class T> using Mask = decltype(Vec<T>{} < Vec<T>{});

template <class Op> static void runUnary(const void* a, const void* b, const void* c, void* dst, int64_t n, unsigned same, double) {
  using T = typename Op::T;
  loop<T, T, T, T, kLanes<T>>(a, b, c, dst, n, same, 1, [](Vec<T> x, Vec<T>, Vec<T>) { return Op::apply(x, x, x); });
}
template <class Op> static void runBinary(const void* a, const void* b, const void* c, void* dst, int64_t n, unsigned same, double) {
  using T = typename Op::T;
  loop<T, T, T, T, kLanes<T>>(a, b, c, dst, n, same, 2, [](Vec<T> x, Vec<T> y, Vec<T>) { return Op::apply(x, y, x); });
}
template <class Op> static void runTernary(const void* a, const void* b, const void* c, void* dst, int64_t n, unsigned same, double) {
  using T = typename Op::T;
  loop<T, T, T, T, kLanes<T>>(a, b, c, dst, n, same, 3, [](Vec<T> x, Vec<T> y, Vec<T> z) { return Op::apply(x, y, z); });
}
template <class Op> static void runTest(const void* a, const void* b, const void* c, void* dst, int64_t n, unsigned same, double) {
  using T = typename Op::T;
  loop<T, T, T, int32_t, kLanes<T>>(a, b, c, dst, n, same, 1, [](Vec<T> x, Vec<T>, Vec<T>) { return convert<I<T>>(Op::apply(x, x, x)) & 1; });
}
template <class Op> static void runCompare(const void* a, const void* b, const void* c, void* dst, int64_t n, unsigned same, double) {
  using T = typename Op::T;
  loop<T, T, T, int32_t, kLanes<T>>(a, b, c, dst, n, same, 2, [](Vec<T> x, Vec<T> y, Vec<T>) { return convert<I<T>>(Op::apply(x, y, x)) & 1; });
}
template <class Op> static void runWhere(const void* a, const void* b, const void* c, void* dst, int64_t n, unsigned same, double) {
  using T = typename Op::T;
  loop<int32_t, T, T, T, kLanes<T>>(a, b, c, dst, n, same, 3, [](I<T> m, Vec<T> y, Vec<T> z) { return Op::apply(convert<Mask<T>>(m != 0), y, z); });
}
template <class Op> static void runConst(const void*, const void*, const void*, void* dst, int64_t n, unsigned, double immediate) {
  using T = typename Op::T;
  T* p = static_cast<T*>(dst);
  const T x = T(immediate);
  for (int64_t i = 0; i < n; i++) p[i] = x;
}
template <class Op> static void runCast(const void* a, const void* b, const void* c, void* dst, int64_t n, unsigned same, double) {
  using From = typename Op::From;
  using To = typename Op::To;
  constexpr int lanes = sizeof(From) + sizeof(To) > 8 ? kLanes<double> : kLanes<float>;
  using V = VecN<From, lanes>;
  loop<From, From, From, To, lanes>(a, b, c, dst, n, same, 1, [](V x, V, V) { return Op::apply(x); });
}

#define GRAFT_OP(name, cls, kind, ...)                                                          \
  struct kind##_##name##_##cls {                                                                \
    typedef cls T;                                                                              \
    template <class A> static inline auto apply(A a, Vec<T> b, Vec<T> c) { (void)a, (void)b, (void)c; return __VA_ARGS__; } \
  };
#define GRAFT_CAST(from, to, ...)                                                               \
  struct cast_##from##_##to {                                                                   \
    typedef from From;                                                                          \
    typedef to To;                                                                              \
    template <class A> static inline auto apply(A a) { return __VA_ARGS__; }                    \
  };
#include "scalar.def"
#undef GRAFT_OP
#undef GRAFT_CAST

static constexpr ScalarFn kTable[] = {
#define GRAFT_OP(name, cls, kind, ...) run##kind<kind##_##name##_##cls>,
#define GRAFT_CAST(from, to, ...) runCast<cast_##from##_##to>,
#include "scalar.def"
#undef GRAFT_OP
#undef GRAFT_CAST
};

}  // namespace scalar_ops
}  // namespace GRAFT_ISA_NS
}  // namespace graft
