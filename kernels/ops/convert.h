// Moving a rectangle of a strided view into a packed register and back, converting storage types (bf16, f16, u8, bool) on the way.
#pragma once
#include "../core/opcodes.h"
#include "../simd/pairs.h"
#include "../simd/transpose.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace storage {

template <class To, class From> static inline To bits(From x) { To r; memcpy(&r, &x, sizeof r); return r; }

// f16: shift exponent and mantissa into place and rescale by 2^(127 - 15), which also makes subnormals right; only Inf and NaN need a fix.
static inline float halfToFloat(uint16_t h) {
  const float scaled = bits<float>(uint32_t(h & 0x7fff) << 13) * 0x1p112f;
  const uint32_t special = (h & 0x7c00) == 0x7c00 ? 0x7f800000u : 0u;
  return bits<float>(bits<uint32_t>(scaled) | special | (uint32_t(h & 0x8000) << 16));
}
// Round to nearest even. Below 2^-14 adding 0.5 makes the float unit round to multiples of 2^-24, the f16 subnormals.
static inline uint16_t floatToHalf(float x) {
  const uint32_t u = bits<uint32_t>(x), sign = (u >> 16) & 0x8000, a = u & 0x7fffffff;
  const uint32_t normal = (a - (112u << 23) + 0xfff + ((a >> 13) & 1)) >> 13;
  const uint32_t subnormal = bits<uint32_t>(bits<float>(a) + 0.5f) - bits<uint32_t>(0.5f);
  const uint32_t large = a > 0x7f800000 ? 0x7e00 : 0x7c00;
  return uint16_t(sign | (a >= 0x47800000 ? large : a < 0x38800000 ? subnormal : normal));
}
static inline float bfloatToFloat(uint16_t h) { return bits<float>(uint32_t(h) << 16); }
static inline uint16_t floatToBfloat(float x) {
  const uint32_t u = bits<uint32_t>(x);
  return uint16_t((u & 0x7fffffff) > 0x7f800000 ? (u >> 16) | 0x40 : (u + 0x7fff + ((u >> 16) & 1)) >> 16);
}

// How each dtype is held in memory (M) and in a register (R).
template <DType> struct Format;
template <> struct Format<DType::F32> { typedef float M; typedef float R; static R load(M x) { return x; } static M store(R x) { return x; } };
template <> struct Format<DType::F64> { typedef double M; typedef double R; static R load(M x) { return x; } static M store(R x) { return x; } };
template <> struct Format<DType::I32> { typedef int32_t M; typedef int32_t R; static R load(M x) { return x; } static M store(R x) { return x; } };
template <> struct Format<DType::U8> { typedef uint8_t M; typedef int32_t R; static R load(M x) { return x; } static M store(R x) { return M(x); } };
template <> struct Format<DType::Bool> { typedef uint8_t M; typedef int32_t R; static R load(M x) { return x != 0; } static M store(R x) { return x != 0; } };
template <> struct Format<DType::BF16> { typedef uint16_t M; typedef float R; static R load(M x) { return bfloatToFloat(x); } static M store(R x) { return floatToBfloat(x); } };
template <> struct Format<DType::F16> { typedef uint16_t M; typedef float R; static R load(M x) { return halfToFloat(x); } static M store(R x) { return floatToHalf(x); } };

// 4-byte elements that need no conversion: moved as floats.
template <DType dtype> static constexpr bool kWord = dtype == DType::F32 || dtype == DType::I32;

static inline void copyWords(const void* memory, void* packed, int64_t n) {
  constexpr int L = kLanes<float>;
  const float* const from = static_cast<const float*>(memory);
  float* const to = static_cast<float*>(packed);
  int64_t i = 0;
  for (; i + L <= n; i += L) store(to + i, load(from + i));
  if (i < n) storePartial(to + i, loadPartial(from + i, int(n - i)), int(n - i));
}

// A contiguous row; bf16 and the integers are left to the compiler's vectoriser.
template <DType dtype> static inline void loadRow(const typename Format<dtype>::M* from, typename Format<dtype>::R* to, int64_t n) {
  if (kWord<dtype>) return copyWords(from, to, n);
  int64_t i = 0;
#if defined(__F16C__)
  if (dtype == DType::F16)
    for (; i + 8 <= n; i += 8) _mm256_storeu_ps(reinterpret_cast<float*>(to + i), _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i))));
#endif
  for (; i < n; i++) to[i] = Format<dtype>::load(from[i]);
}
template <DType dtype> static inline void storeRow(typename Format<dtype>::M* to, const typename Format<dtype>::R* from, int64_t n) {
  if (kWord<dtype>) return copyWords(from, to, n);
  int64_t i = 0;
#if defined(__F16C__)
  if (dtype == DType::F16)
    for (; i + 8 <= n; i += 8) _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i), _mm256_cvtps_ph(_mm256_loadu_ps(reinterpret_cast<const float*>(from + i)), _MM_FROUND_TO_NEAREST_INT));
#endif
  for (; i < n; i++) to[i] = Format<dtype>::store(from[i]);
}
// A rectangle in memory: element (r, c) at memory[r * rowStride + c * colStride]; packed: element (r, c) at r * cols + c.
template <DType dtype>
static void loadRectangle(const void* memory, int64_t rows, int64_t cols, int64_t rowStride, int64_t colStride, void* packed) {
  using F = Format<dtype>;
  const typename F::M* __restrict from = static_cast<const typename F::M*>(memory);
  typename F::R* __restrict to = static_cast<typename F::R*>(packed);
  if (colStride == 1) {
    for (int64_t r = 0; r < rows; r++, from += rowStride, to += cols) loadRow<dtype>(from, to, cols);
  } else if (kWord<dtype> && rowStride == 1 && rows >= kTransposeSide && cols >= kTransposeSide) {
    transpose(reinterpret_cast<const float*>(from), colStride, reinterpret_cast<float*>(to), cols, rows, cols);
  } else if (kWord<dtype> && colStride == -1) {
    for (int64_t r = 0; r < rows; r++, from += rowStride, to += cols) pairs::copyReversed(reinterpret_cast<float*>(to), reinterpret_cast<const float*>(from), cols);
  } else if (kWord<dtype> && colStride == 0 && cols == 2 && rowStride == 1) {   // each twice
    pairs::weave(reinterpret_cast<float*>(to), reinterpret_cast<const float*>(from), reinterpret_cast<const float*>(from), 2 * rows);
  } else if (colStride == 0 && cols >= 4) {
    for (int64_t r = 0; r < rows; r++, from += rowStride, to += cols) {
      const typename F::R x = F::load(*from);
      for (int64_t c = 0; c < cols; c++) to[c] = x;
    }
  } else if (rows > 1 && (rowStride == 1 || rows > cols)) {   // along the rows where they are the longer or the contiguous direction
    for (int64_t c = 0; c < cols; c++, from += colStride)
      for (int64_t r = 0; r < rows; r++) to[r * cols + c] = F::load(from[r * rowStride]);
  } else {
    for (int64_t r = 0; r < rows; r++, from += rowStride, to += cols)
      for (int64_t c = 0; c < cols; c++) to[c] = F::load(from[c * colStride]);
  }
}
template <DType dtype>
static void storeRectangle(void* memory, int64_t rows, int64_t cols, int64_t rowStride, int64_t colStride, const void* packed) {
  using F = Format<dtype>;
  typename F::M* __restrict to = static_cast<typename F::M*>(memory);
  const typename F::R* __restrict from = static_cast<const typename F::R*>(packed);
  if (colStride == 1) {
    for (int64_t r = 0; r < rows; r++, to += rowStride, from += cols) storeRow<dtype>(to, from, cols);
  } else if (kWord<dtype> && rowStride == 1 && rows >= kTransposeSide && cols >= kTransposeSide) {
    transpose(reinterpret_cast<const float*>(from), cols, reinterpret_cast<float*>(to), colStride, cols, rows);
  } else if (rows > 1 && (rowStride == 1 || rows > cols)) {
    for (int64_t c = 0; c < cols; c++, to += colStride)
      for (int64_t r = 0; r < rows; r++) to[r * rowStride] = F::store(from[r * cols + c]);
  } else {
    for (int64_t r = 0; r < rows; r++, to += rowStride, from += cols)
      for (int64_t c = 0; c < cols; c++) to[c * colStride] = F::store(from[c]);
  }
}

using LoadFn = void (*)(const void* memory, int64_t rows, int64_t cols, int64_t rowStride, int64_t colStride, void* packed);
using StoreFn = void (*)(void* memory, int64_t rows, int64_t cols, int64_t rowStride, int64_t colStride, const void* packed);

// Indexed by dtype.
static constexpr LoadFn kLoad[] = {loadRectangle<DType::F32>, loadRectangle<DType::F64>, loadRectangle<DType::I32>, loadRectangle<DType::U8>,
                                   loadRectangle<DType::Bool>, loadRectangle<DType::BF16>, loadRectangle<DType::F16>};
static constexpr StoreFn kStore[] = {storeRectangle<DType::F32>, storeRectangle<DType::F64>, storeRectangle<DType::I32>, storeRectangle<DType::U8>,
                                     storeRectangle<DType::Bool>, storeRectangle<DType::BF16>, storeRectangle<DType::F16>};

// The virtual index (buffer -2): first + r * rowStride + c * colStride.
static inline void indexRectangle(int64_t first, int64_t rows, int64_t cols, int64_t rowStride, int64_t colStride, int32_t* packed) {
  for (int64_t r = 0; r < rows; r++, packed += cols)
    for (int64_t c = 0; c < cols; c++) packed[c] = int32_t(first + r * rowStride + c * colStride);
}

}  // namespace storage
}  // namespace GRAFT_ISA_NS
}  // namespace graft
