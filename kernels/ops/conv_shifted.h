// The micro-kernel that reads the image a value at a time: c[row, col] (+)= sum over steps of x[row offset + step offset] * b[step, col]. A value of x is
// broadcast from the planes where it lies, so that images of any width are as good as wide ones; vectors lie across b's columns, which are packed.
#pragma once
#include "gemm_pack.h"
#include "rows.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace conv {

using rows::smaller;

// Two steps at a time where there are more rows than registers for their addresses.
constexpr int kStepsAtOnce = gemm::kRows > 8 ? 2 : 1;

template <class T, int MR, int NV, int Steps>
static GRAFT_FORCE_INLINE void addSteps(Vec<T> (&sum)[MR][NV], const T* const (&row)[MR], const int32_t* step, const T* b) {
  constexpr int L = kLanes<T>;
  Vec<T> column[Steps][NV];
#pragma GCC unroll 16
  for (int u = 0; u < Steps; u++)
#pragma GCC unroll 16
    for (int j = 0; j < NV; j++) column[u][j] = load(b + (u * NV + j) * L);
#pragma GCC unroll 16
  for (int i = 0; i < MR; i++)
#pragma GCC unroll 16
    for (int u = 0; u < Steps; u++) {
      const Vec<T> value = broadcast<T>(row[i][step[u]]);
#pragma GCC unroll 16
      for (int j = 0; j < NV; j++) sum[i][j] = multiplyAdd(value, column[u][j], sum[i][j]);
    }
}

template <class T, int MR, int NV>
static void shiftedBlock(int64_t K, const T* x, const int32_t* rows, const int32_t* steps, const T* b, T* c, int64_t ldc, bool add) {
  constexpr int L = kLanes<T>;
  Vec<T> sum[MR][NV];
  const T* row[MR];
#pragma GCC unroll 16
  for (int i = 0; i < MR; i++) {
    row[i] = x + rows[i];
#pragma GCC unroll 16
    for (int j = 0; j < NV; j++) sum[i][j] = Vec<T>{};
  }
  int64_t k = 0;
  for (; k + kStepsAtOnce <= K; k += kStepsAtOnce, b += kStepsAtOnce * NV * L) addSteps<T, MR, NV, kStepsAtOnce>(sum, row, steps + k, b);
  if (kStepsAtOnce > 1 && k < K) addSteps<T, MR, NV, 1>(sum, row, steps + k, b);
#pragma GCC unroll 16
  for (int i = 0; i < MR; i++)
#pragma GCC unroll 16
    for (int j = 0; j < NV; j++) {
      T* const to = c + i * ldc + j * L;
      store(to, add ? load(to) + sum[i][j] : sum[i][j]);
    }
}

template <class T> using ShiftedFn = void (*)(int64_t, const T*, const int32_t*, const int32_t*, const T*, T*, int64_t, bool);
template <class T, int MR, int NV> struct MakeShifted { static constexpr ShiftedFn<T> run = shiftedBlock<T, MR, NV>; };
template <class T> static constexpr gemm::BlockTable<T, MakeShifted, ShiftedFn<T>> kShiftedBlock{};

// All rows and columns: a panel of b stays in L1 while the rows pass by. `columns` counts vectors; b's panels hold K steps each.
template <class T>
static void multiplyShifted(T* c, int64_t ldc, const T* x, const int32_t* rowOffset, int64_t rowCount, const int32_t* stepOffset, int64_t K, const T* b, const gemm::Cut& columns, bool add) {
  constexpr int64_t L = kLanes<T>;
  const gemm::Cut rows(rowCount, gemm::kRows);
  for (int64_t j = 0; j < columns.pieces; j++) {
    const int64_t first = columns.begin(j), nv = columns.begin(j + 1) - first;
    for (int64_t i = 0; i < rows.pieces; i++) {
      const int64_t row = rows.begin(i), mr = rows.begin(i + 1) - row;
      kShiftedBlock<T>.fn[mr - 1][nv - 1](K, x, rowOffset + row, stepOffset, b + first * L * K, c + row * ldc + first * L, ldc, add);
    }
  }
}

// to[col * stride + row] = from[row * ldc + col], a few columns at a time, so that each is written in one run.
template <class T> static void turn(T* to, int64_t stride, const T* from, int64_t ldc, int64_t rows, int64_t cols) {
  constexpr int64_t few = 4;
  for (int64_t col = 0; col < cols; col += few) {
    for (int64_t row = 0, n; row < rows; row += n) {   // packAlong writes 8 at once: what is left over is done in fours and one by one
      n = rows - row >= 8 ? (rows - row) / 8 * 8 : rows - row >= 4 ? 4 : rows - row;
      gemm::packAlong(to + col * stride + row, int(stride), from + row * ldc + col, ldc, int(n), smaller(few, cols - col));
    }
  }
}

}  // namespace conv
}  // namespace GRAFT_ISA_NS
}  // namespace graft
