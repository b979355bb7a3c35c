// How a product is cut into tasks: by sizes only, so that the result has the same bits for any number of threads.
#pragma once
#include "matmul_shape.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace gemm {

constexpr int64_t kInlineWork = 100 << 10;     // multiply-adds (about 2 microseconds) below which waking the pool costs more than it gives
constexpr int64_t kStepBlock = 256;            // inner steps per block: a panel of B (16 KiB with AVX2) stays in half of the first-level cache
constexpr int64_t kTileUnits = 16, kTileVecs = 32;   // the largest tile: 96 x 256 floats with AVX2, with its packed A in the second-level cache
constexpr int64_t kTaskWork = 1 << 20;         // a task of about 20 microseconds is not worth cutting further

// A length cut into tiles of whole units: panels of A or vectors of B.
struct Tiles {
  int64_t length, unit;
  Cut cut;
  Tiles(int64_t length_, int64_t unit_, int64_t most) : length(length_), unit(unit_), cut((length_ + unit_ - 1) / unit_, most) {}
  int64_t count() const { return cut.pieces; }
  int64_t begin(int64_t i) const { return cut.begin(i) * unit < length ? cut.begin(i) * unit : length; }
  int64_t longest() const { return begin(1); }
};

template <class T> struct Tiling {
  Tiles rows, cols;
  int64_t pieces;                              // of the inner sum; each has its own partial product
  int64_t taskWork;
  bool directA, directB;                       // read from the tensor, not packed

  explicit Tiling(const Product& p) : rows(p.M, kRows, kTileUnits), cols(p.N, kLanes<T>, kTileVecs), pieces(1) {
    const double work = double(p.batch) * double(p.M) * double(p.N) * double(p.K);
    int64_t units = kTileUnits, vecs = kTileVecs;
    const auto tasks = [&] { return p.batch * rows.count() * cols.count() * pieces; };
    const auto wantsMore = [&] { return tasks() < 16 && work > double(kTaskWork) * double(tasks()); };
    const auto shrink = [&](int64_t leastUnits, int64_t leastVecs) {
      while (wantsMore() && (units > leastUnits || vecs > leastVecs)) {
        const bool byCols = vecs > leastVecs && (units <= leastUnits || cols.longest() >= rows.longest());
        if (byCols) cols = Tiles(p.N, kLanes<T>, vecs /= 2);
        else rows = Tiles(p.M, kRows, units /= 2);
      }
    };
    shrink(8, 16);
    if (wantsMore() && p.K >= 2 * kStepBlock) {
      const int64_t most = p.K / kStepBlock, wanted = 16 / tasks();
      pieces = wanted < most ? wanted : most;
      if (pieces < 1) pieces = 1;
    }
    shrink(4, 4);
    const double each = work / double(tasks());
    taskWork = each < 1 ? 1 : each > 1e15 ? int64_t(1e15) : int64_t(each);
    const bool sameA = p.a.dtype != DType::BF16 && p.a.dtype != DType::F16, sameB = p.b.dtype != DType::BF16 && p.b.dtype != DType::F16;
    // Packing pays once a packed value is used often enough: values of A once per panel of B, values of B once per panel of A; and where memory is the
    // limit, since a panel of a large unpacked B is read in many short runs.
    const int64_t bBytes = (p.b.step < 0 ? -p.b.step : p.b.step) * p.K * int64_t(sizeof(T));
    directA = sameA && p.N <= (p.a.step == 1 ? 32 : 8) * kLanes<T>;
    directB = sameB && p.b.row == 1 && bBytes <= (p.M <= 2 * kRows ? 16 << 20 : 16 << 10);
  }
};

}  // namespace gemm
}  // namespace GRAFT_ISA_NS
}  // namespace graft
