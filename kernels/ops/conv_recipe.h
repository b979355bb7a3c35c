// What the tasks of a convolution share: the packed weights and the offsets of the taps.
#pragma once
#include "conv_planes.h"
#include "gemm_pack.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace conv {

constexpr int64_t kSteps = 288;              // of the inner sum at once: a panel of weights and the pixels under it stay in L1
constexpr int64_t kPlaneBytes = 128 << 10;   // planes of one chunk of channels: a quarter of L2

// The weights in the order in which the micro-kernel takes them, and the offsets of the taps, per phase; all tasks read them.
// weights: [group][phase][chunk of channels][panel of rows][channel][tap][row]
template <class T> struct Recipe {
  Bands bands;
  int64_t groups, rows, channels;            // per group: result channels, summed channels
  int64_t rowStride, channelStride, taps;    // of the weights
  int64_t phaseCount[2], phases, chunk;
  int64_t* begin;                            // of a phase among all taps that reach anything
  int32_t *tap, *offset;                     // tap numbers; offsets for `chunk` channels: [phase][channel][tap]
  T* weights;

  Recipe(const Problem& p, bool isData, int64_t points) {
    const Axis rowsAxis = isData ? Axis::data(p, 0) : Axis::forward(p, 0), colsAxis = isData ? Axis::data(p, 1) : Axis::forward(p, 1);
    bands = Bands::of(rowsAxis, colsAxis, points, gemm::kCols<T>);
    groups = p.groups, rows = isData ? p.in : p.out, channels = isData ? p.out : p.in;
    taps = p.taps();
    rowStride = (isData ? 1 : p.in) * taps, channelStride = (isData ? p.in : 1) * taps;
    for (int d = 0; d < 2; d++) phaseCount[d] = bands.axis[d].usedPhases();
    phases = phaseCount[0] * phaseCount[1];
    chunk = larger(1, smaller(channels, smaller(kSteps / taps, bands.tooLarge ? 1 : kPlaneBytes / int64_t(sizeof(T)) / (bands.planes * bands.plane))));
    while (!bands.tooLarge && chunk > 1 && chunk * bands.planes * bands.plane >= kLargest) chunk /= 2;
  }

  int64_t chunks() const { return ceilDiv(channels, chunk); }
  int64_t chunkSize(int64_t c) const { return smaller(chunk, channels - c * chunk); }
  int64_t reach(int64_t phase) const { return begin[phase + 1] - begin[phase]; }
  gemm::Cut panels() const { return gemm::Cut(rows, gemm::kRows); }
  T* packed(int64_t group, int64_t phase, int64_t c) const { return weights + ((group * begin[phases] + begin[phase]) * channels + c * chunk * reach(phase)) * rows; }

  int64_t tableBytes() const { return roundUp((phases + 1) * 8 + taps * (1 + chunk) * 4, 64); }
  int64_t bytes() const { return tableBytes() + roundUp(groups * rows * channels * taps * int64_t(sizeof(T)), 64); }

  void tables(char* memory) {
    begin = reinterpret_cast<int64_t*>(memory);
    tap = reinterpret_cast<int32_t*>(begin + phases + 1);
    offset = tap + taps;
    weights = reinterpret_cast<T*>(memory + tableBytes());
    int64_t count = 0;
    for (int64_t f = 0; f < phases; f++) {
      const int64_t fh = f / phaseCount[1], fw = f % phaseCount[1];
      begin[f] = count;
      for (int64_t kh = 0; kh < bands.axis[0].kernel; kh++) {
        if (!bands.axis[0].reaches(kh, fh)) continue;
        for (int64_t kw = 0; kw < bands.axis[1].kernel; kw++) {
          if (!bands.axis[1].reaches(kw, fw)) continue;
          offset[begin[f] * chunk + count - begin[f]] = int32_t(bands.offset(kh, kw, fh, fw));
          tap[count++] = int32_t(kh * bands.axis[1].kernel + kw);
        }
      }
      int32_t* const own = offset + begin[f] * chunk;
      for (int64_t i = count - begin[f]; i < (count - begin[f]) * chunk; i++) own[i] = own[i - (count - begin[f])] + int32_t(bands.planes * bands.plane);
    }
    begin[phases] = count;
  }

  void pack(const T* w, const Context& context) {
    const gemm::Cut cut = panels();
    parallelFor(context, groups * cut.pieces, larger(1, 16384 / (channels * taps * gemm::kRows + 1)), [&](int64_t from, int64_t to, int) {
      for (int64_t i = from; i < to; i++) {
        const int64_t g = i / cut.pieces, row = cut.begin(i % cut.pieces), height = cut.begin(i % cut.pieces + 1) - row;
        const T* const source = w + g * rows * channels * taps + row * rowStride;
        for (int64_t f = 0; f < phases; f++) {
          const int64_t n = reach(f);
          const int32_t* const number = tap + begin[f];
          for (int64_t c = 0; c < chunks(); c++) {
            T* to2 = packed(g, f, c) + row * chunkSize(c) * n;
            const T* from2 = source + c * chunk * channelStride;
            if (n == taps) {   // in their own order; of a convolution all channels lie in one run
              const int64_t run = channelStride == taps ? chunkSize(c) * taps : taps;
              for (int64_t at = 0; at < chunkSize(c) * taps; at += run, from2 += channelStride) gemm::packPanel(to2 + at * height, int(height), from2, rowStride, 1, int(height), run);
              continue;
            }
            for (int64_t ch = 0; ch < chunkSize(c); ch++, from2 += channelStride)
              for (int64_t t = 0; t < n; t++)
                for (int64_t r = 0; r < height; r++) *to2++ = from2[r * rowStride + number[t]];
          }
        }
      }
    });
  }

  // Rows [row0, row0 + count) of a chunk, transposed: panels of whole vectors of rows, padded with zeros, each [channel][tap][row].
  void packTurned(T* to, const T* w, int64_t group, int64_t c, int64_t row0, int64_t count) const {
    constexpr int64_t L = kLanes<T>;
    const gemm::Cut panels(ceilDiv(count, L), gemm::kVecs);
    const int64_t size = chunkSize(c), run = taps == 1 || channelStride == taps ? size : 1, step = taps == 1 ? channelStride : 1;   // channels that are packed in one go
    for (int64_t j = 0; j < panels.pieces; j++) {
      const int64_t first = panels.begin(j) * L, width = panels.begin(j + 1) * L - first, have = smaller(width, count - first);
      const T* from = w + group * rows * channels * taps + (row0 + first) * rowStride + c * chunk * channelStride;
      for (int64_t ch = 0; ch < size; ch += run, from += run * channelStride, to += run * taps * width) {
        if (rowStride == 1 && have == gemm::kCols<T>) gemm::copySteps<gemm::kCols<T>>(to, int(width), from, step, int(have), run * taps);
        else gemm::packPanel(to, int(width), from, rowStride, step, int(have), run * taps);
      }
    }
  }

  // Of those, what one phase needs.
  void select(T* to, const T* turned, int64_t phase, int64_t c, int64_t count) const {
    constexpr int64_t L = kLanes<T>;
    const gemm::Cut panels(ceilDiv(count, L), gemm::kVecs);
    for (int64_t j = 0; j < panels.pieces; j++) {
      const int64_t width = (panels.begin(j + 1) - panels.begin(j)) * L;
      for (int64_t ch = 0; ch < chunkSize(c); ch++, turned += taps * width)
        for (int64_t t = begin[phase]; t < begin[phase + 1]; t++, to += width) memcpy(to, turned + tap[t] * width, size_t(width) * sizeof(T));
    }
  }
};

}  // namespace conv
}  // namespace GRAFT_ISA_NS
}  // namespace graft
