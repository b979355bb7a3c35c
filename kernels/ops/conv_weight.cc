// convWeight: dw [O, C/groups, kH, kW] from x [N, C, H, W] and dy [N, O, H', W']; attrs as for conv.
// 3x3 weights of many channels: conv_weight_winograd.h. Many output channels otherwise: conv_weight_product.h. Few: dw[o, c, k] is a dot product over all
// images and pixels of dy and x shifted by tap k. Both are laid out so that a shift is an address and the pixels are one run; the gaps between rows are zeros
// in dy. A block of dot products keeps its sums in registers as whole vectors, so neither operand is transposed and one input channel is as good as many.
// Images are summed in groups of fixed size, then the groups in order: same bits for any number of threads.
#include "conv_weight_product.h"
#include "conv_weight_winograd.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace conv {

constexpr int kDotRows = 4;
#if GRAFT_VEC_BYTES == 64 || defined(__ARM_NEON)
constexpr int kDotCols = 6;                  // 4 x 6 sums, 6 vectors of x and one of dy: 32 registers
#else
constexpr int kDotCols = 3;                  // 4 x 3 sums, 3 vectors of x and one of dy: 16 registers
#endif
constexpr int64_t kRun = 1024;               // pixels per run: adding up the lanes afterwards costs as much as about 60
constexpr int64_t kRowBlock = 64;            // output channels per task
constexpr int64_t kImageBytes = 128 << 10;   // of x per task, a quarter of L2; dy takes up to twice as much
constexpr int64_t kTasks = 32;               // wanted: so many images are not summed in one go where the weights alone give fewer tasks

// The sums of the lanes of four vectors: 16-byte pieces are added, what is left is transposed and added.
static inline void addLanes(const Vec<float>* v, float* sums) {
  float pieces[16], turned[16];
  for (int i = 0; i < 4; i++) {
    const float* const lanes = reinterpret_cast<const float*>(v + i);
    gemm::Quad sum = gemm::loadAs<gemm::Quad>(lanes);
    for (int h = 4; h < kLanes<float>; h += 4) sum += gemm::loadAs<gemm::Quad>(lanes + h);
    gemm::storeAs(pieces + 4 * i, sum);
  }
  gemm::transposeSquare(turned, 4, pieces, 4);
  gemm::storeAs(sums, (gemm::loadAs<gemm::Quad>(turned) + gemm::loadAs<gemm::Quad>(turned + 4)) + (gemm::loadAs<gemm::Quad>(turned + 8) + gemm::loadAs<gemm::Quad>(turned + 12)));
}
static inline void addLanes(const Vec<double>* v, double* sums) {
  for (int i = 0; i < 4; i++) {
    const double* const lanes = reinterpret_cast<const double*>(v + i);
    gemm::Pair sum = gemm::loadAs<gemm::Pair>(lanes);
    for (int h = 2; h < kLanes<double>; h += 2) sum += gemm::loadAs<gemm::Pair>(lanes + h);
    sums[i] = sum[0] + sum[1];
  }
}

// sums[j * 4 + i] = dot product of row i of dy and column j of x, both `segments` pieces of `length` elements (whole vectors).
template <class T, int MR>
static void dotBlock(const T* dy, int64_t dyRow, int64_t dySegment, const T* x, const int32_t* offset, int64_t xSegment, int64_t segments, int64_t length,
                     T* sums) {
  constexpr int L = kLanes<T>;
  Vec<T> sum[kDotCols][kDotRows];
#pragma GCC unroll 16
  for (int j = 0; j < kDotCols; j++)
#pragma GCC unroll 16
    for (int i = 0; i < kDotRows; i++) sum[j][i] = Vec<T>{};
  for (int64_t s = 0; s < segments; s++, dy += dySegment, x += xSegment) {
    for (int64_t k = 0; k < length; k += L) {
      Vec<T> column[kDotCols];
#pragma GCC unroll 16
      for (int j = 0; j < kDotCols; j++) column[j] = load(x + offset[j] + k);
#pragma GCC unroll 16
      for (int i = 0; i < MR; i++) {
        const Vec<T> row = load(dy + i * dyRow + k);
#pragma GCC unroll 16
        for (int j = 0; j < kDotCols; j++) sum[j][i] += row * column[j];
      }
    }
  }
#pragma GCC unroll 16
  for (int j = 0; j < kDotCols; j++) addLanes(sum[j], sums + j * kDotRows);
}

template <class T> using DotFn = void (*)(const T*, int64_t, int64_t, const T*, const int32_t*, int64_t, int64_t, int64_t, T*);
template <class T> static constexpr DotFn<T> kDotBlock[kDotRows] = {dotBlock<T, 1>, dotBlock<T, 2>, dotBlock<T, 3>, dotBlock<T, 4>};

template <class T> class WeightGradient {
 public:
  WeightGradient(const Problem& p, const T* x, const T* dy, T* dw, const Context& context)
      : p_(p), x_(x), dy_(dy), dw_(dw), context_(context), bands_(Bands::of(Axis::forward(p, 0), Axis::forward(p, 1), kRun, gemm::kCols<T>)) {}

  int run() {
    if (bands_.tooLarge) return rows::fail(context_, "convWeight", "the kernel reaches too far: its size times its dilation is too large");
    const int64_t perGroup = p_.out * p_.in * p_.taps(), size = p_.groups * perGroup;
    length_ = roundUp((bands_.size[0] - 1) * bands_.pitch + bands_.size[1], kLanes<T>);
    pieces_ = p_.batch * bands_.total();
    // A 1 x 1 convolution whose images are whole vectors is read where it is.
    inPlace_ = p_.taps() == 1 && p_.y[0] * p_.y[1] % kLanes<T> == 0;
    for (int d = 0; d < 2; d++) inPlace_ = inPlace_ && p_.stride[d] == 1 && p_.pad[d] == 0 && p_.y[d] == p_.x[d];
    if (inPlace_) length_ = p_.y[0] * p_.y[1], pieces_ = p_.batch;
    oneBand_ = bands_.total() == 1;
    perRun_ = larger(1, smaller(pieces_, kRun / length_));
    const int64_t channel = inPlace_ ? length_ : bands_.planes * bands_.plane;
    channelBlock_ = larger(1, smaller(p_.in, kImageBytes / int64_t(sizeof(T)) / (perRun_ * channel)));
    while (channelBlock_ > 1 && channelBlock_ * channel >= kLargest) channelBlock_ /= 2;
    columns_ = roundUp(channelBlock_ * p_.taps(), kDotCols);
    dyRow_ = roundUp(perRun_ * length_, 16) | 16;
    rowBlocks_ = ceilDiv(p_.out, kRowBlock), channelBlocks_ = ceilDiv(p_.in, channelBlock_);
    const int64_t blocks = p_.groups * rowBlocks_ * channelBlocks_, rowBlock = smaller(kRowBlock, p_.out);
    imageGroups_ = larger(1, smaller(ceilDiv(kTasks, blocks), ceilDiv(pieces_, perRun_)));

    const int64_t unit = int64_t(sizeof(T));
    xBytes_ = inPlace_ ? 0 : roundUp(perRun_ * channelBlock_ * channel * unit, 64), dyBytes_ = inPlace_ ? 0 : roundUp(rowBlock * dyRow_ * unit, 64);
    const int64_t local = xBytes_ + dyBytes_ + roundUp(rowBlock * columns_ * unit, 64);
    const int64_t tableBytes = roundUp(columns_ * 4, 64), partialBytes = imageGroups_ > 1 ? roundUp(imageGroups_ * size * unit, 64) : 0;
    char* const shared = static_cast<char*>(context_.scratch(context_.pool, 0, uint64_t(tableBytes + partialBytes + local)));
    if (!shared) return rows::fail(context_, "convWeight", "no memory for its working buffers");
    offset_ = reinterpret_cast<int32_t*>(shared);
    table();
    T* const result = imageGroups_ > 1 ? reinterpret_cast<T*>(shared + tableBytes) : dw_;
    bool failed = false;
    parallelFor(context_, imageGroups_ * blocks, 1, [&](int64_t from, int64_t to, int worker) {
      char* const own = worker == 0 ? shared + tableBytes + partialBytes : static_cast<char*>(context_.scratch(context_.pool, worker, uint64_t(local)));
      if (!own) return __atomic_store_n(&failed, true, __ATOMIC_RELAXED);
      if (oneBand_) memset(own, 0, size_t(xBytes_ + dyBytes_));
      for (int64_t t = from; t < to; t++) task(own, t / blocks, t % blocks, result + t / blocks * size);
    });
    if (failed) return rows::fail(context_, "convWeight", "no memory for its working buffers");
    if (imageGroups_ > 1) {
      parallelFor(context_, size, 1024, [&](int64_t from, int64_t to, int) {
        for (int64_t i = from; i < to; i++) {
          T sum = result[i];
          for (int64_t g = 1; g < imageGroups_; g++) sum += result[g * size + i];
          dw_[i] = sum;
        }
      });
    }
    return 0;
  }

 private:
  // Offsets of the columns (channel, tap) in x.
  void table() {
    int64_t n = 0;
    for (int64_t c = 0; c < channelBlock_; c++)
      for (int64_t kh = 0; kh < p_.kernel[0]; kh++)
        for (int64_t kw = 0; kw < p_.kernel[1]; kw++) offset_[n++] = int32_t(inPlace_ ? c * length_ : c * bands_.planes * bands_.plane + bands_.offset(kh, kw, 0, 0));
  }

  void task(char* memory, int64_t imageGroup, int64_t block, T* result) {
    const int64_t g = block / (rowBlocks_ * channelBlocks_), taps = p_.taps();
    const int64_t row0 = block / channelBlocks_ % rowBlocks_ * kRowBlock, rowCount = smaller(kRowBlock, p_.out - row0);
    const int64_t channel0 = block % channelBlocks_ * channelBlock_, channels = smaller(channelBlock_, p_.in - channel0), columns = channels * taps;
    T* const x = reinterpret_cast<T*>(memory);
    T* const dy = reinterpret_cast<T*>(memory + xBytes_);
    T* const sum = reinterpret_cast<T*>(memory + xBytes_ + dyBytes_);
    memset(sum, 0, size_t(rowCount * columns_) * sizeof(T));
    const gemm::Cut cut(pieces_, ceilDiv(pieces_, imageGroups_));
    if (imageGroup < cut.pieces) {
      for (int64_t from = cut.begin(imageGroup), end = cut.begin(imageGroup + 1); from < end; from += perRun_) {
        const int64_t count = smaller(perRun_, end - from);
        if (inPlace_) {
          const T* const dyHere = dy_ + ((from * p_.groups + g) * p_.out + row0) * length_;
          const T* const xHere = x_ + ((from * p_.groups + g) * p_.in + channel0) * length_;
          accumulate(sum, Operands{dyHere, length_, p_.groups * p_.out * length_, xHere, p_.groups * p_.in * length_}, count, rowCount, columns);
        } else {
          for (int64_t s = 0; s < count; s++) load(from + s, s, x, dy, g, row0, rowCount, channel0, channels);
          accumulate(sum, Operands{dy, dyRow_, length_, x, channelBlock_ * bands_.planes * bands_.plane}, count, rowCount, columns);
        }
      }
    }
    for (int64_t r = 0; r < rowCount; r++) memcpy(result + ((g * p_.out + row0 + r) * p_.in + channel0) * taps, sum + r * columns_, size_t(columns) * sizeof(T));
  }

  // Piece (image, band) of x and dy into segment s of the run.
  void load(int64_t piece, int64_t s, T* x, T* dy, int64_t g, int64_t row0, int64_t rowCount, int64_t channel0, int64_t channels) {
    const int64_t image = piece / bands_.total(), band = piece % bands_.total(), pixels = p_.y[0] * p_.y[1];
    fillPlanes(x + s * channelBlock_ * bands_.planes * bands_.plane, bands_, band, x_ + ((image * p_.groups + g) * p_.in + channel0) * p_.x[0] * p_.x[1], channels, !oneBand_);
    const int64_t top = bands_.begin(band, 0), left = bands_.begin(band, 1), height = bands_.extent(band, 0, 0), width = bands_.extent(band, 1, 0);
    const T* from = dy_ + ((image * p_.groups + g) * p_.out + row0) * pixels + top * p_.y[1] + left;
    for (int64_t r = 0; r < rowCount; r++, from += pixels) {
      T* const to = dy + r * dyRow_ + s * length_;
      if (!oneBand_) memset(to, 0, size_t(length_) * sizeof(T));
      for (int64_t i = 0; i < height; i++) copyRow(to + i * bands_.pitch, from + i * p_.y[1], width, 1);
    }
  }

  struct Operands {
    const T* dy;
    int64_t dyRow, dySegment;
    const T* x;
    int64_t xSegment;
  };

  void accumulate(T* sum, const Operands& at, int64_t segments, int64_t rowCount, int64_t columns) {
    T part[kDotCols * kDotRows];
    for (int64_t r = 0; r < rowCount; r += kDotRows) {
      const int64_t height = smaller(kDotRows, rowCount - r);
      for (int64_t c = 0; c < columns; c += kDotCols) {
        int32_t offset[kDotCols];   // columns that do not exist repeat one that does
        for (int64_t j = 0; j < kDotCols; j++) offset[j] = offset_[c + j < columns ? c + j : c];
        kDotBlock<T>[height - 1](at.dy + r * at.dyRow, at.dyRow, at.dySegment, at.x, offset, at.xSegment, segments, length_, part);
        for (int64_t i = 0; i < height; i++)
          for (int64_t j = 0; j < kDotCols; j++) sum[(r + i) * columns_ + c + j] += part[j * kDotRows + i];
      }
    }
  }

  const Problem& p_;
  const T *x_, *dy_;
  T* dw_;
  const Context& context_;
  const Bands bands_;
  bool inPlace_ = false, oneBand_ = false;   // with one band the zeros between the pixels lie at the same places for all images and channels: written once
  int32_t* offset_ = nullptr;
  int64_t length_, pieces_, perRun_, channelBlock_, columns_, dyRow_, rowBlocks_, channelBlocks_, imageGroups_, xBytes_, dyBytes_;
};

template <class T> static int weightGradient(const Problem& p, const Step& step, const Context& context) {
  const T *const x = static_cast<const T*>(step.in[0].data), *const dy = static_cast<const T*>(step.in[1].data);
  T* const dw = static_cast<T*>(step.out[0].data);
  TileWeightGradient<T> tiles(p, x, dy, dw, context);
  if (tiles.applies()) return tiles.run();
  WeightProduct<T> product(p, x, dy, dw, context);
  return product.suits() ? product.run() : WeightGradient<T>(p, x, dy, dw, context).run();
}

}  // namespace conv

static int runConvWeight(const Step& step, const Context& context) {
  conv::Problem p;
  if (step.inCount != 2 || step.outCount != 1 || step.program) return rows::fail(context, "convWeight", "needs two inputs, one output and no program");
  const View &x = step.in[0], &dy = step.in[1], &dw = step.out[0];
  if (!conv::describe(p, step, x, dw, dy, dw) || dw.dtype != x.dtype || !rows::packed(dw)) return rows::fail(context, "convWeight", "the shapes, dtypes and attributes do not fit");
  if (rows::sizeOf(dw) == 0) return 0;
  return x.dtype == DType::F32 ? conv::weightGradient<float>(p, step, context) : conv::weightGradient<double>(p, step, context);
}

}  // namespace GRAFT_ISA_NS
}  // namespace graft
