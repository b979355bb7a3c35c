// Stores that go past the caches: a line of an ordinary store is read before it is overwritten, and pushes out what may still be wanted. They pay for
// results that are larger than the caches, of which whoever reads them next finds nothing there anyway. Other threads see them after fenceStream().
#pragma once
#include "vec.h"

namespace graft {
namespace GRAFT_ISA_NS {

constexpr int64_t kStreamFrom = 32 << 20;   // bytes of a result

static inline bool isLarge(int64_t bytes) {
#if defined(__SSE2__)
  return bytes >= kStreamFrom;
#else
  return false;
#endif
}

// Whether a result of `rowCount` rows of n elements that begin at p is worth it, and each row begins where such a store may.
template <class T> static inline bool mayStream(const T* p, int64_t rowCount, int64_t n) {
  return isLarge(rowCount * n * int64_t(sizeof(T))) && reinterpret_cast<uintptr_t>(p) % sizeof(Vec<T>) == 0 && n % kLanes<T> == 0;
}

// p is aligned to a vector.
template <class T> static inline void storeStream(T* p, Vec<T> v) {
#if defined(__AVX512F__)
  __m512i u; memcpy(&u, &v, sizeof u); _mm512_stream_si512(reinterpret_cast<__m512i*>(p), u);
#elif defined(__AVX2__)
  __m256i u; memcpy(&u, &v, sizeof u); _mm256_stream_si256(reinterpret_cast<__m256i*>(p), u);
#elif defined(__SSE2__)
  __m128i u; memcpy(&u, &v, sizeof u); _mm_stream_si128(reinterpret_cast<__m128i*>(p), u);
#else
  store(p, v);
#endif
}

static inline void fenceStream() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

}  // namespace GRAFT_ISA_NS
}  // namespace graft
