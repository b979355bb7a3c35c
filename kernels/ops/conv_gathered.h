// Small images as a packed operand.
#pragma once
#include "conv_planes.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace conv {

// The points of one small image under every (channel, tap), side by side in panels of vectors as a product packs its right operand: rows of a plane are
// too short for vectors, and what lies between them would be computed in vain.
template <class T> struct Gathered {
  static constexpr int L = kLanes<T>;
  gemm::Cut vectors;
  int64_t height, width, pitch;

  Gathered(int64_t height_, int64_t width_, int64_t pitch_) : vectors(ceilDiv(height_ * width_, L), gemm::kVecs), height(height_), width(width_), pitch(pitch_) {}
  int64_t columns() const { return vectors.units * L; }

  // to[panel][step][column]
  void gather(T* to, const T* planes, const int32_t* offset, int64_t K) const {
    struct { int32_t to, from, n; } run[gemm::kCols<T>];
    for (int64_t j = 0; j < vectors.pieces; j++) {
      const int64_t from = vectors.begin(j) * L, step = vectors.begin(j + 1) * L - from, end = smaller(from + step, height * width);
      int runs = 0;
      for (int64_t p = from, n; p < end; p += n) {
        n = smaller(width - p % width, end - p);
        run[runs++] = {int32_t(p - from), int32_t(p / width * pitch + p % width), int32_t(n)};
      }
      T* row = to + from * K;
      for (int64_t k = 0; k < K; k++, row += step) {
        const T* const source = planes + offset[k];
        for (int r = 0; r < runs; r++) copyRow(row + run[r].to, source + run[r].from, run[r].n, 1);
        for (int64_t p = end - from; p < step; p++) row[p] = 0;
      }
    }
  }

  void multiply(T* c, int64_t ldc, const gemm::Cut& panels, int64_t panel0, int64_t panel1, int64_t K, const T* weights, const T* b, bool add) const {
    for (int64_t j = 0; j < vectors.pieces; j++) {
      const int64_t col = vectors.begin(j) * L, nv = vectors.begin(j + 1) - vectors.begin(j);
      for (int64_t i = panel0; i < panel1; i++) {
        const int64_t row = panels.begin(i), mr = panels.begin(i + 1) - row;
        gemm::kPackedBlock<T>.fn[mr - 1][nv - 1](K, weights + row * K, b + col * K, nv * L, c + (row - panels.begin(panel0)) * ldc + col, ldc, L, add);
      }
    }
  }
};

}  // namespace conv
}  // namespace GRAFT_ISA_NS
}  // namespace graft
