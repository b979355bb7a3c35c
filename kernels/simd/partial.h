// The first n lanes of a vector, 0 <= n <= lanes: for the ragged end of a row. A masked access does not touch the memory behind the row.
#pragma once
#include "vec.h"
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace graft {
namespace GRAFT_ISA_NS {

#if defined(__AVX512F__)
static inline Vec<float> loadPartial(const float* p, int n) { return _mm512_maskz_loadu_ps(__mmask16((1u << n) - 1), p); }
static inline Vec<double> loadPartial(const double* p, int n) { return _mm512_maskz_loadu_pd(__mmask8((1u << n) - 1), p); }
static inline void storePartial(float* p, Vec<float> v, int n) { _mm512_mask_storeu_ps(p, __mmask16((1u << n) - 1), v); }
static inline void storePartial(double* p, Vec<double> v, int n) { _mm512_mask_storeu_pd(p, __mmask8((1u << n) - 1), v); }
#elif defined(__AVX2__)
static inline __m256i laneMask(float, int n) { return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)); }
static inline __m256i laneMask(double, int n) { return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3)); }
static inline Vec<float> loadPartial(const float* p, int n) { return _mm256_maskload_ps(p, laneMask(0.0f, n)); }
static inline Vec<double> loadPartial(const double* p, int n) { return _mm256_maskload_pd(p, laneMask(0.0, n)); }
static inline void storePartial(float* p, Vec<float> v, int n) { _mm256_maskstore_ps(p, laneMask(0.0f, n), v); }
static inline void storePartial(double* p, Vec<double> v, int n) { _mm256_maskstore_pd(p, laneMask(0.0, n), v); }
#else
template <class T> static inline Vec<T> loadPartial(const T* p, int n) {
  Vec<T> v = {};
  for (int i = 0; i < kLanes<T>; i++) if (i < n) v[i] = p[i];
  return v;
}
template <class T> static inline void storePartial(T* p, Vec<T> v, int n) {
  for (int i = 0; i < kLanes<T>; i++) if (i < n) p[i] = v[i];
}
#endif

}  // namespace GRAFT_ISA_NS
}  // namespace graft
