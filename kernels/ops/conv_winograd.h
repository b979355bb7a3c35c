// The convolution of 3x3 weights and its data gradient in tiles (winograd.h): for each of the 16 points of a tile a product of transformed weights
// [result channel, channel] and transformed tiles [channel, tile]. 2.25 times fewer multiplications, for which the transforms have to be small beside
// them: that takes some channels on both sides. Sums are as exact as those of a direct convolution to about one more bit.
#pragma once
#include "conv_output.h"
#include "conv_planes.h"
#include "gemm_tiles.h"
#include "winograd.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace conv {

// The tiles of all images, two rows of results high each: `across` by `down` in an image, cut into blocks of whole rows of tiles.
struct TileGrid {
  int64_t down, across;
  gemm::Cut blocks;

  TileGrid(int64_t batch, int64_t height, int64_t width, int64_t most) : down(half(height)), across(half(width)), blocks(batch * down, larger(1, most / larger(1, across))) {}
  static int64_t half(int64_t n) { return (n + 1) / 2; }

  int64_t rows(int64_t block) const { return blocks.begin(block + 1) - blocks.begin(block); }
  int64_t tiles(int64_t block) const { return rows(block) * across; }   // of block 0 the most

  // f(image, first row of tiles in it, count, tiles before it) for the parts of a block that lie in one image each.
  template <class F> void eachImage(int64_t block, const F& f) const {
    const int64_t begin = blocks.begin(block), end = blocks.begin(block + 1);
    for (int64_t row = begin, count; row < end; row += count) {
      count = smaller(down - row % down, end - row);
      f(row / down, row % down, count, (row - begin) * across);
    }
  }
};

// A stride of an odd number of cache lines: what lies that far apart and is written together would otherwise share few sets of a cache.
static inline int64_t oddLines(int64_t elements) { return roundUp(elements, 16) | 16; }

template <class T> class TileProduct {
 public:
  static constexpr int64_t kLeast = 32;              // channels, and tiles
  static constexpr int64_t kWidest = 1024;           // tiles across: a task's memory grows with them
  static constexpr int64_t kTiles = 64;              // per task, in whole rows of them
  static constexpr int64_t kManyChannels = 256;      // beyond which it is half as many
  static constexpr int64_t kPanels = 6;              // panels of weights per block of result channels,
  static constexpr int64_t kOwnPanels = 3;           // and where a task transforms the weights that it needs
  static constexpr int64_t kKeptBytes = 512 << 10;   // of transformed weights, which stay in L2 from one task to the next. Of more,
  static constexpr int64_t kShareBytes = 8 << 20;    // and up to this much of transformed tiles, all tiles are made first and a task takes a block of result channels
  static constexpr int64_t kUnit = gemm::kRows % 4 == 0 ? 4 : 2;   // rows of weights that are packed well

  static bool applies(const Problem& p) {
    if (sizeof(T) != 4 || p.groups != 1 || p.in < kLeast || p.out < kLeast) return false;
    for (int d = 0; d < 2; d++)
      if (p.kernel[d] != 3 || p.stride[d] != 1 || p.dilation[d] != 1 || p.pad[d] < 0 || p.pad[d] > 2) return false;
    const auto tiles = [&](const int64_t (&size)[2]) { return p.batch * TileGrid::half(size[0]) * TileGrid::half(size[1]); };
    return tiles(p.x) >= kLeast && tiles(p.y) >= kLeast && TileGrid::half(larger(p.x[1], p.y[1])) <= kWidest;
  }

  TileProduct(const Problem& p, bool isData, const T* image, const T* w, const Target& target, const Context& context)
      : isData_(isData), channels_(isData ? p.out : p.in), rows_(isData ? p.in : p.out), w_(w), image_(image), target_(target), context_(context),
        grid_(p.batch, target.height(), target.width(), channels_ > kManyChannels ? kTiles / 2 : kTiles),
        tilePitch_(oddLines(grid_.tiles(0) + kLanes<T>)), tileStride_(oddLines(channels_ * tilePitch_)), panels_(ceilDiv(rows_, kUnit), gemm::kRows / kUnit),
        byRows_(winograd::kPoints * channels_ * rows_ * int64_t(sizeof(T)) > kKeptBytes && tileBytes() * grid_.blocks.pieces <= kShareBytes),
        rowBlocks_(panels_.pieces, byRows_ ? kOwnPanels : kPanels) {
    for (int d = 0; d < 2; d++) size_[d] = isData ? p.y[d] : p.x[d], pad_[d] = isData ? 2 - p.pad[d] : p.pad[d];
  }

  int run() {
    constexpr int64_t L = kLanes<T>, unit = int64_t(sizeof(T));
    weightStride_ = oddLines(channels_ * (byRows_ ? rowBlock() : rows_) + L), productStride_ = oddLines(rowBlock() * tilePitch_), pixelPitch_ = 2 * grid_.across + 2;
    const int64_t weightBytes = winograd::kPoints * weightStride_ * unit, sharedBytes = byRows_ ? tileBytes() * grid_.blocks.pieces : weightBytes;
    int64_t at = 0;
    const auto reserve = [&](int64_t elements) { const int64_t begin = at; at += roundUp(elements * unit, 64); return begin; };
    const int64_t tapsAt = reserve(9 * channels_ * gemm::kRows + L), pixelsAt = reserve((2 * grid_.rows(0) + 2) * pixelPitch_ + 3 * L);
    const int64_t ownAt = reserve(byRows_ ? weightBytes / unit : tileBytes() / unit), productsAt = reserve(winograd::kPoints * productStride_ + L);
    const int64_t blockAt = reserve(target_.direct() ? 0 : rowBlock() * 2 * smaller(grid_.down, grid_.rows(0)) * target_.width()), runnerAt = reserve(target_.memoryBytes() / unit + 1);
    char* const shared = static_cast<char*>(context_.scratch(context_.pool, 0, uint64_t(sharedBytes + at)));
    if (!shared) return memoryShort();
    T* const common = reinterpret_cast<T*>(shared);
    bool failed = false;
    const auto inParallel = [&](int64_t count, int64_t grain, const auto& body) {
      parallelFor(context_, count, grain, [&](int64_t from, int64_t to, int worker) {
        char* const own = worker == 0 ? shared + sharedBytes : static_cast<char*>(context_.scratch(context_.pool, worker, uint64_t(at)));
        if (!own) return __atomic_store_n(&failed, true, __ATOMIC_RELAXED);
        const auto place = [=](int64_t begin) { return reinterpret_cast<T*>(own + begin); };
        const Memory memory{place(tapsAt), place(pixelsAt), place(ownAt), place(productsAt), place(blockAt), own + runnerAt};
        body(memory, from, to);
      });
    };
    if (byRows_) {
      const gemm::Cut parts(channels_, kLeast);
      inParallel(grid_.blocks.pieces * parts.pieces, 1, [&](const Memory& m, int64_t from, int64_t to) {
        for (int64_t i = from; i < to; i++) fillTiles(m, common + i / parts.pieces * tileBytes() / unit, i / parts.pieces, parts.begin(i % parts.pieces), parts.begin(i % parts.pieces + 1));
      });
    } else {
      inParallel(rowBlocks_.pieces, 1, [&](const Memory& m, int64_t from, int64_t to) {
        for (int64_t i = from; i < to; i++) packWeights(m, common + rowOf(rowBlocks_.begin(i)) * channels_, i);
      });
    }
    inParallel(byRows_ ? rowBlocks_.pieces : grid_.blocks.pieces, 1, [&](const Memory& m, int64_t from, int64_t to) {
      target_.withRunner(m.runner, [&](ProgramRunner* runner) {
        for (int64_t i = from; i < to; i++) {
          if (byRows_) packWeights(m, m.own, i);
          else fillTiles(m, m.own, i, 0, channels_);
          for (int64_t j = 0; j < (byRows_ ? grid_.blocks.pieces : rowBlocks_.pieces); j++) {
            const int64_t tiles = byRows_ ? j : i, rows = byRows_ ? i : j;
            if (byRows_) multiply(m, m.own, common + j * tileBytes() / unit, tiles, rows);
            else multiply(m, common + rowOf(rowBlocks_.begin(j)) * channels_, m.own, tiles, rows);
            finish(m, runner, tiles, rows);
          }
        }
      });
    });
    return failed ? memoryShort() : 0;
  }

 private:
  struct Memory {
    T *taps, *pixels, *own, *products, *block;   // own: transformed tiles or weights
    char* runner;
  };

  int memoryShort() const { return rows::fail(context_, "conv", "no memory for its working buffers"); }

  int64_t rowOf(int64_t panel) const { return smaller(rows_, panels_.begin(panel) * kUnit); }
  int64_t rowBlock() const { return rowOf(rowBlocks_.begin(1)); }
  int64_t tileBytes() const { return winograd::kPoints * tileStride_ * int64_t(sizeof(T)); }

  // A block of transformed weights: point q of (row r, channel c) of a panel is [q * weightStride_ + c * height + r] from where the panel begins.
  void packWeights(const Memory& m, T* to, int64_t rowBlock) const {
    const int64_t row0 = rowOf(rowBlocks_.begin(rowBlock));
    for (int64_t panel = rowBlocks_.begin(rowBlock); panel < rowBlocks_.begin(rowBlock + 1); panel++) packPanel(m, to + (rowOf(panel) - row0) * channels_, panel);
  }
  void packPanel(const Memory& m, T* to, int64_t panel) const {
    constexpr int L = kLanes<T>;
    const int64_t first = rowOf(panel), height = rowOf(panel + 1) - first, rowStride = (isData_ ? 1 : channels_) * 9, channelStride = (isData_ ? rows_ : 1) * 9;
    const int64_t run = isData_ ? 1 : channels_;   // channels that are packed in one go
    for (int64_t c = 0; c < channels_; c += run) gemm::packPanel(m.taps + c * 9 * height, int(height), w_ + first * rowStride + c * channelStride, rowStride, 1, int(height), run * 9);
    const int64_t step = isData_ ? -height : height, begin = isData_ ? 8 * height : 0;   // the data gradient takes them turned by half a circle
    for (int64_t c = 0; c < channels_; c++) {
      for (int64_t r = 0; r < height; r += L) {
        Vec<T> u[winograd::kPoints];
        winograd::transformWeights<T>(m.taps + c * 9 * height + begin + r, step, u);
        const bool whole = c + 1 < channels_ || height - r >= L;   // what is too much is overwritten by the next channel
#pragma GCC unroll 16
        for (int q = 0; q < winograd::kPoints; q++) {
          if (whole) store(to + q * weightStride_ + c * height + r, u[q]);
          else storePartial(to + q * weightStride_ + c * height + r, u[q], int(height - r));
        }
      }
    }
  }

  // Channels [from, to) of a block of tiles: point q of (channel c, tile t) is tiles[q * tileStride_ + c * tilePitch_ + t].
  void fillTiles(const Memory& m, T* tiles, int64_t block, int64_t from, int64_t to) const {
    grid_.eachImage(block, [&](int64_t image, int64_t first, int64_t count, int64_t before) {
      for (int64_t c = from; c < to; c++) {
        copyPixels(m.pixels, image_ + (image * channels_ + c) * size_[0] * size_[1], 2 * first - pad_[0], 2 * count + 2);
        for (int64_t i = 0; i < count; i++) winograd::transformImage(m.pixels + 2 * i * pixelPitch_, pixelPitch_, grid_.across, tiles + c * tilePitch_ + before + i * grid_.across, tileStride_);
      }
    });
  }

  // Rows [top, top + count) of a channel with the zeros around it.
  void copyPixels(T* to, const T* channel, int64_t top, int64_t count) const {
    const int64_t left = pad_[1], right = pixelPitch_ - left - size_[1];
    for (int64_t y = top; y < top + count; y++, to += pixelPitch_) {
      if (y < 0 || y >= size_[0]) {
        memset(to, 0, size_t(pixelPitch_) * sizeof(T));
        continue;
      }
      for (int64_t x = 0; x < left; x++) to[x] = 0;
      copyRun(to + left, channel + y * size_[1], size_[1]);
      for (int64_t x = 0; x < right; x++) to[left + size_[1] + x] = 0;
    }
  }

  void multiply(const Memory& m, const T* weights, const T* tiles, int64_t block, int64_t rowBlock) const {
    constexpr int64_t L = kLanes<T>;
    const int64_t count = grid_.tiles(block), row0 = rowOf(rowBlocks_.begin(rowBlock));
    const gemm::Cut vectors(ceilDiv(count, L), gemm::kVecs), steps(channels_, gemm::kStepBlock);
    for (int64_t q = 0; q < winograd::kPoints; q++) {
      for (int64_t k = 0; k < steps.pieces; k++) {
        const int64_t c = steps.begin(k), K = steps.begin(k + 1) - c;
        for (int64_t j = 0; j < vectors.pieces; j++) {
          const int64_t v = vectors.begin(j), nv = vectors.begin(j + 1) - v;
          for (int64_t panel = rowBlocks_.begin(rowBlock); panel < rowBlocks_.begin(rowBlock + 1); panel++) {
            const int64_t row = rowOf(panel), height = rowOf(panel + 1) - row;
            gemm::kPackedBlock<T>.fn[height - 1][nv - 1](K, weights + q * weightStride_ + (row - row0) * channels_ + c * height, tiles + q * tileStride_ + c * tilePitch_ + v * L, tilePitch_,
                                                         m.products + q * productStride_ + (row - row0) * tilePitch_ + v * L, tilePitch_, int(L), k > 0);
          }
        }
      }
    }
  }

  void finish(const Memory& m, ProgramRunner* runner, int64_t block, int64_t rowBlock) const {
    const int64_t row0 = rowOf(rowBlocks_.begin(rowBlock)), rows = rowOf(rowBlocks_.begin(rowBlock + 1)) - row0, width = target_.width();
    grid_.eachImage(block, [&](int64_t image, int64_t first, int64_t count, int64_t before) {
      const int64_t top = 2 * first, height = smaller(2 * count, target_.height() - top);
      for (int64_t r = 0; r < rows; r++) {
        T* const to = target_.direct() ? static_cast<T*>(target_.direct()) + target_.pixel(image, row0 + r, top, 0) : m.block + r * height * width;
        const T* const from = m.products + r * tilePitch_ + before;
        for (int64_t i = 0; i < count; i++)
          winograd::transformResult(from + i * grid_.across, productStride_, to + 2 * i * width, width, smaller(2, height - 2 * i), width);
      }
      if (!target_.direct()) target_.write(runner, image, row0, rows, top, height, 0, width, m.block, height * width, width);
    });
  }

  const bool isData_;
  const int64_t channels_, rows_;           // summed channels and result channels
  int64_t size_[2], pad_[2];                // of the image
  const T *w_, *image_;
  const Target& target_;
  const Context& context_;
  const TileGrid grid_;
  const int64_t tilePitch_, tileStride_;
  const gemm::Cut panels_;                  // of kUnit rows of weights
  const bool byRows_;                       // a task is a block of result channels, for which it transforms the weights; otherwise a block of tiles, which it transforms
  const gemm::Cut rowBlocks_;               // of panels
  int64_t weightStride_, productStride_, pixelPitch_;
};

}  // namespace conv
}  // namespace GRAFT_ISA_NS
}  // namespace graft
