// A matrix operand stored in blocks of few bits, unpacked while it is packed: value e (row by row) is table[code e] * scale of block e / blockSize.
#pragma once
#include "gemm_kernel.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace gemm {

struct Quantised {
  const uint8_t* codes;
  const float* scales;            // one per block; or NULL where the scales are stored in 8 bits themselves:
  const uint8_t* scaleCodes;      // scale = second[0] + second[1 + block / 256] * (code - 128)
  const float* second;
  const void* table;              // of T: the values of the codes
  float step;                     // 8 bits: value = (code - 128) * step for all codes, or 0 where it is not
  int bits, shift;                // two codes of 4 bits share a byte, the first in the upper half; blockSize = 1 << shift
};

constexpr double kUnpackCycles = 0.4;  // per value, beside what packing costs anyhow (about, Zen 3)

template <class T> static GRAFT_FORCE_INLINE T scaleOf(const Quantised& q, int64_t block) {
  return q.scales ? T(q.scales[block]) : T(q.second[0]) + T(q.second[1 + (block >> 8)]) * T(int(q.scaleCodes[block]) - 128);
}

// Values of one block: dst[i] = table[code e + i] * scale for i < n.
template <class T> static GRAFT_FORCE_INLINE void unpackBytes(T* dst, const Quantised& q, T scale, int64_t e, int64_t n) {
  const T* const table = static_cast<const T*>(q.table);
  int64_t i = 0;
#if defined(__AVX2__)
  if constexpr (sizeof(T) == 4) {
    // Codes at equal steps around 128 are numbers.
    const __m256 step = _mm256_set1_ps(q.step * scale);
    const __m256i middle = _mm256_set1_epi32(128);
    if (q.step != 0)
      for (; i + 8 <= n; i += 8) {
        const __m256i code = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(q.codes + e + i)));
        _mm256_storeu_ps(dst + i, _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_sub_epi32(code, middle)), step));
      }
  }
#endif
  for (; i < n; i++) dst[i] = table[q.codes[e + i]] * scale;
}

template <class T> static GRAFT_FORCE_INLINE void unpackHalves(T* dst, const Quantised& q, T scale, int64_t e, int64_t n) {
  const T* const table = static_cast<const T*>(q.table);
  int64_t i = 0;
  if (e & 1) dst[0] = table[q.codes[e >> 1] & 15] * scale, i = 1;
  const uint8_t* code = q.codes + ((e + i) >> 1);
#if defined(__AVX2__)
  if constexpr (sizeof(T) == 4) {
    // The 16 values fit in two registers, in which 8 codes at once are looked up.
    const __m256 low = _mm256_loadu_ps(table), high = _mm256_loadu_ps(table + 8), factor = _mm256_set1_ps(scale);
    const auto eight = [&](__m128i codes, float* to) {
      const __m256i index = _mm256_cvtepu8_epi32(codes);
      const __m256 upper = _mm256_castsi256_ps(_mm256_slli_epi32(index, 28));            // bit 3 as the sign
      const __m256 value = _mm256_blendv_ps(_mm256_permutevar8x32_ps(low, index), _mm256_permutevar8x32_ps(high, index), upper);
      _mm256_storeu_ps(to, _mm256_mul_ps(value, factor));
    };
    for (; i + 16 <= n; i += 16, code += 8) {
      const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(code)), nibble = _mm_set1_epi8(15);
      const __m128i codes = _mm_unpacklo_epi8(_mm_and_si128(_mm_srli_epi16(bytes, 4), nibble), _mm_and_si128(bytes, nibble));
      eight(codes, dst + i);
      eight(_mm_srli_si128(codes, 8), dst + i + 8);
    }
  }
#endif
  for (; i + 2 <= n; i += 2, code++) dst[i] = table[*code >> 4] * scale, dst[i + 1] = table[*code & 15] * scale;
  if (i < n) dst[i] = table[*code >> 4] * scale;
}

// dst[i] = value e + i for i < n.
template <class T> static void unpack(T* dst, const Quantised& q, int64_t e, int64_t n) {
  while (n > 0) {
    const int64_t block = e >> q.shift, end = (block + 1) << q.shift, count = end - e < n ? end - e : n;
    const T scale = scaleOf<T>(q, block);
    if (q.bits == 8) unpackBytes(dst, q, scale, e, count);
    else unpackHalves(dst, q, scale, e, count);
    dst += count, e += count, n -= count;
  }
}

}  // namespace gemm
}  // namespace GRAFT_ISA_NS
}  // namespace graft
