// Philox 4x32-10 (Salmon et al., SC 2011): ten rounds that turn a counter and a key into four random words. Counter based, so that every element depends
// on its position and the key only. The counter of a block is (block, block >> 32, stream, stream >> 32), the key seed, seed >> 32.
#pragma once
#include "../simd/math.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace philox {

constexpr int L = kLanes<int32_t>;

// High and low halves of the 64-bit products of unsigned lanes and a constant.
static inline void multiply(VecU a, uint32_t constant, VecU* high, VecU* low) {
#if defined(__AVX512F__)
  const __m512i k = _mm512_set1_epi64(int64_t(uint64_t(constant))), x = __m512i(a);
  const __m512i even = _mm512_mul_epu32(x, k), odd = _mm512_mul_epu32(_mm512_srli_epi64(x, 32), k);
  *low = VecU(_mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32)));
  *high = VecU(_mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 32), odd));
#elif defined(__AVX2__)
  const __m256i k = _mm256_set1_epi64x(int64_t(uint64_t(constant))), x = __m256i(a);
  const __m256i even = _mm256_mul_epu32(x, k), odd = _mm256_mul_epu32(_mm256_srli_epi64(x, 32), k);
  *low = VecU(_mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa));
  *high = VecU(_mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa));
#else
  for (int i = 0; i < L; i++) {
    const uint64_t product = uint64_t(a[i]) * constant;
    (*low)[i] = uint32_t(product);
    (*high)[i] = uint32_t(product >> 32);
  }
#endif
}

// Word w of block first[s] + l step in lane l of c[w][s]; L step must be below 2^32. Each round waits for the one before it, so several vectors of blocks go through side by side.
template <int Side> static inline void rounds(const uint64_t (&first)[Side], uint32_t step, const uint32_t* key, VecU (&c)[4][Side]) {
  VecU lane{};
  for (int i = 0; i < L; i++) lane[i] = uint32_t(i) * step;
  for (int s = 0; s < Side; s++) {
    c[0][s] = lane + uint32_t(first[s]), c[1][s] = VecU{} + uint32_t(first[s] >> 32), c[2][s] = VecU{} + key[2], c[3][s] = VecU{} + key[3];
    c[1][s] -= VecU(c[0][s] < uint32_t(first[s]));   // a lane that wrapped around carries (its mask is -1)
  }
  uint32_t k0 = key[0], k1 = key[1];
  for (int round = 0; round < 10; round++) {
    const VecU a = VecU{} + k0, b = VecU{} + k1;
    for (int s = 0; s < Side; s++) {
      VecU h0, l0, h1, l1;
      multiply(c[0][s], 0xd2511f53u, &h0, &l0);
      multiply(c[2][s], 0xcd9e8d57u, &h1, &l1);
      c[0][s] = h1 ^ c[1][s] ^ a;
      c[2][s] = h0 ^ c[3][s] ^ b;
      c[1][s] = l1;
      c[3][s] = l0;
    }
    k0 += 0x9e3779b9u;   // golden ratio
    k1 += 0xbb67ae85u;   // sqrt(3) - 1
  }
}

// Whole numbers below 2^24 of a word's upper bits: times 2^-24 they are uniform in [0, 1).
static inline VecF upperBits(VecU word) { return toFloat(VecI(word >> 8)); }

}  // namespace philox
}  // namespace GRAFT_ISA_NS
}  // namespace graft
