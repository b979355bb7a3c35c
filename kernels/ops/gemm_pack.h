// Packing: an operand of any strides is copied into panels that the micro-kernel reads in order. Transposes, broadcasts and the widening of bf16 and
// f16 are absorbed here.
#pragma once
#include "gemm_kernel.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace gemm {

struct Bf16 { uint16_t bits; };
struct F16 { uint16_t bits; };

static inline float widen(float x) { return x; }
static inline double widen(double x) { return x; }
static inline float widen(Bf16 x) {
  uint32_t bits = uint32_t(x.bits) << 16;
  float y;
  memcpy(&y, &bits, 4);
  return y;
}
static inline float widen(F16 x) {
  // Exponent and mantissa moved into place are the value times 2^-112, subnormals included; infinity and NaN need their exponent filled up.
  uint32_t magnitude = uint32_t(x.bits & 0x7fff) << 13, sign = uint32_t(x.bits & 0x8000) << 16;
  float y;
  memcpy(&y, &magnitude, 4);
  y *= 0x1p112f;
  uint32_t bits;
  memcpy(&bits, &y, 4);
  if ((x.bits & 0x7c00) == 0x7c00) bits = 0x7f800000u | magnitude;
  bits |= sign;
  memcpy(&y, &bits, 4);
  return y;
}

// One matrix operand: element (row, step) is data[row * rowStride + step * stepStride]. A row is a row of A or a column of B, a step is an index of the inner sum.
struct Operand {
  const void* data;
  DType dtype;
  int64_t row, step;
};

// 4 x 4 floats or 2 x 2 doubles in 16-byte vectors, which every target has.
typedef float Quad __attribute__((vector_size(16)));
typedef double Pair __attribute__((vector_size(16)));
#if defined(__clang__)
#define GRAFT_SHUFFLE4(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#define GRAFT_SHUFFLE2(a, b, i, j) __builtin_shufflevector(a, b, i, j)
#else
typedef int32_t QuadIndex __attribute__((vector_size(16)));
typedef int64_t PairIndex __attribute__((vector_size(16)));
#define GRAFT_SHUFFLE4(a, b, i, j, k, l) __builtin_shuffle(a, b, QuadIndex{i, j, k, l})
#define GRAFT_SHUFFLE2(a, b, i, j) __builtin_shuffle(a, b, PairIndex{i, j})
#endif

template <class V, class T> static GRAFT_FORCE_INLINE V loadAs(const T* p) { V v; memcpy(&v, p, sizeof v); return v; }
template <class V, class T> static GRAFT_FORCE_INLINE void storeAs(T* p, V v) { memcpy(p, &v, sizeof v); }

static GRAFT_FORCE_INLINE void transposeSquare(float* dst, int64_t width, const float* src, int64_t row) {
  Quad a = loadAs<Quad>(src), b = loadAs<Quad>(src + row), c = loadAs<Quad>(src + 2 * row), d = loadAs<Quad>(src + 3 * row);
  Quad ab = GRAFT_SHUFFLE4(a, b, 0, 4, 1, 5), cd = GRAFT_SHUFFLE4(c, d, 0, 4, 1, 5);
  Quad AB = GRAFT_SHUFFLE4(a, b, 2, 6, 3, 7), CD = GRAFT_SHUFFLE4(c, d, 2, 6, 3, 7);
  storeAs(dst, GRAFT_SHUFFLE4(ab, cd, 0, 1, 4, 5));
  storeAs(dst + width, GRAFT_SHUFFLE4(ab, cd, 2, 3, 6, 7));
  storeAs(dst + 2 * width, GRAFT_SHUFFLE4(AB, CD, 0, 1, 4, 5));
  storeAs(dst + 3 * width, GRAFT_SHUFFLE4(AB, CD, 2, 3, 6, 7));
}
static GRAFT_FORCE_INLINE void transposeSquare(double* dst, int64_t width, const double* src, int64_t row) {
  Pair a = loadAs<Pair>(src), b = loadAs<Pair>(src + row);
  storeAs(dst, GRAFT_SHUFFLE2(a, b, 0, 2));
  storeAs(dst + width, GRAFT_SHUFFLE2(a, b, 1, 3));
}

// dst[k * width + r] = src[r * row + k * step] for r < rows, zero for rows <= r < width.
template <class T, class S>
static void packPanel(T* dst, int width, const S* src, int64_t row, int64_t step, int rows, int64_t K) {
  constexpr bool same = sizeof(T) == sizeof(S);        // otherwise the source is a 16-bit type
  int done = 0;                                        // rows packed so far
  if constexpr (same) {
    const T* from = reinterpret_cast<const T*>(src);
    if (row == 1) {
      for (; done + kLanes<T> <= rows; done += kLanes<T>)
        for (int64_t k = 0; k < K; k++) store(dst + k * width + done, load(from + k * step + done));
      if (done < rows && rows == width) {
        for (int64_t k = 0; k < K; k++) storePartial(dst + k * width + done, loadPartial(from + k * step + done, rows - done), rows - done);
        done = rows;
      }
    } else if (step == 1) {
      constexpr int side = 16 / sizeof(T);
      for (; done + side <= rows; done += side) {
        int64_t k = 0;
        for (; k + side <= K; k += side) transposeSquare(dst + k * width + done, width, from + done * row + k, row);
        for (; k < K; k++)
          for (int r = done; r < done + side; r++) dst[k * width + r] = from[r * row + k];
      }
    }
  }
  if (done == width) return;
  for (int64_t k = 0; k < K; k++) {
    for (int r = done; r < rows; r++) dst[k * width + r] = widen(src[r * row + k * step]);
    for (int r = rows > done ? rows : done; r < width; r++) dst[k * width + r] = 0;
  }
}

template <class T> static void packRows(T* dst, int width, const Operand& x, int64_t row0, int64_t k0, int rows, int64_t K) {
  const int64_t at = row0 * x.row + k0 * x.step;
  if (x.dtype == DType::BF16) packPanel(dst, width, static_cast<const Bf16*>(x.data) + at, x.row, x.step, rows, K);
  else if (x.dtype == DType::F16) packPanel(dst, width, static_cast<const F16*>(x.data) + at, x.row, x.step, rows, K);
  else packPanel(dst, width, static_cast<const T*>(x.data) + at, x.row, x.step, rows, K);
}

// Rows [row0, row0 + rows) of A as panels of at most kRows rows, without padding. Panel p, whose first row is r, begins at dst + r * stride,
// stride being the number of steps that the whole packed block will hold; this call fills steps [k0, k0 + K) of x into steps [at, at + K).
template <class T> static void packA(T* dst, int64_t stride, int64_t at, const Operand& x, int64_t row0, int64_t rows, int64_t k0, int64_t K) {
  Cut panels(rows, kRows);
  for (int64_t p = 0; p < panels.pieces; p++) {
    int64_t first = panels.begin(p);
    int width = int(panels.begin(p + 1) - first);
    packRows(dst + first * stride + at * width, width, x, row0 + first, k0, width, K);
  }
}

// Columns of B in the same way: panels of at most kVecs whole vectors, the last one padded with zeros.
template <class T> static void packB(T* dst, int64_t stride, int64_t at, const Operand& x, int64_t col0, int64_t cols, int64_t k0, int64_t K) {
  constexpr int L = kLanes<T>;
  Cut panels((cols + L - 1) / L, kVecs);
  for (int64_t p = 0; p < panels.pieces; p++) {
    int64_t first = panels.begin(p) * L, width = panels.begin(p + 1) * L - first;
    int64_t have = cols - first < width ? cols - first : width;
    packRows(dst + first * stride + at * width, int(width), x, col0 + first, k0, int(have), K);
  }
}

template <class T> constexpr int64_t wholeVectors(int64_t n) { return (n + kLanes<T> - 1) / kLanes<T> * kLanes<T>; }

// C[rows, cols] (+)= A * B over `K` steps from packed blocks of `stride` steps, beginning at step `at` of both.
// Order: one panel of B stays in the first-level cache while the panels of A pass by.
template <class T>
static void multiplyPacked(T* c, int64_t ldc, int64_t rows, int64_t cols, const T* a, int64_t aStride, const T* b, int64_t bStride, int64_t at, int64_t K, bool add) {
  constexpr int L = kLanes<T>;
  Cut aPanels(rows, kRows), bPanels((cols + L - 1) / L, kVecs);
  for (int64_t j = 0; j < bPanels.pieces; j++) {
    int64_t v = bPanels.begin(j), nv = bPanels.begin(j + 1) - v, col = v * L;
    int tail = cols - col >= nv * L ? L : int(cols - col - (nv - 1) * L);
    const T* bp = b + col * bStride + at * nv * L;
    for (int64_t i = 0; i < aPanels.pieces; i++) {
      int64_t row = aPanels.begin(i), mr = aPanels.begin(i + 1) - row;
      kPackedBlock<T>.fn[mr - 1][nv - 1](K, a + row * aStride + at * mr, bp, nv * L, c + row * ldc + col, ldc, tail, add);
    }
  }
}

}  // namespace gemm
}  // namespace GRAFT_ISA_NS
}  // namespace graft
