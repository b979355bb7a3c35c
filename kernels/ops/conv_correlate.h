// The convolution and its data gradient as a product of packed weights and planes (implicit GEMM): rows are result channels, columns lattice points,
// the inner sum runs over (channel, tap). Nothing like an im2col buffer exists: the micro-kernel reads the planes at a table of offsets.
#pragma once
#include "conv_output.h"
#include "conv_points.h"
#include "conv_single.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace conv {

constexpr int64_t kPanels = 16;              // panels of weights per block
constexpr int64_t kPoints = 384;             // lattice points per band, and where the inner sum is short,
constexpr int64_t kShort = 64;               // so that the program takes longer than the product,
constexpr int64_t kShortPoints = 896;        // longer bands, of which
constexpr int64_t kShortTile = 20 << 10;     // as many rows are finished at a time as stay in L1
constexpr double kPointsShare = 0.9;          // of the peak, which a product of points reaches
constexpr double kTaskWork = 1 << 18;        // multiply-adds that are worth handing to another thread

// One or two rows alone (depthwise convolution) take more vectors at once than gemm::kVecs, so that enough sums are under way.
constexpr int kThinRows = 2, kThinVecs = 8;
template <class T, int MR, int NV> struct MakeThin {
  static void run(int64_t K, const T* a, const T* b, const int32_t* offset, T* c, int64_t ldc, int tail, bool add) {
    gemm::block<T, MR, NV, false>(K, gemm::PackedA<T, MR>{a}, gemm::TapsB<T>{b, offset}, c, ldc, tail, add);
  }
};
template <class T> static constexpr gemm::TapsFn<T> kThinBlock[kThinRows][kThinVecs] = {
    {MakeThin<T, 1, 1>::run, MakeThin<T, 1, 2>::run, MakeThin<T, 1, 3>::run, MakeThin<T, 1, 4>::run,
     MakeThin<T, 1, 5>::run, MakeThin<T, 1, 6>::run, MakeThin<T, 1, 7>::run, MakeThin<T, 1, 8>::run},
    {MakeThin<T, 2, 1>::run, MakeThin<T, 2, 2>::run, MakeThin<T, 2, 3>::run, MakeThin<T, 2, 4>::run}};

// c[row, point] (+)= weights * planes for `height` x `width` points whose rows are `pitch` apart in the planes and `width` apart in c.
// Where nothing is accumulated, a row's last vector is stored whole: the next rows then overwrite what is too much.
template <class T>
static void multiplyRows(T* c, int64_t ldc, int64_t height, int64_t width, const gemm::Cut& panels, int64_t panel0, int64_t panel1, int64_t K,
                         const T* weights, const T* planes, int64_t pitch, const int32_t* offset, bool add, bool exact) {
  constexpr int L = kLanes<T>;
  const bool thin = panels.units <= kThinRows;
  const gemm::Cut vectors(ceilDiv(width, L), thin ? kThinVecs / panels.units : gemm::kVecs);
  const int64_t row0 = panels.begin(panel0);
  for (int64_t r = 0; r < height; r++) {
    for (int64_t j = 0; j < vectors.pieces; j++) {
      const int64_t v = vectors.begin(j), nv = vectors.begin(j + 1) - v, col = v * L, rest = width - (col + (nv - 1) * L);
      const int tail = rest >= L || (!exact && (height - 1 - r) * width >= L - rest) ? L : int(rest);
      for (int64_t i = panel0; i < panel1; i++) {
        const int64_t row = panels.begin(i), mr = panels.begin(i + 1) - row;
        const gemm::TapsFn<T> block = thin ? kThinBlock<T>[mr - 1][nv - 1] : gemm::kTapsBlock<T>.fn[mr - 1][nv - 1];
        block(K, weights + row * K, planes + r * pitch + col, offset, c + (row - row0) * ldc + r * width + col, ldc, tail, add);
      }
    }
  }
}

template <class T> class Correlation {
 public:
  Correlation(const Problem& p, bool isData, const T* image, const T* w, const Target& target, const Context& context)
      : r_(p, isData, stepsOf(p, isData) < kShort ? kShortPoints : kPoints), image_(image), w_(w), target_(target), context_(context), p_(p), batch_(p.batch), steps_(stepsOf(p, isData)) {
    pixels_ = r_.bands.axis[0].image * r_.bands.axis[1].image;
  }

  int run() {
    if (r_.bands.tooLarge) return rows::fail(context_, "conv", "the kernel reaches too far: its size times its dilation is too large");
    const gemm::Cut panels = r_.panels();
    // A block of rows is some of the panels of one group, or all rows of several groups.
    blocksPerGroup_ = larger(1, ceilDiv(panels.pieces, kPanels));
    groupsPerBlock_ = blocksPerGroup_ > 1 ? 1 : larger(1, smaller(r_.groups, kPanels * gemm::kRows / r_.rows));
    const int64_t blocks = blocksPerGroup_ > 1 ? r_.groups * blocksPerGroup_ : ceilDiv(r_.groups, groupsPerBlock_);
    const Bands& b = r_.bands;
    const double byRow = rowCost(b.size[1]) * double(b.size[0]), byPlane = rowCost((b.size[0] - 1) * b.pitch + b.size[1]);
    byRow_ = byRow <= byPlane * 1.05 || steps_ < kShort;
    tileRow_ = roundUp(byRow_ ? b.size[0] * b.size[1] : (b.size[0] - 1) * b.pitch + b.size[1], kLanes<T>);
    if (suitsPoints(byRow_ ? byRow : byPlane)) return PointProduct<T>(r_, p_, image_, w_, target_, context_).run();
    tileRows_ = blocksPerGroup_ > 1 ? smaller(r_.rows, kPanels * gemm::kRows) : groupsPerBlock_ * r_.rows;
    const bool direct = target_.direct() && byRow_ && r_.phases == 1;
    panelsAtOnce_ = panels.pieces;
    if (!direct && steps_ < kShort && r_.chunks() == 1 && r_.phases == 1 && groupsPerBlock_ == 1) {
      panelsAtOnce_ = larger(1, kShortTile / (gemm::kRows * tileRow_ * int64_t(sizeof(T))));
      tileRows_ = smaller(tileRows_, panelsAtOnce_ * gemm::kRows);
    }
    const bool maySingle = byRow_ && r_.rows == 1 && r_.channels == 1;
    singlesAtOnce_ = maySingle ? larger(1, smaller(groupsPerBlock_, kSinglePlanes / (b.planes * b.plane * int64_t(sizeof(T))))) : 1;
    planesBytes_ = roundUp(larger(r_.chunk, singlesAtOnce_) * b.planes * b.plane * int64_t(sizeof(T)), 64);
    tileBytes_ = direct ? 0 : roundUp(tileRows_ * tileRow_ * r_.phases * int64_t(sizeof(T)), 64);
    finalBytes_ = r_.phases == 1 || target_.direct() ? 0 : roundUp(tileRows_ * b.size[0] * b.axis[0].phases * b.size[1] * b.axis[1].phases * int64_t(sizeof(T)), 64);
    const int64_t local = planesBytes_ + tileBytes_ + finalBytes_ + target_.memoryBytes();
    char* const shared = static_cast<char*>(context_.scratch(context_.pool, 0, uint64_t(r_.bytes() + local)));
    if (!shared) return rows::fail(context_, "conv", "no memory for its working buffers");
    r_.tables(shared);
    single_ = maySingle && columns_.read(r_);
    r_.pack(w_, context_);
    const double work = double(r_.groups * r_.rows) / double(blocks) * double(b.size[0] * b.size[1]) * double(r_.phases) * double(steps_ + 1);
    const int64_t grain = work >= kTaskWork ? 1 : int64_t(kTaskWork / (work + 1)) + 1;
    bool failed = false;
    parallelFor(context_, batch_ * b.total() * blocks, grain, [&](int64_t from, int64_t to, int worker) {
      char* const own = worker == 0 ? shared + r_.bytes() : static_cast<char*>(context_.scratch(context_.pool, worker, uint64_t(local)));
      if (!own) return __atomic_store_n(&failed, true, __ATOMIC_RELAXED);
      Filled filled;
      target_.withRunner(own + planesBytes_ + tileBytes_ + finalBytes_, [&](ProgramRunner* runner) {
        for (int64_t t = from; t < to; t++) task(own, filled, runner, t / blocks / b.total(), t / blocks % b.total(), t % blocks);
      });
    });
    return failed ? rows::fail(context_, "conv", "no memory for its working buffers") : 0;
  }

 private:
  // Whose planes a worker's memory holds.
  struct Filled { int64_t band = -1, channels = 0; };

  // Length of the inner sum; of an average phase for the data gradient.
  static int64_t stepsOf(const Problem& p, bool isData) {
    return isData ? p.out * p.taps() / larger(1, smaller(p.taps(), p.stride[0] * p.stride[1])) : p.in * p.taps();
  }

  // Of a row of points under one panel of weights, in units of one multiply-add instruction: short blocks wait for their own sums (latency 4, two per
  // cycle), narrow ones for their loads, of which those of the pixels mostly cross a cache line.
  double rowCost(int64_t width) const {
    const gemm::Cut vectors(ceilDiv(width, kLanes<T>), r_.rows <= kThinRows ? kThinVecs / r_.rows : gemm::kVecs);
    double cost = 0;
    for (int64_t j = 0; j < vectors.pieces; j++) {
      const double nv = double(vectors.begin(j + 1) - vectors.begin(j));
      cost += most(8, panelRows() * nv, panelRows() + 2 * nv);
    }
    return cost;
  }
  double panelRows() const { return double(r_.rows) / double(r_.panels().pieces); }
  static double most(double a, double b, double c) { return a > b ? (a > c ? a : c) : (b > c ? b : c); }

  // Whether rows of points waste so much of their vectors that vectors across the channels are better.
  bool suitsPoints(double cost) const {
    const Bands& b = r_.bands;
    const double ideal = double(b.size[0] * b.size[1]) / double(kLanes<T>) * panelRows(), filled = double(r_.rows) / double(roundUp(r_.rows, kLanes<T>));
    return steps_ >= kShort && r_.rows >= 2 * kLanes<T> && ideal < kPointsShare * filled * cost;
  }

  void task(char* memory, Filled& filled, ProgramRunner* runner, int64_t image, int64_t band, int64_t block) {
    const Bands& b = r_.bands;
    const gemm::Cut panels = r_.panels();
    int64_t group0 = block / blocksPerGroup_, group1 = group0 + 1, panel0 = 0, panel1 = panels.pieces;
    if (blocksPerGroup_ > 1) {
      const gemm::Cut cut(panels.pieces, ceilDiv(panels.pieces, blocksPerGroup_));
      panel0 = cut.begin(block % blocksPerGroup_), panel1 = cut.begin(block % blocksPerGroup_ + 1);
    } else {
      group0 = block * groupsPerBlock_, group1 = smaller(r_.groups, group0 + groupsPerBlock_);
    }
    for (int64_t panel = panel0; panel < panel1; panel += panelsAtOnce_)
      finish(memory, filled, runner, image, band, group0, group1, panel, smaller(panel1, panel + panelsAtOnce_), panel == panel0);
  }

  void finish(char* memory, Filled& filled, ProgramRunner* runner, int64_t image, int64_t band, int64_t group0, int64_t group1, int64_t panel0, int64_t panel1, bool isFirst) {
    const Bands& b = r_.bands;
    T* const planes = reinterpret_cast<T*>(memory);
    T* const tile = reinterpret_cast<T*>(memory + planesBytes_);
    const gemm::Cut panels = r_.panels();
    const int64_t row0 = panels.begin(panel0), height = panels.begin(panel1) - row0, first = group0 * r_.rows + row0;
    const int64_t top = b.begin(band, 0), left = b.begin(band, 1), rows = b.extent(band, 0, 0), cols = b.extent(band, 1, 0);
    const bool direct = tileBytes_ == 0;
    T* const c = direct ? static_cast<T*>(target_.direct()) + target_.pixel(image, first, top, left) : tile;
    const int64_t ldc = direct ? target_.height() * target_.width() : tileRow_;
    if (single_) singles(c, ldc, planes, filled, image, band, group0, group1);
    else for (int64_t g = group0; g < group1; g++) product(c + (g - group0) * height * ldc, ldc, planes, filled, image, band, g, panel0, panel1, isFirst);
    if (direct) return;
    const int64_t channels = height * (group1 - group0);
    if (r_.phases == 1) target_.write(runner, image, first, channels, top, rows, left, cols, tile, tileRow_, byRow_ ? cols : b.pitch);
    else interleave(runner, image, first, channels, band, tile, reinterpret_cast<T*>(memory + planesBytes_ + tileBytes_));
  }

  // Groups of one channel and one row each.
  void singles(T* c, int64_t ldc, T* planes, Filled& filled, int64_t image, int64_t band, int64_t group0, int64_t group1) {
    const Bands& b = r_.bands;
    for (int64_t g = group0; g < group1; g += singlesAtOnce_) {
      const int64_t count = smaller(singlesAtOnce_, group1 - g);
      fill(planes, filled, band, image_ + (image * r_.groups + g) * pixels_, count);
      for (int64_t f = 0; f < r_.phases; f++) {
        const int64_t rows = b.extent(band, 0, f / r_.phaseCount[1]), cols = b.extent(band, 1, f % r_.phaseCount[1]);
        if (rows == 0 || cols == 0) continue;
        for (int64_t i = 0; i < count; i++)
          multiplySingle(c + (g - group0 + i) * ldc + f * tileRows_ * tileRow_, rows, cols, columns_.column + columns_.begin[f], columns_.begin[f + 1] - columns_.begin[f],
                         r_.packed(g + i, f, 0), planes + i * b.planes * b.plane, b.pitch);
      }
    }
  }

  void fill(T* planes, Filled& filled, int64_t band, const T* source, int64_t channels) {
    const bool same = band == filled.band;
    fillPlanes(planes, r_.bands, band, source, channels, !same || channels > filled.channels);
    filled = {band, same ? larger(channels, filled.channels) : channels};
  }

  void product(T* c, int64_t ldc, T* planes, Filled& filled, int64_t image, int64_t band, int64_t group, int64_t panel0, int64_t panel1, bool isFirst) {
    const Bands& b = r_.bands;
    const gemm::Cut panels = r_.panels();
    const bool several = r_.chunks() > 1;
    const T* const source = image_ + (image * r_.groups + group) * r_.channels * pixels_;
    for (int64_t n = 0; n < r_.chunks() || n == 0; n++) {
      const int64_t count = r_.channels == 0 ? 0 : r_.chunkSize(n);
      if (count > 0 && isFirst) fill(planes, filled, band, source + n * r_.chunk * pixels_, count);
      for (int64_t f = 0; f < r_.phases; f++) {
        const int64_t rows = b.extent(band, 0, f / r_.phaseCount[1]), cols = b.extent(band, 1, f % r_.phaseCount[1]), K = count * r_.reach(f);
        if (rows == 0 || cols == 0) continue;
        const T* const weights = r_.packed(group, f, n);
        const int32_t* const offset = r_.offset + r_.begin[f] * r_.chunk;
        T* const to = c + f * tileRows_ * tileRow_;
        if (byRow_) multiplyRows(to, ldc, rows, cols, panels, panel0, panel1, K, weights, planes, b.pitch, offset, n > 0, several);
        else multiplyRows(to, ldc, 1, (rows - 1) * b.pitch + cols, panels, panel0, panel1, K, weights, planes, 0, offset, n > 0, true);
      }
    }
  }

  // The points of all phases back into one image.
  void interleave(ProgramRunner* runner, int64_t image, int64_t first, int64_t channels, int64_t band, const T* tile, T* block) {
    const Bands& b = r_.bands;
    const int64_t stepRow = b.axis[0].phases, stepCol = b.axis[1].phases, top = b.begin(band, 0) * stepRow, left = b.begin(band, 1) * stepCol;
    const int64_t rows = smaller(target_.height() - top, b.size[0] * stepRow), cols = smaller(target_.width() - left, b.size[1] * stepCol);
    T* const to = finalBytes_ ? block : static_cast<T*>(target_.direct()) + target_.pixel(image, first, top, left);
    const int64_t channelStride = finalBytes_ ? rows * cols : target_.height() * target_.width(), rowStride = finalBytes_ ? cols : target_.width();
    const int64_t width = b.extent(band, 1, 0), longer = cols - (width - 1) * stepCol;   // the first `longer` column phases have a point more than the others
    for (int64_t fh = 0; fh < r_.phaseCount[0]; fh++) {
      const int64_t height = b.extent(band, 0, fh), phase = fh * r_.phaseCount[1];
      for (int64_t c = 0; c < channels; c++)
        for (int64_t i = 0; i < height; i++)
          joinRow(to + c * channelStride + (i * stepRow + fh) * rowStride, cols, stepCol, r_.phaseCount[1], [&](int64_t fw) {
            return tile + ((phase + fw) * tileRows_ + c) * tileRow_ + i * (byRow_ ? width - (fw >= longer) : b.pitch);
          });
    }
    if (finalBytes_) target_.write(runner, image, first, channels, top, rows, left, cols, block, channelStride, rowStride);
  }

  Recipe<T> r_;
  const T* image_;
  const T* w_;
  const Target& target_;
  const Context& context_;
  const Problem& p_;
  int64_t batch_, steps_, pixels_, blocksPerGroup_, groupsPerBlock_, panelsAtOnce_, tileRow_, tileRows_, planesBytes_, tileBytes_, finalBytes_, singlesAtOnce_;
  bool byRow_, single_ = false;
  Columns columns_;
};

}  // namespace conv
}  // namespace GRAFT_ISA_NS
}  // namespace graft
