// Winograd's F(2x2, 3x3): two by two results of a 3x3 convolution from a 4x4 tile d of the image with 16 multiplications where 36 are usual,
//   Y = A^T [(G g G^T) . (B^T d B)] A,   tiles overlapping by two pixels
//   B^T d = (d0 - d2, d1 + d2, d2 - d1, d1 - d3),   G g = (g0, (g0 + g1 + g2) / 2, (g0 - g1 + g2) / 2, g2),   A^T m = (m0 + m1 + m2, m1 - m2 - m3)
// (Lavin and Gray 2016, arXiv 1509.09308, section 4.1). Here: the three transforms, on vectors that lie across weights or
// tiles, and their adjoints, for the gradient of the weights.
#pragma once
#include "../simd/pairs.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace winograd {

constexpr int kSide = 4, kPoints = kSide * kSide;   // of a tile; the points of a transformed tile are numbered row by row

template <class V> static inline void imageLine(V d0, V d1, V d2, V d3, V (&b)[kSide]) { b[0] = d0 - d2, b[1] = d1 + d2, b[2] = d2 - d1, b[3] = d1 - d3; }

template <class V> static inline void weightLine(V g0, V g1, V g2, V (&u)[kSide]) {
  const V ends = (g0 + g2) * 0.5f, middle = g1 * 0.5f;
  u[0] = g0, u[1] = ends + middle, u[2] = ends - middle, u[3] = g2;
}

// The second half of B^T d B: the lines of its columns, point q to to[q * stride].
template <class T> static inline void imageDown(const Vec<T> (&across)[kSide][kSide], T* to, int64_t stride) {
#pragma GCC unroll 4
  for (int j = 0; j < kSide; j++) {
    Vec<T> down[kSide];
    imageLine(across[0][j], across[1][j], across[2][j], across[3][j], down);
#pragma GCC unroll 4
    for (int i = 0; i < kSide; i++) store(to + (i * kSide + j) * stride, down[i]);
  }
}

// Tiles of one row of tiles: point q of tile t is to[q * stride + t]. Rows of pixels are `pitch` apart; tile t begins at pixel 2 t. Whole vectors of tiles
// are read and written, up to one vector too much.
template <class T> static inline void transformImage(const T* pixels, int64_t pitch, int64_t tiles, T* to, int64_t stride) {
  constexpr int L = kLanes<T>;
  for (int64_t t = 0; t < tiles; t += L) {
    Vec<T> across[kSide][kSide];
#pragma GCC unroll 4
    for (int i = 0; i < kSide; i++) {
      const T* const p = pixels + i * pitch + 2 * t;
      const Vec<T> a = load(p), b = load(p + L), c = load(p + 2), d = load(p + 2 + L);
      imageLine(pairs::evens(a, b), pairs::odds(a, b), pairs::evens(c, d), pairs::odds(c, d), across[i]);
    }
    imageDown(across, to + t, stride);
  }
}

// One vector of 3x3 weights, tap k of them at taps + k * step, into u[point].
template <class T> static inline void transformWeights(const T* taps, int64_t step, Vec<T> (&u)[kPoints]) {
  Vec<T> down[3][kSide];
#pragma GCC unroll 4
  for (int j = 0; j < 3; j++) weightLine(load(taps + j * step), load(taps + (3 + j) * step), load(taps + (6 + j) * step), down[j]);
#pragma GCC unroll 4
  for (int i = 0; i < kSide; i++) {
    Vec<T> across[kSide];
    weightLine(down[0][i], down[1][i], down[2][i], across);
#pragma GCC unroll 4
    for (int j = 0; j < kSide; j++) u[i * kSide + j] = across[j];
  }
}

// The results of one row of tiles: point q of tile t is m[q * stride + t]; `rows` (1 or 2) rows of `width` pixels at to, `pitch` apart.
template <class T> static inline void transformResult(const T* m, int64_t stride, T* to, int64_t pitch, int64_t rows, int64_t width) {
  constexpr int L = kLanes<T>;
  for (int64_t t = 0; 2 * t < width; t += L) {
    Vec<T> first[kSide], second[kSide];
#pragma GCC unroll 4
    for (int j = 0; j < kSide; j++) {
      const T* const p = m + j * stride + t;
      const Vec<T> m0 = load(p), m1 = load(p + kSide * stride), m2 = load(p + 2 * kSide * stride), m3 = load(p + 3 * kSide * stride);
      first[j] = m0 + m1 + m2, second[j] = m1 - m2 - m3;
    }
    const int64_t rest = width - 2 * t;
    const auto finish = [=](T* row, const Vec<T> (&s)[kSide]) {
      const Vec<T> even = s[0] + s[1] + s[2], odd = s[1] - s[2] - s[3];
      if (rest >= L) store(row, pairs::zipLow(even, odd));
      else storePartial(row, pairs::zipLow(even, odd), int(rest));
      if (rest >= 2 * L) store(row + L, pairs::zipHigh(even, odd));
      else if (rest > L) storePartial(row + L, pairs::zipHigh(even, odd), int(rest - L));
    };
    finish(to + 2 * t, first);
    if (rows > 1) finish(to + pitch + 2 * t, second);
  }
}

// The same transforms across channels. The image: one vector of channels of a tile whose pixels are `step` and whose rows are `row` apart.
template <class T> static inline void transformTile(const T* pixels, int64_t row, int64_t step, T* to, int64_t stride) {
  Vec<T> across[kSide][kSide];
#pragma GCC unroll 4
  for (int i = 0; i < kSide; i++) {
    const T* const p = pixels + i * row;
    imageLine(load(p), load(p + step), load(p + 2 * step), load(p + 3 * step), across[i]);
  }
  imageDown(across, to, stride);
}

// A dy A^T of a tile of results: A y = (y0, y0 + y1, y0 - y1, -y1). The first `lanes` lanes are stored.
template <class T> static inline void transformGradient(const T* pixels, int64_t row, int64_t step, T* to, int64_t stride, int lanes) {
  const auto line = [](Vec<T> y0, Vec<T> y1, Vec<T> (&a)[kSide]) { a[0] = y0, a[1] = y0 + y1, a[2] = y0 - y1, a[3] = -y1; };
  Vec<T> top[kSide], bottom[kSide];
  line(load(pixels), load(pixels + step), top);
  line(load(pixels + row), load(pixels + row + step), bottom);
#pragma GCC unroll 4
  for (int j = 0; j < kSide; j++) {
    Vec<T> down[kSide];
    line(top[j], bottom[j], down);
#pragma GCC unroll 4
    for (int i = 0; i < kSide; i++) {
      if (lanes == kLanes<T>) store(to + (i * kSide + j) * stride, down[i]);
      else storePartial(to + (i * kSide + j) * stride, down[i], lanes);
    }
  }
}

// G^T u G of the sums of all tiles: G^T u = (u0 + (u1 + u2) / 2, (u1 - u2) / 2, (u1 + u2) / 2 + u3). Tap k at to + k * step.
template <class T> static inline void transformSums(const Vec<T> (&u)[kPoints], T* to, int64_t step) {
  const auto line = [](Vec<T> u0, Vec<T> u1, Vec<T> u2, Vec<T> u3, Vec<T> (&g)[3]) {
    const Vec<T> middle = (u1 + u2) * 0.5f;
    g[0] = u0 + middle, g[1] = (u1 - u2) * 0.5f, g[2] = middle + u3;
  };
  Vec<T> down[kSide][3];
#pragma GCC unroll 4
  for (int j = 0; j < kSide; j++) line(u[j], u[kSide + j], u[2 * kSide + j], u[3 * kSide + j], down[j]);
#pragma GCC unroll 4
  for (int i = 0; i < 3; i++) {
    Vec<T> across[3];
    line(down[0][i], down[1][i], down[2][i], down[3][i], across);
#pragma GCC unroll 4
    for (int j = 0; j < 3; j++) store(to + (i * 3 + j) * step, across[j]);
  }
}

}  // namespace winograd
}  // namespace GRAFT_ISA_NS
}  // namespace graft
