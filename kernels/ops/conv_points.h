// The convolution and its data gradient as a product of points and weights: rows are the lattice points of several images or of a band, columns result
// channels, the inner sum runs over (channel, tap). For images whose rows do not fill vectors: vectors lie across channels here (conv_shifted.h), at the
// price of transposing the weights, which enough points pay for, and the result.
#pragma once
#include "conv_output.h"
#include "conv_recipe.h"
#include "conv_shifted.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace conv {

template <class T> class PointProduct {
 public:
  static constexpr int64_t kPoints = 512;         // per task: they share the transposed weights
  static constexpr int64_t kColumns = 64;         // result channels per task
  static constexpr int64_t kShareBytes = 8 << 20;     // of planes that are filled once for the tasks of all columns, otherwise
  static constexpr int64_t kImageBytes = 192 << 10;   // of planes per task

  PointProduct(Recipe<T>& recipe, const Problem& p, const T* image, const T* w, const Target& target, const Context& context)
      : r_(recipe), image_(image), w_(w), target_(target), context_(context), batch_(p.batch) {}

  int run() {
    const Bands& b = r_.bands;
    const int64_t unit = int64_t(sizeof(T)), L = kLanes<T>;
    points_ = b.size[0] * b.size[1];
    images_ = b.total() > 1 ? 1 : larger(1, smaller(batch_, kPoints / points_));
    inPlace_ = r_.bands.readInPlace(images_ * r_.groups * r_.channels);
    const gemm::Cut columns(ceilDiv(r_.rows, L), kColumns / L);
    const int64_t plane = b.planes * b.plane, pieces = batch_ * b.total() * r_.groups, everything = roundUp(pieces * r_.channels * plane * unit, 64);
    const bool shares = !inPlace_ && columns.pieces > 1 && everything <= kShareBytes, own = !inPlace_ && !shares;
    if (own) images_ = larger(1, smaller(images_, kImageBytes / unit / (r_.chunk * plane)));
    imageStride_ = own ? r_.chunk * plane : r_.groups * r_.channels * plane;
    ldc_ = (columns.begin(1) * L) | 16, block_ = images_ * points_ * ldc_;
    final_ = points_ * b.axis[0].phases * b.axis[1].phases;
    viaBlock_ = !target_.direct() || r_.phases > 1 || b.count[1] > 1;
    int64_t at = 0;
    const auto reserve = [&](int64_t bytes) { const int64_t begin = at; at += roundUp(bytes, 64); return begin; };
    const int64_t rowsAt = reserve(images_ * points_ * 4), planesAt = reserve(own ? images_ * imageStride_ * unit : 0);
    const int64_t weightBytes = r_.chunk * r_.taps * columns.begin(1) * L * unit, weightsAt = reserve(weightBytes), selectedAt = reserve(r_.phases > 1 ? weightBytes : 0);
    const int64_t tileAt = reserve(r_.phases * block_ * unit), blockAt = reserve(viaBlock_ ? ldc_ * (final_ + (r_.phases > 1 ? points_ * r_.phaseCount[1] : 0)) * unit : 0);
    const int64_t runnerAt = reserve(target_.memoryBytes());
    const int64_t sharedBytes = r_.tableBytes() + (shares ? everything : 0);
    char* const shared = static_cast<char*>(context_.scratch(context_.pool, 0, uint64_t(sharedBytes + at)));
    if (!shared) return rows::fail(context_, "conv", "no memory for its working buffers");
    r_.tables(shared);
    if (shares) fillAll(reinterpret_cast<T*>(shared + r_.tableBytes()), pieces);
    bool failed = false;
    const int64_t tasks = ceilDiv(batch_, images_) * b.total() * r_.groups * columns.pieces;
    parallelFor(context_, tasks, 1, [&](int64_t from, int64_t to, int worker) {
      char* const own = worker == 0 ? shared + sharedBytes : static_cast<char*>(context_.scratch(context_.pool, worker, uint64_t(at)));
      if (!own) return __atomic_store_n(&failed, true, __ATOMIC_RELAXED);
      const auto place = [=](int64_t begin) { return reinterpret_cast<T*>(own + begin); };
      const Memory memory{reinterpret_cast<int32_t*>(own + rowsAt), place(planesAt), place(weightsAt), place(selectedAt), place(tileAt), place(blockAt)};
      target_.withRunner(own + runnerAt, [&](ProgramRunner* runner) {
        for (int64_t t = from; t < to; t++) {
          const int64_t c = t % columns.pieces, group = t / columns.pieces % r_.groups, piece = t / columns.pieces / r_.groups, first = columns.begin(c) * L;
          task(memory, runner, piece / b.total() * images_, piece % b.total(), group, first, smaller(r_.rows, columns.begin(c + 1) * L) - first);
        }
      });
    });
    return failed ? rows::fail(context_, "conv", "no memory for its working buffers") : 0;
  }

 private:
  struct Memory {
    int32_t* rows;
    T *planes, *weights, *selected, *tile, *block;
  };

  // Planes that all tasks read: [band][image][group][channel], or the image itself.
  template <class P> P* planesOf(P* all, int64_t band, int64_t image, int64_t group, int64_t chunk) const {
    return all + (((band * batch_ + image) * r_.groups + group) * r_.channels + chunk * r_.chunk) * r_.bands.planes * r_.bands.plane;
  }
  void fill(T* planes, int64_t band, int64_t image, int64_t group, int64_t chunk) const {
    const Bands& b = r_.bands;
    fillPlanes(planes, b, band, image_ + ((image * r_.groups + group) * r_.channels + chunk * r_.chunk) * b.axis[0].image * b.axis[1].image, r_.chunkSize(chunk));
  }
  void fillAll(T* all, int64_t pieces) {
    shared_ = all;
    parallelFor(context_, pieces * r_.chunks(), larger(1, 4096 / (r_.chunk * points_)), [&](int64_t from, int64_t to, int) {
      for (int64_t t = from; t < to; t++) {
        const int64_t chunk = t % r_.chunks(), group = t / r_.chunks() % r_.groups, image = t / r_.chunks() / r_.groups % batch_, band = t / r_.chunks() / r_.groups / batch_;
        fill(planesOf(all, band, image, group, chunk), band, image, group, chunk);
      }
    });
  }

  void task(const Memory& m, ProgramRunner* runner, int64_t image0, int64_t band, int64_t group, int64_t channel0, int64_t channels) const {
    const Bands& b = r_.bands;
    const int64_t images = smaller(images_, batch_ - image0);
    const int64_t height = b.extent(band, 0, 0), width = b.extent(band, 1, 0), points = height * width;
    for (int64_t i = 0, n = 0; i < images; i++)
      for (int64_t r = 0; r < height; r++)
        for (int64_t c = 0; c < width; c++) m.rows[n++] = int32_t(i * imageStride_ + r * b.pitch + c);
    for (int64_t n = 0; n < r_.chunks(); n++) {
      const T* const planes = inPlace_ ? planesOf(image_, 0, image0, group, n) + b.start(band) : shared_ ? planesOf(shared_, band, image0, group, n) : m.planes;
      for (int64_t i = 0; i < images && planes == m.planes; i++) fill(m.planes + i * imageStride_, band, image0 + i, group, n);
      r_.packTurned(m.weights, w_, group, n, channel0, channels);
      for (int64_t f = 0; f < r_.phases; f++) {
        const bool all = r_.reach(f) == r_.taps;
        if (!all) r_.select(m.selected, m.weights, f, n, channels);
        multiplyShifted(m.tile + f * block_, ldc_, planes, m.rows, images * points, r_.offset + r_.begin[f] * r_.chunk, r_.chunkSize(n) * r_.reach(f), all ? m.weights : m.selected,
                        gemm::Cut(ceilDiv(channels, kLanes<T>), gemm::kVecs), n > 0);
      }
    }
    for (int64_t i = 0; i < images; i++) finish(m, runner, image0 + i, band, group * r_.rows + channel0, channels, m.tile + i * points * ldc_, height, width);
  }

  // The points of one image and band into the result.
  void finish(const Memory& m, ProgramRunner* runner, int64_t image, int64_t band, int64_t channel, int64_t channels, const T* tile, int64_t height, int64_t width) const {
    const Bands& b = r_.bands;
    const int64_t stepRow = b.axis[0].phases, stepCol = b.axis[1].phases, top = b.begin(band, 0) * stepRow, left = b.begin(band, 1) * stepCol;
    if (!viaBlock_) return turn(static_cast<T*>(target_.direct()) + target_.pixel(image, channel, top, left), target_.height() * target_.width(), tile, ldc_, height * width, channels);
    const int64_t rows = smaller(target_.height() - top, height * stepRow), cols = smaller(target_.width() - left, width * stepCol);
    if (r_.phases == 1) {
      turn(m.block, height * width, tile, ldc_, height * width, channels);
    } else {
      const int64_t size = height * width, phases = r_.phaseCount[1];
      T* const turned = m.block + ldc_ * final_;   // [column phase][channel][point]
      for (int64_t fh = 0; fh < r_.phaseCount[0]; fh++) {
        for (int64_t fw = 0; fw < phases; fw++) turn(turned + fw * channels * size, size, tile + (fh * phases + fw) * block_, ldc_, size, channels);
        const int64_t count = b.extent(band, 0, fh);
        for (int64_t c = 0; c < channels; c++)
          for (int64_t r = 0; r < count; r++)
            joinRow(m.block + (c * rows + r * stepRow + fh) * cols, cols, stepCol, phases, [&](int64_t fw) { return turned + (fw * channels + c) * size + r * width; });
      }
    }
    target_.write(runner, image, channel, channels, top, rows, left, cols, m.block, rows * cols, cols);
  }

  Recipe<T>& r_;
  const T *image_, *w_;
  const Target& target_;
  const Context& context_;
  const int64_t batch_;
  T* shared_ = nullptr;
  int64_t points_, images_, imageStride_, ldc_, block_, final_;
  bool viaBlock_, inPlace_;
};

}  // namespace conv
}  // namespace GRAFT_ISA_NS
}  // namespace graft
