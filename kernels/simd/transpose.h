// Transposing small blocks of 4-byte elements inside registers; 8-byte ones go one by one.
#pragma once
#include "vec.h"

namespace graft {
namespace GRAFT_ISA_NS {

#if defined(__AVX2__)
constexpr int kTransposeSide = 8;   // also for AVX-512: more would be more shuffles for the same loads

// Four vectors to the rows of 4x4 blocks: afterwards lane group j (128 bits) of v[k] holds element 4 j + k of each.
static inline void transposeGroups(__m256 (&v)[4]) {
  const __m256 a = _mm256_unpacklo_ps(v[0], v[1]), b = _mm256_unpackhi_ps(v[0], v[1]), c = _mm256_unpacklo_ps(v[2], v[3]), d = _mm256_unpackhi_ps(v[2], v[3]);
  v[0] = _mm256_shuffle_ps(a, c, 0x44);
  v[1] = _mm256_shuffle_ps(a, c, 0xee);
  v[2] = _mm256_shuffle_ps(b, d, 0x44);
  v[3] = _mm256_shuffle_ps(b, d, 0xee);
}

// to[i][j] = from[j][i] for i, j < kTransposeSide; rows `step` elements apart.
static inline void transposeBlock(const float* from, int64_t fromStep, float* to, int64_t toStep) {
  __m256 low[4], high[4];
  for (int i = 0; i < 4; i++) {
    low[i] = _mm256_loadu_ps(from + i * fromStep);
    high[i] = _mm256_loadu_ps(from + (i + 4) * fromStep);
  }
  transposeGroups(low);
  transposeGroups(high);
  for (int i = 0; i < 4; i++) {
    _mm256_storeu_ps(to + i * toStep, _mm256_permute2f128_ps(low[i], high[i], 0x20));
    _mm256_storeu_ps(to + (i + 4) * toStep, _mm256_permute2f128_ps(low[i], high[i], 0x31));
  }
}

// out[4 i + k] = rows[k][i] for n (a multiple of 8) values of i.
static inline void interleave4(const float* const* rows, int64_t n, float* out) {
  for (int64_t i = 0; i < n; i += 8, out += 32) {
    __m256 v[4];
    for (int k = 0; k < 4; k++) v[k] = _mm256_loadu_ps(rows[k] + i);
    transposeGroups(v);
    _mm256_storeu_ps(out, _mm256_permute2f128_ps(v[0], v[1], 0x20));
    _mm256_storeu_ps(out + 8, _mm256_permute2f128_ps(v[2], v[3], 0x20));
    _mm256_storeu_ps(out + 16, _mm256_permute2f128_ps(v[0], v[1], 0x31));
    _mm256_storeu_ps(out + 24, _mm256_permute2f128_ps(v[2], v[3], 0x31));
  }
}
#else
constexpr int kTransposeSide = 4;

static inline void transposeBlock(const float* from, int64_t fromStep, float* to, int64_t toStep) {
#if defined(__SSE2__)
  __m128 a = _mm_loadu_ps(from), b = _mm_loadu_ps(from + fromStep), c = _mm_loadu_ps(from + 2 * fromStep), d = _mm_loadu_ps(from + 3 * fromStep);
  _MM_TRANSPOSE4_PS(a, b, c, d);
  _mm_storeu_ps(to, a);
  _mm_storeu_ps(to + toStep, b);
  _mm_storeu_ps(to + 2 * toStep, c);
  _mm_storeu_ps(to + 3 * toStep, d);
#elif defined(__ARM_NEON)
  const float32x4x2_t p = vtrnq_f32(vld1q_f32(from), vld1q_f32(from + fromStep)), q = vtrnq_f32(vld1q_f32(from + 2 * fromStep), vld1q_f32(from + 3 * fromStep));
  vst1q_f32(to, vcombine_f32(vget_low_f32(p.val[0]), vget_low_f32(q.val[0])));
  vst1q_f32(to + toStep, vcombine_f32(vget_low_f32(p.val[1]), vget_low_f32(q.val[1])));
  vst1q_f32(to + 2 * toStep, vcombine_f32(vget_high_f32(p.val[0]), vget_high_f32(q.val[0])));
  vst1q_f32(to + 3 * toStep, vcombine_f32(vget_high_f32(p.val[1]), vget_high_f32(q.val[1])));
#else
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 4; j++) to[i * toStep + j] = from[j * fromStep + i];
#endif
}

static inline void interleave4(const float* const* rows, int64_t n, float* out) {
  for (int64_t i = 0; i < n; i += 4) {
    float block[16];
    for (int k = 0; k < 4; k++) memcpy(block + 4 * k, rows[k] + i, 16);
    transposeBlock(block, 4, out + 4 * i, 4);
  }
}
#endif

// A whole rectangle: to[r * toStep + c] = from[c * fromStep + r].
static inline void transpose(const float* from, int64_t fromStep, float* to, int64_t toStep, int64_t rows, int64_t cols) {
  constexpr int side = kTransposeSide;
  const int64_t wholeRows = rows / side * side, wholeCols = cols / side * side;
  for (int64_t c = 0; c < wholeCols; c += side)
    for (int64_t r = 0; r < wholeRows; r += side) transposeBlock(from + c * fromStep + r, fromStep, to + r * toStep + c, toStep);
  for (int64_t r = 0; r < rows; r++)
    for (int64_t c = r < wholeRows ? wholeCols : 0; c < cols; c++) to[r * toStep + c] = from[c * fromStep + r];
}

static inline void transpose(const double* from, int64_t fromStep, double* to, int64_t toStep, int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; r++)
    for (int64_t c = 0; c < cols; c++) to[r * toStep + c] = from[c * fromStep + r];
}

}  // namespace GRAFT_ISA_NS
}  // namespace graft
