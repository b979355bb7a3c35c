// The weight gradient of a 3x3 convolution in tiles, the adjoint of conv_winograd.h: with V = B^T x B of a tile of the image and M = A dy A^T of its
// results, dw = G^T (sum over tiles of M . V) G. For each of the 16 points that is a product [result channel, tile] x [tile, channel]. Vectors lie across
// channels: tiles are transposed to [pixel, channel] before they grow from 4 pixels to 16 points.
#pragma once
#include "conv_winograd.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace conv {

template <class T> class TileWeightGradient {
 public:
  static constexpr int64_t kTiles = 64;              // per block, in whole rows of them
  static constexpr int64_t kColumns = 64;            // channels per block,
  static constexpr int64_t kPanels = 6;              // and panels of result channels
  static constexpr int64_t kSumBytes = 2 << 20;      // of sums up to which a task takes some tiles and all channels
  static constexpr int64_t kAllSumBytes = 8 << 20;   // of the sums of all such tasks
  static constexpr int64_t kTasks = 16;              // of them at most
  static constexpr int64_t kShareBytes = 16 << 20;   // of all transformed tiles, where a task takes some channels and all tiles

  TileWeightGradient(const Problem& p, const T* x, const T* dy, T* dw, const Context& context)
      : p_(p), x_(x), dy_(dy), dw_(dw), context_(context), grid_(p.batch, p.y[0], p.y[1], kTiles), tiles_(grid_.tiles(0)),
        rowPanels_(ceilDiv(p.out, kUnit), gemm::kRows / kUnit), rowBlocks_(rowPanels_.pieces, kPanels),
        colPanels_(ceilDiv(p.in, L), gemm::kVecs), colBlocks_(colPanels_.pieces, larger(1, kColumns / (gemm::kVecs * L))),
        imageStride_(oddLines(tiles_ * colPanels_.units * L)), gradientStride_(oddLines(tiles_ * p.out + L)) {}

  bool applies() const { return TileProduct<T>::applies(p_) && (byTiles() || blockBytes() * grid_.blocks.pieces <= kShareBytes); }

  int run() {
    const bool byTile = byTiles();
    const int64_t unit = int64_t(sizeof(T)), rows = byTile ? p_.out : rowOf(rowBlocks_.begin(1)), cols = byTile ? colPanels_.units * L : colPanels_.begin(colBlocks_.begin(1)) * L;
    sumPitch_ = oddLines(cols), sumStride_ = oddLines(rows * sumPitch_);
    const gemm::Cut pieces(grid_.blocks.pieces, byTile ? ceilDiv(grid_.blocks.pieces, smaller(kTasks, larger(1, kAllSumBytes / sumBytes()))) : grid_.blocks.pieces);
    const int64_t sharedBytes = byTile ? pieces.pieces * sumBytes() : grid_.blocks.pieces * blockBytes();
    const int64_t partCols = colPanels_.begin(colBlocks_.begin(1)) * L, partRows = rowOf(rowBlocks_.begin(1)) + L;
    const int64_t height = 2 * grid_.rows(0) + 2, width = 2 * grid_.across + 2;
    int64_t at = 0;
    const auto reserve = [&](int64_t bytes) { const int64_t begin = at; at += roundUp(bytes, 64); return begin; };
    const int64_t pixelsAt = reserve((height * width * larger(partCols, partRows) + L) * unit), ownAt = reserve(byTile ? blockBytes() : sumBytes());
    const int64_t tapsAt = reserve(9 * colPanels_.units * L * unit);
    char* const shared = static_cast<char*>(context_.scratch(context_.pool, 0, uint64_t(sharedBytes + at)));
    if (!shared) return memoryShort();
    T* const common = reinterpret_cast<T*>(shared);
    bool failed = false;
    const auto inParallel = [&](int64_t count, const auto& body) {
      parallelFor(context_, count, 1, [&](int64_t from, int64_t to, int worker) {
        char* const own = worker == 0 ? shared + sharedBytes : static_cast<char*>(context_.scratch(context_.pool, worker, uint64_t(at)));
        if (!own) return __atomic_store_n(&failed, true, __ATOMIC_RELAXED);
        const Memory memory{reinterpret_cast<T*>(own + pixelsAt), reinterpret_cast<T*>(own + ownAt), reinterpret_cast<T*>(own + tapsAt)};
        for (int64_t i = from; i < to; i++) body(memory, i);
      });
    };
    const int64_t parts = rowBlocks_.pieces + colBlocks_.pieces;
    if (byTile) {
      inParallel(pieces.pieces, [&](const Memory& m, int64_t piece) {
        for (int64_t block = pieces.begin(piece); block < pieces.begin(piece + 1); block++) {
          for (int64_t part = 0; part < parts; part++) fill(m, m.own, block, part);
          multiply(common + piece * sumBytes() / unit, m.own, block, 0, rowPanels_.pieces, 0, colPanels_.pieces, block > pieces.begin(piece));
        }
      });
      inParallel(p_.out, [&](const Memory& m, int64_t row) { finish(m, common + row * sumPitch_, pieces.pieces, row, 0, p_.in); });
      return failed ? memoryShort() : 0;
    }
    inParallel(grid_.blocks.pieces * parts, [&](const Memory& m, int64_t i) { fill(m, common + i / parts * blockBytes() / unit, i / parts, i % parts); });
    inParallel(rowBlocks_.pieces * colBlocks_.pieces, [&](const Memory& m, int64_t i) {
      const int64_t r = i / colBlocks_.pieces, c = i % colBlocks_.pieces, row0 = rowOf(rowBlocks_.begin(r)), row1 = rowOf(rowBlocks_.begin(r + 1));
      const int64_t col0 = colPanels_.begin(colBlocks_.begin(c)) * L, col1 = smaller(p_.in, colPanels_.begin(colBlocks_.begin(c + 1)) * L);
      for (int64_t block = 0; block < grid_.blocks.pieces; block++)
        multiply(m.own, common + block * blockBytes() / unit, block, rowBlocks_.begin(r), rowBlocks_.begin(r + 1), colBlocks_.begin(c), colBlocks_.begin(c + 1), block > 0);
      for (int64_t row = row0; row < row1; row++) finish(m, m.own + (row - row0) * sumPitch_, 1, row, col0, col1);
    });
    return failed ? memoryShort() : 0;
  }

 private:
  struct Memory {
    T *pixels, *own, *taps;   // own: the transformed tiles of a block, or the sums of a block of channels
  };
  static constexpr int64_t L = kLanes<T>, kUnit = TileProduct<T>::kUnit;

  int memoryShort() const { return rows::fail(context_, "convWeight", "no memory for its working buffers"); }
  bool byTiles() const { return winograd::kPoints * p_.out * colPanels_.units * L * int64_t(sizeof(T)) <= kSumBytes; }
  int64_t rowOf(int64_t panel) const { return smaller(p_.out, rowPanels_.begin(panel) * kUnit); }
  // The transformed tiles of a block: those of the image, then those of the gradient.
  int64_t blockBytes() const { return winograd::kPoints * (imageStride_ + gradientStride_) * int64_t(sizeof(T)); }
  int64_t sumBytes() const { return winograd::kPoints * sumStride_ * int64_t(sizeof(T)); }

  void fill(const Memory& m, T* to, int64_t block, int64_t part) const {
    if (part < colBlocks_.pieces) fillImage(m, to, block, part);
    else fillGradient(m, to + winograd::kPoints * imageStride_, block, part - colBlocks_.pieces);
  }

  // Rows [top, top + count) of `channels` channels as [row, pixel, channel], `pitch` pixels of `step` numbers, with zeros around the image.
  static void turnPixels(T* to, const T* image, int64_t height, int64_t width, int64_t channels, int64_t step, int64_t top, int64_t count, int64_t left, int64_t pitch) {
    const int64_t right = pitch - left - width;
    for (int64_t y = top; y < top + count; y++, to += pitch * step) {
      if (y < 0 || y >= height) {
        memset(to, 0, size_t(pitch * step) * sizeof(T));
        continue;
      }
      memset(to, 0, size_t(left * step) * sizeof(T));
      gemm::packPanel(to + left * step, int(step), image + y * width, height * width, 1, int(channels), width);
      memset(to + (left + width) * step, 0, size_t(right * step) * sizeof(T));
    }
  }

  // Panels of channels: point q of (tile t, channel c) is to[q * imageStride_ + first * tiles_ + t * width + c - first] where the panel begins at `first`.
  void fillImage(const Memory& m, T* to, int64_t block, int64_t part) const {
    const int64_t panel0 = colBlocks_.begin(part), panel1 = colBlocks_.begin(part + 1), col0 = colPanels_.begin(panel0) * L, step = colPanels_.begin(panel1) * L - col0;
    const int64_t pitch = 2 * grid_.across + 2, pixels = p_.x[0] * p_.x[1];
    grid_.eachImage(block, [&](int64_t image, int64_t first, int64_t count, int64_t before) {
      turnPixels(m.pixels, x_ + (image * p_.in + col0) * pixels, p_.x[0], p_.x[1], smaller(step, p_.in - col0), step, 2 * first - p_.pad[0], 2 * count + 2, p_.pad[1], pitch);
      for (int64_t t = 0; t < count * grid_.across; t++) {
        const T* const corner = m.pixels + (t / grid_.across * 2 * pitch + t % grid_.across * 2) * step;
        for (int64_t panel = panel0; panel < panel1; panel++) {
          const int64_t begin = colPanels_.begin(panel) * L, width = colPanels_.begin(panel + 1) * L - begin;
          for (int64_t v = 0; v < width; v += L) winograd::transformTile(corner + begin - col0 + v, pitch * step, step, to + begin * tiles_ + (before + t) * width + v, imageStride_);
        }
      }
    });
  }

  // Panels of result channels in the same way.
  void fillGradient(const Memory& m, T* to, int64_t block, int64_t part) const {
    const int64_t panel0 = rowBlocks_.begin(part), panel1 = rowBlocks_.begin(part + 1), row0 = rowOf(panel0), rows = rowOf(panel1) - row0, step = roundUp(rows, 4);
    const int64_t pitch = 2 * grid_.across, pixels = p_.y[0] * p_.y[1], last = grid_.tiles(block) - 1;
    grid_.eachImage(block, [&](int64_t image, int64_t first, int64_t count, int64_t before) {
      turnPixels(m.pixels, dy_ + (image * p_.out + row0) * pixels, p_.y[0], p_.y[1], rows, step, 2 * first, 2 * count, 0, pitch);
      for (int64_t t = 0; t < count * grid_.across; t++) {
        const T* const corner = m.pixels + (t / grid_.across * 2 * pitch + t % grid_.across * 2) * step;
        for (int64_t panel = panel0; panel < panel1; panel++) {
          const int64_t begin = rowOf(panel), height = rowOf(panel + 1) - begin;
          for (int64_t r = 0; r < height; r += L) {
            const int64_t lanes = before + t < last ? L : smaller(L, height - r);   // what is too much is overwritten by the next tile
            winograd::transformGradient(corner + begin - row0 + r, pitch * step, step, to + begin * tiles_ + (before + t) * height + r, gradientStride_, int(lanes));
          }
        }
      }
    });
  }

  // Adds a block of tiles to the sums of some panels: point q of (row, col) is sums[q * sumStride_ + row * sumPitch_ + col], from the first of them on.
  void multiply(T* sums, const T* tiles, int64_t block, int64_t row0, int64_t row1, int64_t col0, int64_t col1, bool add) const {
    const int64_t count = grid_.tiles(block);
    const T* const gradient = tiles + winograd::kPoints * imageStride_;
    for (int64_t q = 0; q < winograd::kPoints; q++) {
      for (int64_t j = col0; j < col1; j++) {
        const int64_t col = colPanels_.begin(j) * L, width = colPanels_.begin(j + 1) * L - col;
        for (int64_t i = row0; i < row1; i++) {
          const int64_t row = rowOf(i), height = rowOf(i + 1) - row;
          gemm::kPackedBlock<T>.fn[height - 1][width / L - 1](count, gradient + q * gradientStride_ + row * tiles_, tiles + q * imageStride_ + col * tiles_, width,
                                                             sums + q * sumStride_ + (row - rowOf(row0)) * sumPitch_ + col - colPanels_.begin(col0) * L, sumPitch_, int(L), add);
        }
      }
    }
  }

  // One row of weights from its sums, those of `pieces` pieces of the tiles added in their order.
  void finish(const Memory& m, const T* sums, int64_t pieces, int64_t row, int64_t col0, int64_t col1) const {
    const int64_t step = roundUp(col1 - col0, L), size = sumBytes() / int64_t(sizeof(T));
    for (int64_t c = 0; c < col1 - col0; c += L) {
      Vec<T> sum[winograd::kPoints];
      for (int q = 0; q < winograd::kPoints; q++) {
        sum[q] = load(sums + q * sumStride_ + c);
        for (int64_t i = 1; i < pieces; i++) sum[q] += load(sums + i * size + q * sumStride_ + c);
      }
      winograd::transformSums<T>(sum, m.taps + c, step);
    }
    gemm::packPanel(dw_ + (row * p_.in + col0) * 9, 9, m.taps, step, 1, 9, col1 - col0);
  }

  const Problem& p_;
  const T *x_, *dy_;
  T* dw_;
  const Context& context_;
  const TileGrid grid_;
  const int64_t tiles_;                     // of a block at most
  const gemm::Cut rowPanels_, rowBlocks_;   // of kUnit result channels; of panels
  const gemm::Cut colPanels_, colBlocks_;   // of vectors of channels; of panels
  const int64_t imageStride_, gradientStride_;
  int64_t sumPitch_, sumStride_;
};

}  // namespace conv
}  // namespace GRAFT_ISA_NS
}  // namespace graft
