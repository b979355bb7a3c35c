// Width-agnostic vectors on the compiler's vector extension (GCC, clang). Arithmetic, comparison and ?: work lane by lane; a * b + c is contracted
// to a fused multiply-add where the machine has one (-ffp-contract=fast). The build sets the width through the target flags.
#pragma once
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#define GRAFT_ISA_NS avx512
#define GRAFT_VEC_BYTES 64
#elif defined(__AVX2__)
#define GRAFT_ISA_NS avx2
#define GRAFT_VEC_BYTES 32
#elif defined(__ARM_NEON)
#define GRAFT_ISA_NS neon
#define GRAFT_VEC_BYTES 16
#else
#define GRAFT_ISA_NS scalar
#define GRAFT_VEC_BYTES 16
#endif

namespace graft {
namespace GRAFT_ISA_NS {

template <class T> struct VecOf { typedef T type __attribute__((vector_size(GRAFT_VEC_BYTES))); };
typedef VecOf<float>::type VecF;
typedef VecOf<double>::type VecD;
typedef VecOf<int32_t>::type VecI;

template <class T> using Vec = typename VecOf<T>::type;
template <class T> constexpr int kLanes = GRAFT_VEC_BYTES / int(sizeof(T));

template <class T> static inline Vec<T> load(const T* p) { Vec<T> v; memcpy(&v, p, sizeof v); return v; }
template <class T> static inline void store(T* p, Vec<T> v) { memcpy(p, &v, sizeof v); }
template <class T> static inline Vec<T> broadcast(T x) { return x - Vec<T>{}; }

}  // namespace GRAFT_ISA_NS
}  // namespace graft
