// The micro-kernel of the weight gradient: c[row, col] (+)= sum over pixels of x[offset[row] + pixel] * b[pixel, col]. A row is a (channel, tap): its values
// are broadcast from the planes where they lie, so that nothing is laid out for it; only b is packed.
#pragma once
#include "gemm_kernel.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace conv {

// Two pixels at a time where there are more rows than registers for their addresses.
constexpr int kPixelsAtOnce = gemm::kRows > 8 ? 2 : 1;

template <class T, int MR, int NV, int Pixels>
static GRAFT_FORCE_INLINE void addPixels(Vec<T> (&sum)[MR][NV], const T* const (&row)[MR], int64_t at, const T* b) {
  constexpr int L = kLanes<T>;
  Vec<T> column[Pixels][NV];
#pragma GCC unroll 16
  for (int u = 0; u < Pixels; u++)
#pragma GCC unroll 16
    for (int j = 0; j < NV; j++) column[u][j] = load(b + (u * NV + j) * L);
#pragma GCC unroll 16
  for (int i = 0; i < MR; i++)
#pragma GCC unroll 16
    for (int u = 0; u < Pixels; u++) {
      const Vec<T> value = broadcast<T>(row[i][at + u]);
#pragma GCC unroll 16
      for (int j = 0; j < NV; j++) sum[i][j] = multiplyAdd(value, column[u][j], sum[i][j]);
    }
}

// The pixels are `runs` runs of `length` neighbours, which begin at start[run].
template <class T, int MR, int NV>
static void shiftedBlock(int64_t runs, const int32_t* start, int64_t length, const T* x, const int32_t* offset, const T* b, T* c, int64_t ldc, bool add) {
  constexpr int L = kLanes<T>;
  Vec<T> sum[MR][NV];
  const T* row[MR];
#pragma GCC unroll 16
  for (int i = 0; i < MR; i++) {
    row[i] = x + offset[i];
#pragma GCC unroll 16
    for (int j = 0; j < NV; j++) sum[i][j] = Vec<T>{};
  }
  for (int64_t run = 0; run < runs; run++) {
    int64_t at = start[run];
    const int64_t end = at + length;
    for (; at + kPixelsAtOnce <= end; at += kPixelsAtOnce, b += kPixelsAtOnce * NV * L) addPixels<T, MR, NV, kPixelsAtOnce>(sum, row, at, b);
    if (kPixelsAtOnce > 1 && at < end) addPixels<T, MR, NV, 1>(sum, row, at, b), b += NV * L;
  }
#pragma GCC unroll 16
  for (int i = 0; i < MR; i++)
#pragma GCC unroll 16
    for (int j = 0; j < NV; j++) {
      T* const to = c + i * ldc + j * L;
      store(to, add ? load(to) + sum[i][j] : sum[i][j]);
    }
}

template <class T> using ShiftedFn = void (*)(int64_t, const int32_t*, int64_t, const T*, const int32_t*, const T*, T*, int64_t, bool);
template <class T, int MR, int NV> struct MakeShifted { static constexpr ShiftedFn<T> run = shiftedBlock<T, MR, NV>; };
template <class T> static constexpr gemm::BlockTable<T, MakeShifted, ShiftedFn<T>> kShiftedBlock{};

}  // namespace conv
}  // namespace GRAFT_ISA_NS
}  // namespace graft
