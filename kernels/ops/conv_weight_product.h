// The weight gradient of many output channels as a product: dw[(c, tap), o] = sum over (image, pixel) of x[c, pixel + tap] dy[pixel, o]. Vectors lie across
// output channels, so dy is transposed into panels; x is read from its planes, a pixel at a time, whatever the width of the image (conv_shifted.h).
#pragma once
#include "conv_planes.h"
#include "conv_shifted.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace conv {

template <class T> class WeightProduct {
 public:
  static constexpr int64_t kPixels = 256;         // at once: a panel of dy stays in L1
  static constexpr int64_t kRowsAtOnce = 144;     // (channel, tap) per task, which share the transposed dy
  static constexpr int64_t kOutAtOnce = 256;      // output channels per task; its sums stay in L2
  static constexpr int64_t kMostPlaneBytes = 128 << 10;
  static constexpr int64_t kShareBytes = 8 << 20;     // of dy that is transposed once for the tasks of all input channels,
  static constexpr int64_t kShareBlocks = 8;          // where these are more
  static constexpr int64_t kWantedTasks = 16;     // so many images are not summed in one go where the weights alone give fewer tasks

  WeightProduct(const Problem& p, const T* x, const T* dy, T* dw, const Context& context)
      : p_(p), x_(x), dy_(dy), dw_(dw), context_(context), bands_(Bands::of(Axis::forward(p, 0), Axis::forward(p, 1), kPixels, 0)) {}

  // Transposing dy must pay: by many rows that share it. Few output channels would leave vectors partly empty.
  bool suits() const { return !bands_.tooLarge && p_.out >= kLanes<T> * 2 && p_.in * p_.taps() >= 9; }

  int run() {
    const int64_t taps = p_.taps(), pieces = p_.batch * bands_.total(), points = bands_.size[0] * bands_.size[1], unit = int64_t(sizeof(T));
    perChunk_ = larger(1, smaller(pieces, kPixels / points));
    inPlace_ = bands_.readInPlace((perChunk_ + 1) * p_.groups * p_.in);
    const int64_t plane = bands_.planes * bands_.plane;
    channelBlocks_ = gemm::Cut(p_.in, larger(1, smaller(kRowsAtOnce / taps, inPlace_ ? p_.in : kMostPlaneBytes / unit / (perChunk_ * plane)))).pieces;
    outBlocks_ = gemm::Cut(ceilDiv(p_.out, kLanes<T>), kOutAtOnce / kLanes<T>).pieces;
    const int64_t blocks = p_.groups * channelBlocks_ * outBlocks_;
    imageGroups_ = larger(1, smaller(ceilDiv(kWantedTasks, blocks), ceilDiv(pieces, perChunk_)));
    const int64_t channels = channelCut().begin(1), vectors = outCut().begin(1);
    ldc_ = (vectors * kLanes<T>) | 16, segment_ = channels * plane;
    tileSize_ = channels * taps * ldc_;

    const int64_t tableBytes = roundUp(channels * taps * 4, 64), pixelBytes = roundUp(perChunk_ * points * 4, 64);
    const int64_t planesBytes = inPlace_ ? 0 : roundUp(perChunk_ * segment_ * unit, 64), tileBytes = roundUp(tileSize_ * unit, 64);
    const int64_t outs = p_.groups * outCut().units * kLanes<T>, everything = roundUp(p_.batch * p_.y[0] * p_.y[1] * outs * unit, 64);
    const bool several = imageGroups_ > 1, shares = channelBlocks_ > kShareBlocks && everything <= kShareBytes;
    const int64_t dyBytes = shares ? 0 : roundUp(perChunk_ * points * vectors * kLanes<T> * unit, 64), sharedBytes = shares ? everything : 0;
    const int64_t local = pixelBytes + planesBytes + dyBytes + (several ? 0 : tileBytes), sumBytes = several ? imageGroups_ * blocks * tileBytes : 0;
    char* const shared = static_cast<char*>(context_.scratch(context_.pool, 0, uint64_t(tableBytes + sharedBytes + sumBytes + local)));
    if (!shared) return memoryShort();
    offset_ = reinterpret_cast<int32_t*>(shared);
    for (int64_t i = 0; i < channels * taps; i++) offset_[i] = int32_t(i / taps * plane + bands_.offset(i % taps / p_.kernel[1], i % taps % p_.kernel[1], 0, 0));
    char* const sums = shared + tableBytes + sharedBytes;
    if (shares) transposeAll(reinterpret_cast<T*>(shared + tableBytes));
    bool failed = false;
    parallelFor(context_, imageGroups_ * blocks, 1, [&](int64_t from, int64_t to, int worker) {
      char* const own = worker == 0 ? sums + sumBytes : static_cast<char*>(context_.scratch(context_.pool, worker, uint64_t(local)));
      if (!own) return __atomic_store_n(&failed, true, __ATOMIC_RELAXED);
      T* const planes = reinterpret_cast<T*>(own + pixelBytes);
      T* const dy = reinterpret_cast<T*>(own + pixelBytes + planesBytes);
      for (int64_t t = from; t < to; t++) {
        T* const tile = reinterpret_cast<T*>(several ? sums + t * tileBytes : own + pixelBytes + planesBytes + dyBytes);
        task(t / blocks, blockAt(t % blocks), reinterpret_cast<int32_t*>(own), planes, dy, tile);
        if (!several) finish(blockAt(t), tile, 0, blockAt(t).rows);
      }
    });
    if (failed) return memoryShort();
    if (several) {
      const int64_t slices = ceilDiv(channels * taps, gemm::kRows * 4), slice = gemm::kRows * 4;
      parallelFor(context_, blocks * slices, 1, [&](int64_t from, int64_t to, int) {
        for (int64_t t = from; t < to; t++) {
          const Block block = blockAt(t / slices);
          const int64_t row0 = t % slices * slice, row1 = smaller(block.rows, row0 + slice);
          T* const tile = reinterpret_cast<T*>(sums + t / slices * tileBytes);
          for (int64_t g = 1; g < imageGroups_; g++) add(tile, reinterpret_cast<T*>(sums + (g * blocks + t / slices) * tileBytes), row0 * ldc_, row1 * ldc_);
          finish(block, tile, row0, row1);
        }
      });
    }
    return 0;
  }

 private:
  // What a task sums: some input channels with all taps, some output channels.
  struct Block { int64_t group, channel, channels, rows, out, outs; };

  int memoryShort() const { return rows::fail(context_, "convWeight", "no memory for its working buffers"); }
  gemm::Cut channelCut() const { return gemm::Cut(p_.in, ceilDiv(p_.in, channelBlocks_)); }
  gemm::Cut outCut() const { return gemm::Cut(ceilDiv(p_.out, kLanes<T>), ceilDiv(ceilDiv(p_.out, kLanes<T>), outBlocks_)); }
  Block blockAt(int64_t b) const {
    const gemm::Cut channels = channelCut(), out = outCut();
    const int64_t c = b / outBlocks_ % channelBlocks_, o = b % outBlocks_, channel = channels.begin(c), count = channels.begin(c + 1) - channel;
    const int64_t first = out.begin(o) * kLanes<T>, end = smaller(p_.out, out.begin(o + 1) * kLanes<T>);
    return {b / outBlocks_ / channelBlocks_, channel, count, count * p_.taps(), first, end - first};
  }

  // The pieces of an image group; every group is cut into chunks from its beginning.
  struct Range { int64_t first, end; };
  Range piecesOf(int64_t imageGroup) const {
    const int64_t pieces = p_.batch * bands_.total();
    const gemm::Cut cut(pieces, ceilDiv(larger(1, pieces), imageGroups_));
    return imageGroup < cut.pieces ? Range{cut.begin(imageGroup), cut.begin(imageGroup + 1)} : Range{pieces, pieces};
  }
  int64_t pixelsOf(int64_t piece) const { return bands_.extent(piece % bands_.total(), 0, 0) * bands_.extent(piece % bands_.total(), 1, 0); }

  // Where all of dy is transposed at once: [image group, chunk][group][block of output channels][panel][pixel][channel].
  T* turnedAt(const Block& block, int64_t from, int64_t pixels) const {
    const int64_t band = from % bands_.total(), outs = outCut().units * kLanes<T>;
    const int64_t before = from / bands_.total() * p_.y[0] * p_.y[1] + bands_.begin(band, 0) * p_.y[1] + bands_.begin(band, 1) * bands_.extent(band, 0, 0);
    return shared_ + before * p_.groups * outs + pixels * (block.group * outs + block.out);
  }
  void transposeAll(T* to) {
    shared_ = to;
    const int64_t perGroup = ceilDiv(piecesOf(0).end, perChunk_), blocks = p_.groups * outBlocks_;
    parallelFor(context_, imageGroups_ * perGroup * blocks, 1, [&](int64_t begin, int64_t end, int) {
      for (int64_t t = begin; t < end; t++) {
        const Range range = piecesOf(t / blocks / perGroup);
        const int64_t from = range.first + t / blocks % perGroup * perChunk_, until = smaller(range.end, from + perChunk_), b = t % blocks;
        int64_t pixels = 0;
        for (int64_t piece = from; piece < until; piece++) pixels += pixelsOf(piece);
        const Block block = blockAt(b / outBlocks_ * channelBlocks_ * outBlocks_ + b % outBlocks_);
        if (pixels > 0) transpose(turnedAt(block, from, pixels), block, from, until, pixels);
      }
    });
  }

  void task(int64_t imageGroup, const Block& block, int32_t* pixel, T* planes, T* dy, T* tile) const {
    const int64_t first = piecesOf(imageGroup).first, end = piecesOf(imageGroup).end;
    if (first >= end) memset(tile, 0, size_t(tileSize_) * sizeof(T));
    for (int64_t from = first, to; from < end; from = to) {
      int64_t pixels = 0;
      to = smaller(end, from + perChunk_);
      const T* const source = x_ + ((from / bands_.total() * p_.groups + block.group) * p_.in + block.channel) * p_.x[0] * p_.x[1];
      for (int64_t piece = from; piece < to; piece++) {
        const int64_t image = piece / bands_.total() - from / bands_.total(), band = piece % bands_.total(), own = image * p_.groups * p_.in * p_.x[0] * p_.x[1];
        const int64_t begin = inPlace_ ? own + bands_.start(band) : (piece - from) * segment_;
        if (!inPlace_) fillPlanes(planes + begin, bands_, band, source + own, block.channels);
        for (int64_t r = 0; r < bands_.extent(band, 0, 0); r++)
          for (int64_t c = 0; c < bands_.extent(band, 1, 0); c++) pixel[pixels++] = int32_t(begin + r * bands_.pitch + c);
      }
      const T* const turned = shared_ ? turnedAt(block, from, pixels) : dy;
      if (!shared_) transpose(dy, block, from, to, pixels);
      multiplyShifted(tile, ldc_, inPlace_ ? source : planes, offset_, block.rows, pixel, pixels, turned, gemm::Cut(ceilDiv(block.outs, kLanes<T>), gemm::kVecs), from > first);
    }
  }

  // Pieces [from, to) of dy, of `pixels` pixels together, as panels of output channels.
  void transpose(T* dst, const Block& block, int64_t from, int64_t to, int64_t pixels) const {
    constexpr int64_t L = kLanes<T>;
    const int64_t plane = p_.y[0] * p_.y[1];
    const gemm::Cut panels(ceilDiv(block.outs, L), gemm::kVecs);
    for (int64_t j = 0; j < panels.pieces; j++) {
      const int64_t first = panels.begin(j) * L, width = panels.begin(j + 1) * L - first, have = smaller(width, block.outs - first);
      T* to2 = dst + first * pixels;
      for (int64_t piece = from; piece < to; piece++) {
        const int64_t image = piece / bands_.total(), band = piece % bands_.total(), rows = bands_.extent(band, 0, 0), cols = bands_.extent(band, 1, 0);
        const T* const source = dy_ + ((image * p_.groups + block.group) * p_.out + block.out + first) * plane + bands_.begin(band, 0) * p_.y[1] + bands_.begin(band, 1);
        const bool whole = cols == p_.y[1];
        for (int64_t r = 0; r < (whole ? 1 : rows); r++) {
          const int64_t n = whole ? rows * cols : cols;
          gemm::packPanel(to2, int(width), source + r * p_.y[1], plane, 1, int(have), n);
          to2 += n * width;
        }
      }
    }
  }

  static void add(T* to, const T* from, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += kLanes<T>) store(to + i, load(to + i) + load(from + i));
  }

  // Rows [row0, row1) of a finished tile into dw.
  void finish(const Block& block, const T* tile, int64_t row0, int64_t row1) const {
    const int64_t ldw = p_.in * p_.taps();
    turn(dw_ + (block.group * p_.out + block.out) * ldw + block.channel * p_.taps() + row0, ldw, tile + row0 * ldc_, ldc_, row1 - row0, block.outs);
  }

  const Problem& p_;
  const T *x_, *dy_;
  T* dw_;
  const Context& context_;
  Bands bands_;
  bool inPlace_ = false;
  int32_t* offset_ = nullptr;
  T* shared_ = nullptr;
  int64_t perChunk_, channelBlocks_, outBlocks_, imageGroups_, ldc_, segment_, tileSize_;
};

}  // namespace conv
}  // namespace GRAFT_ISA_NS
}  // namespace graft
