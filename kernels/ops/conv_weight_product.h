// The weight gradient of many channels on small images as a product: dw[o, (c, tap)] = sum over (image, pixel) of dy[o, pixel] x[c, pixel + tap]. Rows of
// such images are shorter than a few vectors, so sums along them (conv_weight.cc) would mostly add gaps; with many output channels laying x out once per
// task costs little beside the product.
#pragma once
#include "conv_planes.h"
#include "gemm_pack.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace conv {

template <class T> class WeightProduct {
 public:
  static constexpr int64_t kPixels = 256;         // of an image at most
  static constexpr int64_t kLeastRows = 128;      // output channels from which laying out x pays
  static constexpr int64_t kLeastColumns = 48;    // of (channel, tap)
  static constexpr int64_t kColumnBytes = 128 << 10;   // of x per task
  static constexpr int64_t kRowPanels = 16;       // panels of dy that stay in L2 while the panels of x pass by

  WeightProduct(const Problem& p, const T* x, const T* dy, T* dw, const Context& context)
      : p_(p), x_(x), dy_(dy), dw_(dw), context_(context), bands_(Bands::of(Axis::forward(p, 0), Axis::forward(p, 1), kPixels * 4, gemm::kCols<T>)), pixels_(p.y[0] * p.y[1]) {}

  bool suits() const { return p_.out >= kLeastRows && p_.in * p_.taps() >= kLeastColumns && pixels_ >= 1 && pixels_ <= kPixels && p_.batch > 0 && !bands_.tooLarge && bands_.total() == 1; }

  int run() {
    chunk_ = smaller(p_.batch, larger(1, kPixels / pixels_));
    const int64_t steps = chunk_ * pixels_, taps = p_.taps(), unit = int64_t(sizeof(T));
    const gemm::Cut blocks(p_.in, larger(1, smaller(p_.in, kColumnBytes / unit / (steps * taps))));
    const int64_t columns = blocks.begin(1) * taps;
    planeBytes_ = roundUp(blocks.begin(1) * bands_.planes * bands_.plane * unit, 64);
    columnBytes_ = roundUp(columns * steps * unit, 64);
    const int64_t local = planeBytes_ + columnBytes_ + roundUp(roundUp(columns, kLanes<T>) * steps * unit, 64);
    const int64_t dyBytes = roundUp(p_.groups * p_.out * p_.batch * pixels_ * unit, 64);
    char* const shared = static_cast<char*>(context_.scratch(context_.pool, 0, uint64_t(dyBytes + local)));
    if (!shared) return rows::fail(context_, "convWeight", "no memory for its working buffers");
    packed_ = reinterpret_cast<T*>(shared);
    pack();
    bool failed = false;
    parallelFor(context_, p_.groups * blocks.pieces, 1, [&](int64_t from, int64_t to, int worker) {
      char* const own = worker == 0 ? shared + dyBytes : static_cast<char*>(context_.scratch(context_.pool, worker, uint64_t(local)));
      if (!own) return __atomic_store_n(&failed, true, __ATOMIC_RELAXED);
      for (int64_t t = from; t < to; t++) task(own, t / blocks.pieces, blocks.begin(t % blocks.pieces), blocks.begin(t % blocks.pieces + 1));
    });
    return failed ? rows::fail(context_, "convWeight", "no memory for its working buffers") : 0;
  }

 private:
  // dy of a group and a chunk of images: [panel of rows][image, pixel][row]
  T* panelsOf(int64_t group, int64_t image) const { return packed_ + (group * p_.batch + image) * p_.out * pixels_; }
  int64_t chunkOf(int64_t image) const { return smaller(chunk_, p_.batch - image); }

  void pack() {
    const gemm::Cut panels(p_.out, gemm::kRows);
    parallelFor(context_, p_.groups * panels.pieces, 1, [&](int64_t from, int64_t to, int) {
      for (int64_t t = from; t < to; t++) {
        const int64_t g = t / panels.pieces, row = panels.begin(t % panels.pieces), height = panels.begin(t % panels.pieces + 1) - row;
        for (int64_t image = 0; image < p_.batch; image++) {
          const int64_t first = image / chunk_ * chunk_, steps = chunkOf(first) * pixels_;
          T* const dst = panelsOf(g, first) + row * steps + (image - first) * pixels_ * height;
          gemm::packPanel(dst, int(height), dy_ + ((image * p_.groups + g) * p_.out + row) * pixels_, pixels_, 1, int(height), pixels_);
        }
      }
    });
  }

  void task(char* memory, int64_t group, int64_t channel0, int64_t channel1) {
    T* const planes = reinterpret_cast<T*>(memory);
    T* const columns = reinterpret_cast<T*>(memory + planeBytes_);
    T* const packed = reinterpret_cast<T*>(memory + planeBytes_ + columnBytes_);
    const int64_t count = (channel1 - channel0) * p_.taps();
    for (int64_t image = 0; image < p_.batch; image += chunk_) {
      const int64_t images = chunkOf(image), steps = images * pixels_;
      for (int64_t i = 0; i < images; i++) {
        fillPlanes(planes, bands_, 0, x_ + (((image + i) * p_.groups + group) * p_.in + channel0) * p_.x[0] * p_.x[1], channel1 - channel0);
        layOut(columns + i * pixels_, steps, planes, channel1 - channel0);
      }
      gemm::packB(packed, steps, 0, gemm::Operand{columns, sizeof(T) == 8 ? DType::F64 : DType::F32, steps, 1}, 0, count, 0, steps);
      multiply(panelsOf(group, image), packed, group, channel0, count, steps, image > 0);
    }
  }

  // The pixels under every (channel, tap), one row of `steps` for each.
  void layOut(T* to, int64_t steps, const T* planes, int64_t channels) const {
    const int64_t height = p_.y[0], width = p_.y[1];
    for (int64_t c = 0; c < channels; c++) {
      for (int64_t kh = 0; kh < p_.kernel[0]; kh++) {
        for (int64_t kw = 0; kw < p_.kernel[1]; kw++, to += steps) {
          const T* const from = planes + c * bands_.planes * bands_.plane + bands_.offset(kh, kw, 0, 0);
          for (int64_t r = 0; r < height; r++) copyRow(to + r * width, from + r * bands_.pitch, width, 1);
        }
      }
    }
  }

  void multiply(const T* a, const T* b, int64_t group, int64_t channel0, int64_t count, int64_t K, bool add) const {
    constexpr int L = kLanes<T>;
    const gemm::Cut panels(p_.out, gemm::kRows), vectors(ceilDiv(count, L), gemm::kVecs);
    const int64_t ldc = p_.in * p_.taps();
    T* const c = dw_ + group * p_.out * ldc + channel0 * p_.taps();
    for (int64_t i0 = 0; i0 < panels.pieces; i0 += kRowPanels) {
      for (int64_t j = 0; j < vectors.pieces; j++) {
        const int64_t col = vectors.begin(j) * L, nv = vectors.begin(j + 1) - vectors.begin(j), rest = count - col - (nv - 1) * L;
        for (int64_t i = i0; i < smaller(panels.pieces, i0 + kRowPanels); i++) {
          const int64_t row = panels.begin(i), mr = panels.begin(i + 1) - row;
          gemm::kPackedBlock<T>.fn[mr - 1][nv - 1](K, a + row * K, b + col * K, nv * L, c + row * ldc + col, ldc, rest < L ? int(rest) : L, add);
        }
      }
    }
  }

  const Problem& p_;
  const T *x_, *dy_;
  T* dw_;
  const Context& context_;
  const Bands bands_;
  const int64_t pixels_;
  T* packed_ = nullptr;
  int64_t chunk_ = 1, planeBytes_ = 0, columnBytes_ = 0;
};

}  // namespace conv
}  // namespace GRAFT_ISA_NS
}  // namespace graft
