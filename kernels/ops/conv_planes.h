// The image as the micro-kernels read it: planes in scratch memory, padded with zeros, in which a tap is one constant distance from the output pixel.
#pragma once
#include "../simd/pairs.h"
#include "conv_shape.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace conv {

// A band is a rectangle of lattice points, all rows wide if these are short. All bands have the same layout: row r of a plane begins at r * pitch, and the
// zeros behind one row are also those before the next.
struct Bands {
  Axis axis[2];
  int64_t size[2], count[2];           // lattice points of a band at most, and number of bands
  int64_t pitch, planeRows, plane;     // elements; `plane` with room for vectors that read past the end
  int64_t planes;                      // per channel
  bool tooLarge = true;                // for offsets of 32 bits

  static Bands of(const Axis& rows, const Axis& cols, int64_t points, int64_t slack) {
    Bands b;
    b.axis[0] = rows, b.axis[1] = cols;
    const int64_t height = larger(1, rows.points()), width = larger(1, cols.points());
    const int64_t low = cols.lowest(), high = cols.highest();
    // Zeros are needed where taps reach beyond the pixels: before the first of the next row, and behind the last of this one.
    int64_t last = 0;
    for (int64_t s = 0; s < cols.slots(); s++) last = larger(last, cols.planeSize(s));
    const int64_t end = smaller(last, width + high), first = larger(low, 0);
    const int64_t whole = larger(width, larger(end - low, width + high - first));
    b.count[1] = width > 2 * points ? ceilDiv(width, points) : 1;
    b.size[1] = ceilDiv(width, b.count[1]);
    b.pitch = b.count[1] > 1 ? b.size[1] + high - low : whole;
    b.count[0] = b.count[1] > 1 ? height : ceilDiv(height, larger(1, points / b.pitch));
    b.size[0] = ceilDiv(height, b.count[0]);
    b.count[0] = ceilDiv(height, b.size[0]);
    b.count[1] = ceilDiv(width, b.size[1]);
    b.planeRows = b.size[0] + rows.highest() - rows.lowest();
    b.planes = rows.slots() * cols.slots();
    if (b.pitch < kLargest && b.planeRows < kLargest && b.planes < kLargest) {
      const int64_t reach = larger(b.pitch, b.size[1] + high - low);   // the last row has no next one whose zeros it could read
      b.plane = roundUp((b.planeRows - 1) * b.pitch + reach + slack, 16) | 16;   // an odd number of cache lines keeps the channels out of each other's sets
      b.tooLarge = b.plane >= kLargest / b.planes;
    }
    return b;
  }
  int64_t total() const { return count[0] * count[1]; }

  // A 1 x 1 convolution that takes every pixel: its planes are the image, which need not be copied. False where they are not, or offsets within
  // `channels` of them would not fit into 32 bits.
  bool readInPlace(int64_t channels) {
    const int64_t pixels = axis[0].image * axis[1].image;
    for (const Axis& a : axis)
      if (a.kernel != 1 || a.sample != 1 || a.phases != 1 || a.pad != 0 || a.image != a.result) return false;
    if (channels >= kLargest / larger(1, pixels)) return false;
    pitch = axis[1].image, plane = pixels;
    return true;
  }
  int64_t start(int64_t band) const { return begin(band, 0) * pitch + begin(band, 1); }   // of a band within the image

  // Band b as a rectangle: first lattice point and number of points of phase f along dim d.
  int64_t begin(int64_t band, int d) const { return (d == 0 ? band / count[1] : band % count[1]) * size[d]; }
  int64_t extent(int64_t band, int d, int64_t phase) const { return larger(0, smaller(size[d], axis[d].count(phase) - begin(band, d))); }

  // Where tap (kh, kw) of lattice point (0, 0) lies in a channel's planes.
  int64_t offset(int64_t kh, int64_t kw, int64_t fh, int64_t fw) const {
    const Axis &r = axis[0], &c = axis[1];
    return (r.slot(kh) * c.slots() + c.slot(kw)) * plane + (r.offset(kh, fh) - r.lowest()) * pitch + c.offset(kw, fw) - c.lowest();
  }
};

// dst[i] = src[i] for N <= n <= 2 N: two moves, which overlap where n is less than 2 N.
template <int N, class T> static inline void copyTwice(T* dst, const T* src, int64_t n) {
  memcpy(dst, src, N * sizeof(T));
  memcpy(dst + n - N, src + n - N, N * sizeof(T));
}

// dst[i] = src[i]
template <class T> static GRAFT_FORCE_INLINE void copyRun(T* dst, const T* src, int64_t n) {
  constexpr int L = kLanes<T>;
  if (n >= L) {
    for (int64_t i = 0; i + L <= n; i += L) store(dst + i, load(src + i));
    store(dst + n - L, load(src + n - L));
  } else if (n == 4) {
    memcpy(dst, src, 4 * sizeof(T));   // rows of small images: one or two moves
  } else if (n >= 8) {
    copyTwice<8>(dst, src, n);
  } else if (n > 4) {
    copyTwice<4>(dst, src, n);
  } else {
    for (int64_t i = 0; i < n; i++) dst[i] = src[i];
  }
}

// dst[i] = src[i * step]
template <class T> static inline void copyRow(T* dst, const T* src, int64_t n, int64_t step) {
  constexpr int L = kLanes<T>;
  if (step == 1) return copyRun(dst, src, n);
  int64_t i = 0;
  if (step == 2) {   // the vector that holds the last element may reach past the row
    for (; i + L < n; i += L) store(dst + i, pairs::evens(load(src + 2 * i), load(src + 2 * i + L)));
    if (L > 4 && n - i >= 4) {
      const int rest = int(n - i), reach = 2 * rest - 1;
      const Vec<T> low = loadPartial(src + 2 * i, reach < L ? reach : L), high = loadPartial(src + 2 * i + L, reach < L ? 0 : reach - L);
      rows::put(dst + i, pairs::evens(low, high), rest);
      return;
    }
    for (; i + 4 <= n; i += 4) pairs::everySecond(dst + i, src + 2 * i);
  }
  for (; i < n; i++) dst[i] = src[i * step];
}

// Fills the planes of `channels` channels of one image for a band: dst holds bands.planes * bands.plane elements per channel. Where the zeros are is the
// same for all images and channels of a band: they need not be written again (`zeros` false) where that many channels of it were there before.
template <class T> static void fillPlanes(T* dst, const Bands& b, int64_t band, const T* image, int64_t channels, bool zeros = true) {
  const Axis &r = b.axis[0], &c = b.axis[1];
  if (zeros) memset(dst, 0, size_t(channels * b.planes * b.plane) * sizeof(T));
  const int64_t row0 = b.begin(band, 0) + r.lowest(), col0 = b.begin(band, 1) + c.lowest();
  const int64_t colEnd = b.begin(band, 1) + b.extent(band, 1, 0) + c.highest();
  for (int64_t sr = 0; sr < r.slots(); sr++) {
    for (int64_t sc = 0; sc < c.slots(); sc++) {
      const int64_t first = larger(col0, 0), end = smaller(colEnd, c.planeSize(sc));
      const int64_t from = larger(row0, 0), to = smaller(row0 + b.planeRows, r.planeSize(sr));
      if (from >= to || first >= end) continue;
      T* own = dst + (sr * c.slots() + sc) * b.plane + (from - row0) * b.pitch + first - col0;
      const T* source = image + (from * r.sample + r.phaseOf(sr)) * c.image + first * c.sample + c.phaseOf(sc);
      const int64_t rowStep = r.sample * c.image;
      for (int64_t ch = 0; ch < channels; ch++, own += b.planes * b.plane, source += r.image * c.image) {
        T* row = own;
        const T* pixel = source;
        for (int64_t v = from; v < to; v++, row += b.pitch, pixel += rowStep) {
          if (c.sample == 1) copyRun(row, pixel, end - first);
          else copyRow(row, pixel, end - first, c.sample);
        }
      }
    }
  }
}

// A row of the result from its rows of every column phase: to[j * step + f] = from(f)[j].
template <class T, class From> static inline void joinRow(T* to, int64_t cols, int64_t step, int64_t phases, const From& from) {
  if (step == 2 && phases == 2) return pairs::weave(to, from(0), from(1), cols);
  for (int64_t f = 0; f < phases; f++) {
    const T* const row = from(f);
    for (int64_t j = 0; j * step + f < cols; j++) to[j * step + f] = row[j];
  }
}

}  // namespace conv
}  // namespace GRAFT_ISA_NS
}  // namespace graft
