// How a product is cut into tasks: by sizes only, so that the result has the same bits for any number of threads.
#pragma once
#include "matmul_shape.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace gemm {

constexpr int64_t kInlineWork = 100 << 10;     // multiply-adds (about 2 microseconds) below which waking the pool costs more than it gives
constexpr int64_t kStepBlock = 256;            // inner steps per block: a panel of B (16 KiB with AVX2) stays in half of the first-level cache
constexpr int64_t kChooseWork = 1 << 18;       // multiply-adds from which weighing several tilings pays
constexpr int64_t kShareBytes = 8 << 20;       // packed operands shared by all tasks; a larger B is taken in column ranges of about this size

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
  int64_t pieces = 1;                          // of the inner sum; each has its own partial product
  int64_t taskWork;                            // multiply-adds
  bool directA, directB;                       // read from the tensor, not packed
  bool late = false;                           // the program that follows is a pass of its own over whole rows
  bool shareA, shareB;                         // packed once for all tasks; otherwise each task packs what it is about to use

  Tiling(const Product& p, bool wantsRows) : rows(p.M, kRows, 16), cols(p.N, kLanes<T>, 32) {
    const bool wideA = !isNarrow(p.a.dtype), wideB = !p.b.quant && !isNarrow(p.b.dtype);
    // Packing pays once a packed value is used often enough: values of A once per panel of B, values of B once per panel of A; and where memory is the
    // limit, since a panel of a large unpacked B is read in many short runs. Those a multiple of 4 KiB apart share few sets of the second-level cache,
    // where they are to wait for the next panel of A; of 64-byte vectors there are half as many.
    const int64_t stepBytes = (p.b.step < 0 ? -p.b.step : p.b.step) * int64_t(sizeof(T)), bBytes = stepBytes * p.K;
    const int64_t fewRows = (stepBytes % 4096 != 0 || GRAFT_VEC_BYTES == 64 ? 4 : 2) * kRows;
    directA = wideA && p.N <= (p.a.step == 1 ? 64 : 8) * kLanes<T>;
    directB = wideB && p.b.row == 1 && bBytes <= (p.M <= fewRows ? 16 << 20 : 16 << 10);
    const double work = double(p.batch) * double(p.M) * double(p.N) * double(p.K);
    if (work >= double(kChooseWork)) choose(p);
    late = wantsRows && cols.count() > 1 && pieces == 1 && p.batch == 1;
    // The thread that does some of the rows is to have computed them.
    if (late && rows.count() == 1 && p.M >= 2 * kRows) rows = Tiles(p.M, kRows, ((p.M + kRows - 1) / kRows + 1) / 2);
    const double each = work / double(p.batch * rows.count() * cols.count() * pieces);
    taskWork = each < 1 ? 1 : each > 1e15 ? int64_t(1e15) : int64_t(each);
    const bool mayShare = p.batch == 1 && work >= double(kChooseWork);
    shareA = mayShare && !directA && sharing(p.M * p.K) < packing(p.M * p.K, cols.count()) && p.M * p.K * int64_t(sizeof(T)) <= 2 * kShareBytes;
    shareB = mayShare && !directB && sharing(p.N * p.K, unpacking(p)) < packing(p.N * p.K, rows.count(), unpacking(p)) && p.K * cols.longest() * int64_t(sizeof(T)) <= 4 * kShareBytes;
  }

 private:
  // Measured cycles (Zen 3): per value packed into a task's own memory, or into shared memory (which travels between cores); per value that a task
  // reads; per value of a partial product.
  static constexpr double kPackLocal = 0.35, kPackShared = 1.2, kRead = 0.1, kPartial = 0.7;
  static constexpr double kCallCycles = 40, kTaskCycles = 3000, kBarrierCycles = 10000;   // around the inner loop of one block; per task; for sharing

  // An operand that `uses` tiles read, packed by each of them or once for all.
  static double packing(int64_t values, int64_t uses, double unpack = 0) { return (kPackLocal + unpack) * double(values) * double(uses); }
  static double sharing(int64_t values, double unpack = 0) { return (kPackShared + unpack) * double(values) + kBarrierCycles; }
  static double unpacking(const Product& p) { return p.b.quant ? kUnpackCycles : 0; }

  // The tiling with the least estimated time on a few cores: all cycles / 4 + half a task, which is what cores wait for the last one on average.
  void choose(const Product& p) {
    const double M = double(p.M), N = double(p.N), K = double(p.K), batch = double(p.batch);
    const int64_t rowUnits = (p.M + kRows - 1) / kRows, colVecs = (p.N + kLanes<T> - 1) / kLanes<T>;
    const double kernel = batch * M * double(colVecs) * K / 2, calls = batch * double(rowUnits) * double((colVecs + kVecs - 1) / kVecs) * kCallCycles;
    const double sharedA = sharing(p.M * p.K), sharedB = sharing(p.N * p.K, unpacking(p));
    double best = 0;
    int64_t bestUnits = 0, bestVecs = 0;
    for (int u = 2; u <= 5; u++) {
      for (int v = 3; v <= 5 && u + v <= 9; v++) {
        const int64_t tileRows = (rowUnits + (int64_t(1) << u) - 1) >> u, tileCols = (colVecs + (int64_t(1) << v) - 1) >> v;
        const double localA = packing(p.M * p.K, tileCols), localB = packing(p.N * p.K, tileRows, unpacking(p));
        const double packsA = directA ? 0 : p.batch == 1 ? lesser(localA, sharedA) : localA, packsB = directB ? 0 : p.batch == 1 ? lesser(localB, sharedB) : localB;
        const double operands = batch * (packsA + packsB + K * (M * double(tileCols) + N * double(tileRows)) * kRead);
        for (int q = 0; q <= 4; q++) {
          const int64_t n = int64_t(1) << q, length = p.K >> q;
          const double tasks = batch * double(tileRows * tileCols * n);
          if (n > 1 && (length < kStepBlock / 2 || tasks > 32)) break;
          const double blocks = double(n * ((length + kStepBlock - 1) / kStepBlock));
          const double cycles = kernel + calls * blocks + operands + kTaskCycles * tasks + (n > 1 ? kPartial * batch * M * N * double(n) : 0);
          const double estimate = cycles / 4 + cycles / tasks / 2;
          if (bestUnits && estimate >= best) continue;
          best = estimate, bestUnits = int64_t(1) << u, bestVecs = int64_t(1) << v, pieces = n;
        }
      }
    }
    rows = Tiles(p.M, kRows, bestUnits), cols = Tiles(p.N, kLanes<T>, bestVecs);
  }
};

}  // namespace gemm
}  // namespace GRAFT_ISA_NS
}  // namespace graft
