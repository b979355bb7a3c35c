// Functions of one variable in eight pieces of one width, each piece a polynomial. Every coefficient is looked up in a table of eight, which is one
// instruction where vectors can be permuted: for bells and steps that is a third of the work of going through e^x.
#pragma once
#include "basic.h"

namespace graft {
namespace GRAFT_ISA_NS {

// table[n] of every lane; only the low three bits of n count.
static inline VecF pick(const float (&table)[8], VecI n) {
#if defined(__AVX512F__)
  return VecF(_mm512_permutexvar_ps(__m512i(n), _mm512_broadcast_f32x8(_mm256_loadu_ps(table))));
#elif defined(__AVX2__)
  return VecF(_mm256_permutevar8x32_ps(_mm256_loadu_ps(table), __m256i(n)));
#elif defined(__ARM_NEON) && defined(__aarch64__)
  const uint8x16x2_t bytes = {{vld1q_u8(reinterpret_cast<const uint8_t*>(table)), vld1q_u8(reinterpret_cast<const uint8_t*>(table + 4))}};
  return VecF(vqtbl2q_u8(bytes, uint8x16_t((n & 7) * 0x04040404 + 0x03020100)));
#elif defined(__wasm_simd128__)
  const v128_t at = v128_t((n & 7) * 0x04040404 + 0x03020100), low = wasm_i8x16_swizzle(wasm_v128_load(table), at);   // 0 where a byte is beyond the first 16
  return VecF(wasm_v128_or(low, wasm_i8x16_swizzle(wasm_v128_load(table + 4), wasm_i8x16_sub(at, wasm_i8x16_splat(16)))));
#else
  VecF r;
  for (int i = 0; i < kLanes<float>; i++) r[i] = table[n[i] & 7];
  return r;
#endif
}

// The polynomial of piece n = round(w) at w - n, for -1/2 <= w <= 7.5: c[i][n] is its coefficient of the i-th power. NaN stays. Added up in pairs (Estrin's
// scheme), whose chain is shorter than Horner's; the time is nearly the same.
static inline VecF inPieces(const float (&c)[8][8], VecF w) {
  const VecF magic = broadcast(0x1.8p23f), t = w + magic, u = w - (t - magic);   // adding it rounds to an integer, which then stands in the low bits
  const VecI n = VecI(t);
  auto pair = [&](int i) { return multiplyAdd(pick(c[i + 1], n), u, pick(c[i], n)); };
  const VecF u2 = u * u, low = multiplyAdd(pair(2), u2, pair(0)), high = multiplyAdd(pair(6), u2, pair(4));
  return multiplyAdd(high, u2 * u2, low);
}

}  // namespace GRAFT_ISA_NS
}  // namespace graft
