// Packing: an operand of any strides is copied into panels that the micro-kernel reads in order. Transposes, broadcasts and the widening of bf16 and
// f16 are absorbed here.
#pragma once
#include "gemm_quant.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace gemm {

// Buffers are cut from a worker's memory in whole cache lines.
static inline int64_t roundUp64(int64_t bytes) { return (bytes + 63) & ~int64_t(63); }

static inline bool isNarrow(DType d) { return d == DType::BF16 || d == DType::F16; }

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
  const Quantised* quant = nullptr;    // how to read it where it is in blocks of few bits (dtype U8)
};

// Vectors of 16 bytes, which every target has, and of 32, which compilers split where they must.
typedef float Quad __attribute__((vector_size(16)));
typedef double Pair __attribute__((vector_size(16)));
typedef float Eight __attribute__((vector_size(32)));
#if defined(__clang__)
#define GRAFT_SHUFFLE(index, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
typedef int32_t QuadIndex __attribute__((vector_size(16)));
typedef int64_t PairIndex __attribute__((vector_size(16)));
typedef int32_t EightIndex __attribute__((vector_size(32)));
#define GRAFT_SHUFFLE(index, a, b, ...) __builtin_shuffle(a, b, index{__VA_ARGS__})
#endif

template <class V, class T> static GRAFT_FORCE_INLINE V loadAs(const T* p) { V v; memcpy(&v, p, sizeof v); return v; }
template <class V, class T> static GRAFT_FORCE_INLINE void storeAs(T* p, V v) { memcpy(p, &v, sizeof v); }

// 4 x 4 floats or 2 x 2 doubles.
static GRAFT_FORCE_INLINE void transposeSquare(float* dst, int64_t width, const float* src, int64_t row) {
  Quad a = loadAs<Quad>(src), b = loadAs<Quad>(src + row), c = loadAs<Quad>(src + 2 * row), d = loadAs<Quad>(src + 3 * row);
  Quad ab = GRAFT_SHUFFLE(QuadIndex, a, b, 0, 4, 1, 5), cd = GRAFT_SHUFFLE(QuadIndex, c, d, 0, 4, 1, 5);
  Quad AB = GRAFT_SHUFFLE(QuadIndex, a, b, 2, 6, 3, 7), CD = GRAFT_SHUFFLE(QuadIndex, c, d, 2, 6, 3, 7);
  storeAs(dst, GRAFT_SHUFFLE(QuadIndex, ab, cd, 0, 1, 4, 5));
  storeAs(dst + width, GRAFT_SHUFFLE(QuadIndex, ab, cd, 2, 3, 6, 7));
  storeAs(dst + 2 * width, GRAFT_SHUFFLE(QuadIndex, AB, CD, 0, 1, 4, 5));
  storeAs(dst + 3 * width, GRAFT_SHUFFLE(QuadIndex, AB, CD, 2, 3, 6, 7));
}
static GRAFT_FORCE_INLINE void transposeSquare(double* dst, int64_t width, const double* src, int64_t row) {
  Pair a = loadAs<Pair>(src), b = loadAs<Pair>(src + row);
  storeAs(dst, GRAFT_SHUFFLE(PairIndex, a, b, 0, 2));
  storeAs(dst + width, GRAFT_SHUFFLE(PairIndex, a, b, 1, 3));
}

// Up to 8 rows (`last` is the last one) of 4 floats: rows 0-3 in the lower halves and 4-7 in the upper halves, two 4 x 4 transposes at once.
// Writes 8 floats per step.
static GRAFT_FORCE_INLINE void transposeEight(float* dst, int64_t width, const float* src, int64_t row, int last) {
  const auto rows = [&](int i) {
    const Quad low = loadAs<Quad>(src + i * row), high = loadAs<Quad>(src + (i + 4 < last ? i + 4 : last) * row);
#if defined(__AVX__)
    return Eight(_mm256_insertf128_ps(_mm256_castps128_ps256(__m128(low)), __m128(high), 1));
#else
    return Eight{low[0], low[1], low[2], low[3], high[0], high[1], high[2], high[3]};
#endif
  };
  const Eight a = rows(0), b = rows(1), c = rows(2), d = rows(3);
  const Eight ab = GRAFT_SHUFFLE(EightIndex, a, b, 0, 8, 1, 9, 4, 12, 5, 13), cd = GRAFT_SHUFFLE(EightIndex, c, d, 0, 8, 1, 9, 4, 12, 5, 13);
  const Eight AB = GRAFT_SHUFFLE(EightIndex, a, b, 2, 10, 3, 11, 6, 14, 7, 15), CD = GRAFT_SHUFFLE(EightIndex, c, d, 2, 10, 3, 11, 6, 14, 7, 15);
  storeAs(dst, GRAFT_SHUFFLE(EightIndex, ab, cd, 0, 1, 8, 9, 4, 5, 12, 13));
  storeAs(dst + width, GRAFT_SHUFFLE(EightIndex, ab, cd, 2, 3, 10, 11, 6, 7, 14, 15));
  storeAs(dst + 2 * width, GRAFT_SHUFFLE(EightIndex, AB, CD, 0, 1, 8, 9, 4, 5, 12, 13));
  storeAs(dst + 3 * width, GRAFT_SHUFFLE(EightIndex, AB, CD, 2, 3, 10, 11, 6, 7, 14, 15));
}

// dst[k * width + r] = src[r * row + k] for r < rows: the rows lie along the inner index.
template <class T> static void packAlong(T* dst, int width, const T* src, int64_t row, int rows, int64_t K) {
  constexpr int side = 16 / sizeof(T);
  const auto finish = [&](int from, int to, int64_t k) {
    for (; k < K; k++)
      for (int r = from; r < to; r++) dst[k * width + r] = src[r * row + k];
  };
  int done = 0;
  if constexpr (sizeof(T) == 4) {
    // Of 5 to 7 rows the surplus is overwritten by the next step, so it stops before the last ones.
    for (; rows - done > 4 && (done == 0 || done + 8 <= width); done += 8) {
      const int n = rows - done < 8 ? rows - done : 8;
      const int64_t end = n == 8 ? K - 3 : K - 4;
      int64_t k = 0;
      if (n == 8) for (; k < end; k += 4) transposeEight(dst + k * width + done, width, src + done * row + k, row, 7);
      else for (; k < end; k += 4) transposeEight(dst + k * width + done, width, src + done * row + k, row, n - 1);
      if (n == 8 && k < K && K >= 4) transposeEight(dst + (K - 4) * width + done, width, src + done * row + K - 4, row, 7);   // some steps once more
      else finish(done, done + n, k);
    }
  }
  for (; done + side <= rows; done += side) {
    int64_t k = 0;
    for (; k + side <= K; k += side) transposeSquare(dst + k * width + done, width, src + done * row + k, row);
    finish(done, done + side, k);
  }
  if (done < rows) finish(done, rows, 0);
}

// W elements per step from memory where the rows lie side by side; W = 0: `rows` elements.
template <int W, class T> static GRAFT_FORCE_INLINE void copySteps(T* dst, int width, const T* src, int64_t step, int rows, int64_t K) {
  for (int64_t k = 0; k < K; k++, dst += width, src += step) {
    if constexpr (W > 0) memcpy(dst, src, W * sizeof(T));
    else for (int r = 0; r < rows; r++) dst[r] = src[r];
  }
}

// One panel: dst[k * width + r] = src[r * row + k * step] for r < rows, zero for rows <= r < width.
template <class T> static void packPanel(T* dst, int width, const T* src, int64_t row, int64_t step, int rows, int64_t K) {
  if (row == 1) {
    copySteps<0>(dst, width, src, step, rows, K);
  } else if (step == 1) {
    packAlong(dst, width, src, row, rows, K);
  } else {
    for (int r = 0; r < rows; r++)
      for (int64_t k = 0; k < K; k++) dst[k * width + r] = src[r * row + k * step];
  }
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

// The same from blocks of few bits.
template <class T> static void packPanelQuantised(T* dst, int width, const Operand& x, int64_t row0, int64_t k0, int rows, int64_t K) {
  constexpr int64_t chunk = 64;
  if (x.row == 1) {
    for (int64_t k = 0; k < K; k++, dst += width) {
      unpack(dst, *x.quant, (k0 + k) * x.step + row0, rows);
      for (int r = rows; r < width; r++) dst[r] = 0;
    }
    return;
  }
  T wide[(kRows > kCols<T> ? kRows : kCols<T>) * chunk];
  for (int64_t k = 0; k < K; k += chunk) {
    const int64_t n = K - k < chunk ? K - k : chunk;
    for (int r = 0; r < rows; r++) unpack(wide + r * chunk, *x.quant, (row0 + r) * x.row + k0 + k, n);
    packPanel<T>(dst + k * width, width, wide, chunk, 1, rows, n);
  }
}

template <class T> static void packRows(T* dst, int width, const Operand& x, int64_t row0, int64_t k0, int rows, int64_t K) {
  if (x.quant) return packPanelQuantised(dst, width, x, row0, k0, rows, K);
  const int64_t at = row0 * x.row + k0 * x.step;
  if constexpr (sizeof(T) == 4) {
    if (x.dtype == DType::BF16) return packPanel16(dst, width, static_cast<const Bf16*>(x.data) + at, x.row, x.step, rows, K);
    if (x.dtype == DType::F16) return packPanel16(dst, width, static_cast<const F16*>(x.data) + at, x.row, x.step, rows, K);
  }
  packPanel(dst, width, static_cast<const T*>(x.data) + at, x.row, x.step, rows, K);
}

// All panels of rows that lie side by side in memory, a few steps at a time, so that memory is read in long runs. Full: the width of a full panel;
// the panels have this width or one unit less, unless there is only a short one.
template <int Full, int Unit, class T>
static bool packAcross(T* dst, int64_t stride, int64_t at, const Operand& x, int64_t row0, int64_t rows, const Cut& panels, int64_t k0, int64_t K) {
  constexpr int64_t few = 8;                           // more rows of a power-of-two stride would not fit in one set of the first-level cache
  if (x.row != 1 || x.quant || isNarrow(x.dtype)) return false;
  const T* src = static_cast<const T*>(x.data) + row0 + k0 * x.step;
  for (int64_t k = 0; k < K; k += few) {
    const int64_t n = K - k < few ? K - k : few;
    for (int64_t p = 0; p < panels.pieces; p++) {
      const int64_t first = panels.begin(p) * Unit, width = panels.begin(p + 1) * Unit - first;
      T* to = dst + first * stride + (at + k) * width;
      const T* from = src + k * x.step + first;
      if (first + width > rows) packPanel(to, int(width), from, 1, x.step, int(rows - first), n);
      else if (width == Full) copySteps<Full>(to, Full, from, x.step, Full, n);
      else if (Full > Unit && width == Full - Unit) copySteps<Full - Unit>(to, Full - Unit, from, x.step, Full - Unit, n);
      else copySteps<0>(to, int(width), from, x.step, int(width), n);
    }
  }
  return true;
}

// Rows [row0, row0 + rows) of A as panels of at most kRows rows, without padding. Panel p, whose first row is r, begins at dst + r * stride,
// stride being the number of steps that the whole packed block will hold; this call fills steps [k0, k0 + K) of x into steps [at, at + K).
template <class T> static void packA(T* dst, int64_t stride, int64_t at, const Operand& x, int64_t row0, int64_t rows, int64_t k0, int64_t K) {
  Cut panels(rows, kRows);
  if (packAcross<kRows, 1>(dst, stride, at, x, row0, rows, panels, k0, K)) return;
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
  if (packAcross<kCols<T>, L>(dst, stride, at, x, col0, cols, panels, k0, K)) return;
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

// The memory that is needed next: c itself, or what an epilogue is going to read and write once the block is complete. It is fetched while the sums are
// formed; the rows of a tile are too short for the processor to see where they lead.
struct Ahead {
  static constexpr int kMost = 8;
  struct Lines {
    const char* data;
    int64_t row, col;                                  // in bytes
  };
  Lines lines[kMost];
  int count = 0;
  void add(const char* data, int64_t row, int64_t col) {
    for (int l = 0; l < count; l++)
      if (lines[l].data == data) return;
    if (count < kMost) lines[count++] = {data, row, col};
  }
  void fetch(int64_t row, int64_t rows, int64_t col) const {
    for (int l = 0; l < count; l++)
      for (int64_t r = row; r < row + rows; r++) __builtin_prefetch(lines[l].data + r * lines[l].row + col * lines[l].col, 1);
  }
};

// C[rows, cols] (+)= A * B over `K` steps. Order: one panel of B stays in the first-level cache while the panels of A
// pass by. A tensor B must have its columns side by side; its ragged last panel is copied to `tail` (kCols x K), since a vector would read past the end.
template <class T>
static void multiply(T* c, int64_t ldc, int64_t rows, int64_t cols, const Side<T>& a, const Side<T>& b, int64_t K, bool add, T* tail, const Ahead& ahead) {
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
      ahead.fetch(row, mr, col);
      if (a.stride) kPackedBlock<T>.fn[mr - 1][nv - 1](K, a.data + row * a.stride + a.at * mr, bp, ldb, out, ldc, lanes, add);
      else kDirectBlock<T>.fn[mr - 1][nv - 1](K, a.data + row * a.row, a.row, a.step, bp, ldb, out, ldc, lanes, add);
    }
  }
}

template <class T>
static void multiplyPacked(T* c, int64_t ldc, int64_t rows, int64_t cols, const T* a, int64_t aStride, const T* b, int64_t bStride, int64_t at, int64_t K, bool add) {
  Ahead ahead;
  ahead.add(reinterpret_cast<const char*>(c), ldc * int64_t(sizeof(T)), int64_t(sizeof(T)));
  multiply<T>(c, ldc, rows, cols, Side<T>::packed(a, aStride, at), Side<T>::packed(b, bStride, at), K, add, static_cast<T*>(nullptr), ahead);
}

}  // namespace gemm
}  // namespace GRAFT_ISA_NS
}  // namespace graft
