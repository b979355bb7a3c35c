// Packing: an operand of any strides is copied into panels that the micro-kernel reads in order. Transposes, broadcasts and the widening of bf16 and
// f16 are absorbed here.
#pragma once
#include "gemm_kernel.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace gemm {

struct Bf16 { uint16_t bits; };
struct F16 { uint16_t bits; };

typedef VecN<uint32_t, kLanes<float>> VecBits;

static inline VecF widen(VecBits x, Bf16) { return bitcast<VecF>(x << 16); }
static inline VecF widen(VecBits x, F16) {
  // Exponent and mantissa moved into place are the value times 2^-112, subnormals included; infinity and NaN need their exponent filled up.
  const VecBits magnitude = (x & 0x7fff) << 13;
  VecBits bits = bitcast<VecBits>(bitcast<VecF>(magnitude) * 0x1p112f);
  bits = (x & 0x7c00) == 0x7c00 ? 0x7f800000u | magnitude : bits;
  return bitcast<VecF>(bits | (x & 0x8000) << 16);
}
template <class S> static inline VecF loadWiden(const S* p) {
  VecN<uint16_t, kLanes<float>> x;
  memcpy(&x, p, sizeof x);
  return widen(convert<VecBits>(x), S{});
}
template <class S> static inline float widenOne(const S* p) { return widen(VecBits{} + p->bits, S{})[0]; }
template <class S> static void widenRun(float* dst, const S* src, int64_t n) {
  int64_t i = 0;
  for (; i + kLanes<float> <= n; i += kLanes<float>) store(dst + i, loadWiden(src + i));
  for (; i < n; i++) dst[i] = widenOne(src + i);
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

// Two rows of 16 bytes into pairs.
static GRAFT_FORCE_INLINE void transposePair(float* dst, int64_t width, const float* src, int64_t row) {
  Quad a = loadAs<Quad>(src), b = loadAs<Quad>(src + row);
  Pair low = bitcast<Pair>(GRAFT_SHUFFLE4(a, b, 0, 4, 1, 5)), high = bitcast<Pair>(GRAFT_SHUFFLE4(a, b, 2, 6, 3, 7));
  storeAs(dst, low[0]), storeAs(dst + width, low[1]), storeAs(dst + 2 * width, high[0]), storeAs(dst + 3 * width, high[1]);
}

// n elements, in 16-byte moves of which the last may overlap the one before.
template <class T> static GRAFT_FORCE_INLINE void copyRun(T* dst, const T* src, int n) {
  constexpr int side = 16 / sizeof(T);
  if (n < side) {
    for (int i = 0; i < n; i++) dst[i] = src[i];
    return;
  }
  for (int i = 0; i + side < n; i += side) storeAs(dst + i, loadAs<Quad>(src + i));
  storeAs(dst + n - side, loadAs<Quad>(src + n - side));
}

// One panel: dst[k * width + r] = src[r * row + k * step] for r < rows, zero for rows <= r < width.
template <class T> static void packPanel(T* dst, int width, const T* src, int64_t row, int64_t step, int rows, int64_t K) {
  constexpr int side = 16 / sizeof(T);
  int done = 0;                                        // rows packed so far
  if (row == 1) {
    for (int64_t k = 0; k < K; k++) copyRun(dst + k * width, src + k * step, rows);
    done = rows;
  } else if (step == 1) {
    for (; done + side <= rows; done += side) {
      const T* from = src + done * row;
      int64_t k = 0;
      for (; k + side <= K; k += side) transposeSquare(dst + k * width + done, width, from + k, row);
      for (; k < K; k++)
        for (int r = 0; r < side; r++) dst[k * width + done + r] = from[r * row + k];
    }
    if constexpr (side == 4) {
      if (done + 2 <= rows) {
        const T* from = src + done * row;
        int64_t k = 0;
        for (; k + 4 <= K; k += 4) transposePair(dst + k * width + done, width, from + k, row);
        for (; k < K; k++) dst[k * width + done] = from[k], dst[k * width + done + 1] = from[row + k];
        done += 2;
      }
    }
  }
  for (int r = done; r < rows; r++)
    for (int64_t k = 0; k < K; k++) dst[k * width + r] = src[r * row + k * step];
  if (rows < width)
    for (int64_t k = 0; k < K; k++)
      for (int r = rows; r < width; r++) dst[k * width + r] = 0;
}

// The same from a 16-bit type: widened into a buffer that fits in the first-level cache, then packed.
template <class S> static void packPanel16(float* dst, int width, const S* src, int64_t row, int64_t step, int rows, int64_t K) {
  constexpr int64_t chunk = 64;
  float wide[(kRows > kCols<float> ? kRows : kCols<float>) * chunk];
  for (int64_t k0 = 0; k0 < K; k0 += chunk) {
    const int64_t n = K - k0 < chunk ? K - k0 : chunk;
    const S* from = src + k0 * step;
    if (row == 1) {
      for (int64_t k = 0; k < n; k++) widenRun(wide + k * rows, from + k * step, rows);
      packPanel<float>(dst + k0 * width, width, wide, 1, rows, rows, n);
    } else {
      for (int r = 0; r < rows; r++) {
        if (step == 1) widenRun(wide + r * chunk, from + r * row, n);
        else for (int64_t k = 0; k < n; k++) wide[r * chunk + k] = widenOne(from + r * row + k * step);
      }
      packPanel<float>(dst + k0 * width, width, wide, chunk, 1, rows, n);
    }
  }
}

template <class T> static void packRows(T* dst, int width, const Operand& x, int64_t row0, int64_t k0, int rows, int64_t K) {
  const int64_t at = row0 * x.row + k0 * x.step;
  if constexpr (sizeof(T) == 4) {
    if (x.dtype == DType::BF16) return packPanel16(dst, width, static_cast<const Bf16*>(x.data) + at, x.row, x.step, rows, K);
    if (x.dtype == DType::F16) return packPanel16(dst, width, static_cast<const F16*>(x.data) + at, x.row, x.step, rows, K);
  }
  packPanel(dst, width, static_cast<const T*>(x.data) + at, x.row, x.step, rows, K);
}

// Rows that lie side by side in memory are packed step by step over all panels, so that memory is read in long runs.
template <class T> static bool packAcross(T* dst, int64_t stride, int64_t at, const Operand& x, int64_t row0, int64_t rows, int64_t unit, const Cut& panels, int64_t k0, int64_t K) {
  if (x.row != 1 || x.dtype == DType::BF16 || x.dtype == DType::F16) return false;
  const int64_t longer = panels.units % panels.pieces, size = panels.units / panels.pieces * unit;
  const T* src = static_cast<const T*>(x.data) + row0 + k0 * x.step;
  for (int64_t k = 0; k < K; k++, src += x.step) {
    int64_t first = 0;
    for (int64_t p = 0; p < panels.pieces; p++) {
      const int64_t width = p < longer ? size + unit : size;
      T* to = dst + first * stride + (at + k) * width;
      if (first + width <= rows) {
        copyRun(to, src + first, int(width));
      } else {
        copyRun(to, src + first, int(rows - first));
        for (int64_t r = rows - first; r < width; r++) to[r] = 0;
      }
      first += width;
    }
  }
  return true;
}

// Rows [row0, row0 + rows) of A as panels of at most kRows rows, without padding. Panel p, whose first row is r, begins at dst + r * stride,
// stride being the number of steps that the whole packed block will hold; this call fills steps [k0, k0 + K) of x into steps [at, at + K).
template <class T> static void packA(T* dst, int64_t stride, int64_t at, const Operand& x, int64_t row0, int64_t rows, int64_t k0, int64_t K) {
  Cut panels(rows, kRows);
  if (packAcross(dst, stride, at, x, row0, rows, 1, panels, k0, K)) return;
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
  if (packAcross(dst, stride, at, x, col0, cols, L, panels, k0, K)) return;
  for (int64_t p = 0; p < panels.pieces; p++) {
    int64_t first = panels.begin(p) * L, width = panels.begin(p + 1) * L - first;
    int64_t have = cols - first < width ? cols - first : width;
    packRows(dst + first * stride + at * width, int(width), x, col0 + first, k0, int(have), K);
  }
}

template <class T> constexpr int64_t wholeVectors(int64_t n) { return (n + kLanes<T> - 1) / kLanes<T> * kLanes<T>; }

// One operand as a block of the product reads it: packed panels of `stride` steps beginning at step `at`, or (stride 0) the tensor itself.
template <class T> struct Side {
  const T* data;
  int64_t stride, at;
  int64_t row, step;
  static Side packed(const T* data, int64_t stride, int64_t at) { return {data, stride, at, 0, 0}; }
  static Side direct(const T* data, int64_t row, int64_t step) { return {data, 0, 0, row, step}; }
};

// C[rows, cols] (+)= A * B over `K` steps. Order: one panel of B stays in the first-level cache while the panels of A
// pass by. A tensor B must have its columns side by side; its ragged last panel is copied to `tail` (kCols x K), since a vector would read past the end.
template <class T>
static void multiply(T* c, int64_t ldc, int64_t rows, int64_t cols, const Side<T>& a, const Side<T>& b, int64_t K, bool add, T* tail) {
  constexpr int L = kLanes<T>;
  Cut aPanels(rows, kRows), bPanels((cols + L - 1) / L, kVecs);
  for (int64_t j = 0; j < bPanels.pieces; j++) {
    const int64_t v = bPanels.begin(j), nv = bPanels.begin(j + 1) - v, col = v * L;
    const int lanes = cols - col >= nv * L ? L : int(cols - col - (nv - 1) * L);
    const T* bp = b.stride ? b.data + col * b.stride + b.at * nv * L : b.data + col;
    int64_t ldb = b.stride ? nv * L : b.step;
    if (!b.stride && lanes < L) {
      packPanel(tail, int(nv * L), bp, 1, b.step, int(cols - col), K);
      bp = tail, ldb = nv * L;
    }
    for (int64_t i = 0; i < aPanels.pieces; i++) {
      const int64_t row = aPanels.begin(i), mr = aPanels.begin(i + 1) - row;
      T* out = c + row * ldc + col;
      if (a.stride) kPackedBlock<T>.fn[mr - 1][nv - 1](K, a.data + row * a.stride + a.at * mr, bp, ldb, out, ldc, lanes, add);
      else kDirectBlock<T>.fn[mr - 1][nv - 1](K, a.data + row * a.row, a.row, a.step, bp, ldb, out, ldc, lanes, add);
    }
  }
}

template <class T>
static void multiplyPacked(T* c, int64_t ldc, int64_t rows, int64_t cols, const T* a, int64_t aStride, const T* b, int64_t bStride, int64_t at, int64_t K, bool add) {
  multiply<T>(c, ldc, rows, cols, Side<T>::packed(a, aStride, at), Side<T>::packed(b, bStride, at), K, add, static_cast<T*>(nullptr));
}

}  // namespace gemm
}  // namespace GRAFT_ISA_NS
}  // namespace graft
