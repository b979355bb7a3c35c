// Width-agnostic vectors on the compiler's vector extension (GCC, clang). Arithmetic, comparison and ?: work lane by lane; a * b + c is contracted
// to a fused multiply-add where the machine has one (-ffp-contract=fast). The build sets the width through the target flags.
#pragma once
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#elif defined(__wasm_simd128__)
#include <wasm_simd128.h>
#endif

#if defined(__AVX512F__)
#define GRAFT_ISA_NS avx512
#define GRAFT_VEC_BYTES 64
#elif defined(__AVX2__)
#define GRAFT_ISA_NS avx2
#define GRAFT_VEC_BYTES 32
#elif defined(__ARM_NEON)
#define GRAFT_ISA_NS neon
#define GRAFT_VEC_BYTES 16
#elif defined(__wasm_relaxed_simd__)
#define GRAFT_ISA_NS wasm_relaxed
#define GRAFT_VEC_BYTES 16
#elif defined(__wasm_simd128__)
#define GRAFT_ISA_NS wasm_simd
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

// a * b + c, in one instruction where there is one. The compiler contracts it by itself, but not to WebAssembly's relaxed form, which may round twice.
template <class V> static inline V multiplyAdd(V a, V b, V c) { return a * b + c; }
#if defined(__wasm_relaxed_simd__)
template <> inline VecF multiplyAdd<VecF>(VecF a, VecF b, VecF c) { return VecF(wasm_f32x4_relaxed_madd(v128_t(a), v128_t(b), v128_t(c))); }
template <> inline VecD multiplyAdd<VecD>(VecD a, VecD b, VecD c) { return VecD(wasm_f64x2_relaxed_madd(v128_t(a), v128_t(b), v128_t(c))); }
#endif

// Vectors with a stated number of lanes: the narrow side of a conversion between 4-byte and 8-byte lanes.
template <class T, int L> struct VecOfLanes { typedef T type __attribute__((vector_size(L * sizeof(T)))); };
template <class T, int L> using VecN = typename VecOfLanes<T, L>::type;
typedef VecOf<int64_t>::type VecL;
typedef VecN<float, kLanes<double>> HalfF;
typedef VecN<int32_t, kLanes<double>> HalfI;

template <class To, class From> static inline To bitcast(From v) { static_assert(sizeof(To) == sizeof(From), "same size"); To r; memcpy(&r, &v, sizeof r); return r; }
template <class To, class From> static inline To convert(From v) { return __builtin_convertvector(v, To); }

// The first n lanes (n below the lane count) from memory, the rest zero; and the way back. Nothing past p[n - 1] is touched.
template <class V, class T> static inline V loadPart(const T* p, int64_t n) {
#if defined(__AVX512F__)
  if (sizeof(V) == 64 && sizeof(T) == 4) { __m512i v = _mm512_maskz_loadu_epi32(__mmask16((1u << n) - 1), p); V r; memcpy(&r, &v, sizeof r); return r; }
  if (sizeof(V) == 64 && sizeof(T) == 8) { __m512i v = _mm512_maskz_loadu_epi64(__mmask8((1u << n) - 1), p); V r; memcpy(&r, &v, sizeof r); return r; }
#endif
#if defined(__AVX2__)
  const __m256i lanes32 = _mm256_cmpgt_epi32(_mm256_set1_epi32(int(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  if (sizeof(V) == 32 && sizeof(T) == 4) { __m256i v = _mm256_maskload_epi32(reinterpret_cast<const int*>(p), lanes32); V r; memcpy(&r, &v, sizeof r); return r; }
  if (sizeof(V) == 16 && sizeof(T) == 4) { __m128i v = _mm_maskload_epi32(reinterpret_cast<const int*>(p), _mm256_castsi256_si128(lanes32)); V r; memcpy(&r, &v, sizeof r); return r; }
  const __m256i lanes64 = _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
  if (sizeof(V) == 32 && sizeof(T) == 8) { __m256i v = _mm256_maskload_epi64(reinterpret_cast<const long long*>(p), lanes64); V r; memcpy(&r, &v, sizeof r); return r; }
#endif
  V r{};
  memcpy(&r, p, size_t(n) * sizeof(T));
  return r;
}
template <class V, class T> static inline void storePart(T* p, V v, int64_t n) {
#if defined(__AVX512F__)
  if (sizeof(V) == 64 && sizeof(T) == 4) { __m512i u; memcpy(&u, &v, sizeof v); _mm512_mask_storeu_epi32(p, __mmask16((1u << n) - 1), u); return; }
  if (sizeof(V) == 64 && sizeof(T) == 8) { __m512i u; memcpy(&u, &v, sizeof v); _mm512_mask_storeu_epi64(p, __mmask8((1u << n) - 1), u); return; }
#endif
#if defined(__AVX2__)
  const __m256i lanes32 = _mm256_cmpgt_epi32(_mm256_set1_epi32(int(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  if (sizeof(V) == 32 && sizeof(T) == 4) { __m256i u; memcpy(&u, &v, sizeof u); _mm256_maskstore_epi32(reinterpret_cast<int*>(p), lanes32, u); return; }
  if (sizeof(V) == 16 && sizeof(T) == 4) { __m128i u; memcpy(&u, &v, sizeof u); _mm_maskstore_epi32(reinterpret_cast<int*>(p), _mm256_castsi256_si128(lanes32), u); return; }
  const __m256i lanes64 = _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
  if (sizeof(V) == 32 && sizeof(T) == 8) { __m256i u; memcpy(&u, &v, sizeof u); _mm256_maskstore_epi64(reinterpret_cast<long long*>(p), lanes64, u); return; }
#endif
  memcpy(p, &v, size_t(n) * sizeof(T));
}

static inline VecF squareRoot(VecF v) {
#if defined(__AVX512F__)
  return VecF(_mm512_maskz_sqrt_ps(__mmask16(-1), __m512(v)));
#elif defined(__AVX2__)
  return VecF(_mm256_sqrt_ps(__m256(v)));
#elif defined(__SSE2__)
  return VecF(_mm_sqrt_ps(__m128(v)));
#elif defined(__ARM_NEON)
  return VecF(vsqrtq_f32(float32x4_t(v)));
#elif defined(__wasm_simd128__)
  return VecF(wasm_f32x4_sqrt(v128_t(v)));
#else
  for (int i = 0; i < kLanes<float>; i++) v[i] = __builtin_sqrtf(v[i]);
  return v;
#endif
}
static inline VecD squareRoot(VecD v) {
#if defined(__AVX512F__)
  return VecD(_mm512_maskz_sqrt_pd(__mmask8(-1), __m512d(v)));
#elif defined(__AVX2__)
  return VecD(_mm256_sqrt_pd(__m256d(v)));
#elif defined(__SSE2__)
  return VecD(_mm_sqrt_pd(__m128d(v)));
#elif defined(__ARM_NEON)
  return VecD(vsqrtq_f64(float64x2_t(v)));
#elif defined(__wasm_simd128__)
  return VecD(wasm_f64x2_sqrt(v128_t(v)));
#else
  for (int i = 0; i < kLanes<double>; i++) v[i] = __builtin_sqrt(v[i]);
  return v;
#endif
}

}  // namespace GRAFT_ISA_NS
}  // namespace graft
