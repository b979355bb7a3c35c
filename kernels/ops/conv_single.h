// Convolutions of one channel with one result channel, as depthwise ones consist of: no weight is used for a second channel, so that loading the pixels
// would take longer than multiplying them. Several rows of the result are therefore computed at once: a vector of pixels that one row reads with tap
// (kh, kw) is what the row above it reads with tap (kh + 1, kw).
#pragma once
#include "conv_recipe.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace conv {

// Taps of one column of the kernel that read rows of one plane which lie one below the other: tap i at offset + i * pitch, its weight at first + i * step.
struct Column {
  int32_t offset, count, first, step;
};

constexpr int kMostColumns = 64, kMostPhases = 16;
constexpr int kSingleRows = 4;             // of the result at once
constexpr int64_t kSinglePlanes = 16 << 10;   // bytes of planes that are filled at once: half of L1, shared by small images
#if GRAFT_VEC_BYTES == 64 || defined(__ARM_NEON)
constexpr int kSingleVecs = 4;             // vectors at once: what fits into 32 registers, or 16
#else
constexpr int kSingleVecs = 2;
#endif

// The columns of every phase.
struct Columns {
  Column column[kMostColumns];
  int begin[kMostPhases + 1];

  // False where the taps of a phase do not lie like this (dilation), or are too many.
  template <class T> bool read(const Recipe<T>& r) {
    if (r.phases > kMostPhases) return false;
    begin[0] = 0;
    for (int64_t f = 0; f < r.phases; f++) {
      const int count = readPhase(r, f, column + begin[f], kMostColumns - begin[f]);
      if (count < 0) return false;
      begin[f + 1] = begin[f] + count;
    }
    return true;
  }

 private:
  template <class T> static int readPhase(const Recipe<T>& r, int64_t phase, Column* columns, int64_t most) {
    const Axis& rows = r.bands.axis[0];
    const int32_t *const tap = r.tap + r.begin[phase], *const offset = r.offset + r.begin[phase] * r.chunk;
    const int64_t n = r.reach(phase), classes = rows.isData ? 1 : rows.slots();   // every `classes`-th row of taps reads the same plane
    if (n == 0) return 0;
    int64_t width = 0;
    while (width < n && tap[width] / r.bands.axis[1].kernel == tap[0] / r.bands.axis[1].kernel) width++;
    const int64_t height = n / width, down = rows.isData ? -r.bands.pitch : r.bands.pitch;
    if (n % width != 0 || width * classes > most) return -1;
    int count = 0;
    for (int64_t c = 0; c < smaller(classes, height); c++) {
      const int64_t length = ceilDiv(height - c, classes), last = c + (length - 1) * classes;
      for (int64_t kw = 0; kw < width; kw++) {
        for (int64_t kh = c; kh < last; kh += classes)
          if (offset[(kh + classes) * width + kw] - offset[kh * width + kw] != down) return -1;
        const int64_t top = (rows.isData ? last : c) * width + kw, step = classes * width;
        columns[count++] = {offset[top], int32_t(length), int32_t(top), int32_t(rows.isData ? -step : step)};
      }
    }
    return count;
  }
};

// R rows of NV vectors each; `lanes` of the last one. Rows of the result are `width` apart. Columns of at least R - 1 taps.
template <class T, int R, int NV>
static void singleBlock(const Column* columns, int count, const T* weights, const T* planes, int64_t pitch, T* c, int64_t width, int lanes) {
  constexpr int L = kLanes<T>;
  Vec<T> sum[R][NV] = {};
  for (int k = 0; k < count; k++) {
    const T *x = planes + columns[k].offset, *const w = weights + columns[k].first;
    const int64_t taps = columns[k].count, step = columns[k].step;
    // The pixels `i` rows down are tap i - r of row r, for the rows from <= r < to that have one.
    auto add = [&](int64_t i, auto from, auto to) __attribute__((always_inline)) {
      Vec<T> pixels[NV];
#pragma GCC unroll 4
      for (int v = 0; v < NV; v++) pixels[v] = load(x + i * pitch + v * L);
#pragma GCC unroll 4
      for (int r = from.value; r < to.value; r++) {
        const Vec<T> weight = broadcast(w[(i - r) * step]);
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) sum[r][v] = multiplyAdd(weight, pixels[v], sum[r][v]);
      }
    };
    if (R > 1) add(0, rows::Count<0>(), rows::Count<(R > 1 ? 1 : 0)>());
    if (R > 2) add(1, rows::Count<0>(), rows::Count<(R > 2 ? 2 : 0)>());
    if (R > 3) add(2, rows::Count<0>(), rows::Count<(R > 3 ? 3 : 0)>());
    for (int64_t i = R - 1; i < taps; i++) add(i, rows::Count<0>(), rows::Count<R>());
    if (R > 1) add(taps, rows::Count<1>(), rows::Count<R>());
    if (R > 2) add(taps + 1, rows::Count<2>(), rows::Count<R>());
    if (R > 3) add(taps + 2, rows::Count<3>(), rows::Count<R>());
  }
#pragma GCC unroll 4
  for (int r = 0; r < R; r++) {
#pragma GCC unroll 4
    for (int v = 0; v < NV; v++) rows::put(c + r * width + v * L, sum[r][v], v + 1 < NV ? L : lanes);
  }
}

template <class T, int R, int NV = kSingleVecs>
static void singleRows(int vecs, const Column* columns, int count, const T* weights, const T* planes, int64_t pitch, T* c, int64_t width, int lanes) {
  if (vecs == NV) return singleBlock<T, R, NV>(columns, count, weights, planes, pitch, c, width, lanes);
  if constexpr (NV > 1) singleRows<T, R, NV - 1>(vecs, columns, count, weights, planes, pitch, c, width, lanes);
}

// c[point] = weights * planes for height x width points whose rows are `pitch` apart in the planes.
template <class T>
static void multiplySingle(T* c, int64_t height, int64_t width, const Column* columns, int count, const T* weights, const T* planes, int64_t pitch) {
  constexpr int L = kLanes<T>;
  int64_t shortest = kSingleRows;   // 0 columns: all zeros
  for (int k = 0; k < count; k++) shortest = smaller(shortest, columns[k].count);
  const gemm::Cut vectors(ceilDiv(width, L), kSingleVecs);
  for (int64_t r = 0; r < height;) {
    const int64_t most = smaller(height - r, shortest + 1), n = most >= kSingleRows ? kSingleRows : most >= 2 ? 2 : 1;
    for (int64_t j = 0; j < vectors.pieces; j++) {
      const int64_t first = vectors.begin(j), col = first * L;
      const int vecs = int(vectors.begin(j + 1) - first), lanes = int(smaller(L, width - col - (vecs - 1) * L));
      const T* const from = planes + r * pitch + col;
      T* const to = c + r * width + col;
      if (n == kSingleRows) singleRows<T, kSingleRows>(vecs, columns, count, weights, from, pitch, to, width, lanes);
      else if (n == 2) singleRows<T, 2>(vecs, columns, count, weights, from, pitch, to, width, lanes);
      else singleRows<T, 1>(vecs, columns, count, weights, from, pitch, to, width, lanes);
    }
    r += n;
  }
}

}  // namespace conv
}  // namespace GRAFT_ISA_NS
}  // namespace graft
