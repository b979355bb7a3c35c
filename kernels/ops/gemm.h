// A product of two operands that are packed into panels: the one way in which large products are computed.
#pragma once
#include "gemm_output.h"
#include "gemm_tiles.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace gemm {

// One matmul step. Tasks are (batch, column and row tile, piece of the inner sum), in the order in which threads, each of which begins with a share of its own,
// mostly find what they have written themselves: what another core has in its caches takes longer to read, and several times as long to overwrite.
// An operand that several tasks of one matrix read is packed once for all of them, otherwise each task packs the block that it is about to use.
// A program that follows runs on each tile while it is in a cache, unless it goes through much memory: then products wait, a band of rows at a time, for a pass
// of its own, in which memory is read and written in whole rows, which is faster than tile by tile.
template <class T> class Gemm {
 public:
  Gemm(const Product& product, const Output& out, const Context& context)
      : p_(product), out_(out), context_(context), g_(product, out.wantsRows()), stepsOutside_(g_.pieces > 1 && product.a.step != 1 && product.b.step != 1) {}

  int run() {
    const int64_t matrix = p_.M * p_.N, all = p_.batch * g_.rows.count() * g_.cols.count() * g_.pieces;
    const bool inlined = g_.taskWork * all <= kInlineWork;
    const int64_t aBytes = roundUp64(p_.M * p_.K * int64_t(sizeof(T))), columnBytes = p_.K * g_.cols.longest() * int64_t(sizeof(T));
    const bool fits = !g_.shareB || columnBytes * g_.cols.count() <= 2 * kShareBytes;
    const int64_t perPass = fits ? g_.cols.count() : columnBytes < kShareBytes ? kShareBytes / columnBytes : 1;

    // Memory: worker 0 holds what is shared, then its own; every other worker its own.
    const int64_t K = p_.K < kStepBlock ? p_.K : kStepBlock, rows = g_.rows.longest(), cols = wholeVectors<T>(g_.cols.longest());
    const int64_t ni = g_.rows.count(), tileBytes = rows * cols * int64_t(sizeof(T));
    const int64_t across = lesser(perPass, g_.cols.count()), bandCols = g_.late ? evenly(across, kBandMost / tileBytes) : perPass;
    const int64_t bandRows = g_.late ? evenly(ni, kBandBytes / (bandCols * tileBytes)) : ni;
    aLocal_ = g_.directA || g_.shareA ? 0 : roundUp64(rows * K * int64_t(sizeof(T)));
    bLocal_ = g_.directB || g_.shareB ? 0 : roundUp64(cols * K * int64_t(sizeof(T)));
    tailLocal_ = g_.directB ? roundUp64(kCols<T> * K * int64_t(sizeof(T))) : 0;
    tileLocal_ = g_.late || (out_.isDirect && g_.pieces == 1) ? 0 : roundUp64(tileBytes);
    const int64_t aShared = g_.shareA ? aBytes : 0, bShared = g_.shareB ? roundUp64(columnBytes * perPass + cols * p_.K * int64_t(sizeof(T))) : 0;
    const int64_t partial = g_.late ? roundUp64(bandRows * bandCols * tileBytes) : g_.pieces > 1 ? roundUp64(g_.pieces * p_.batch * matrix * int64_t(sizeof(T))) : 0;
    local_ = aLocal_ + bLocal_ + tailLocal_ + tileLocal_ + roundUp64(out_.memoryBytes);
    sharedA_ = reserve(aShared + bShared + partial + local_);
    if (!sharedA_) return memoryShort(context_);
    sharedB_ = sharedA_ + aShared;
    partial_ = reinterpret_cast<T*>(sharedB_ + bShared);
    own0_ = sharedB_ + bShared + partial;

    const int64_t grain = inlined ? all : g_.taskWork >= kInlineWork ? 1 : kInlineWork / g_.taskWork;
    for (int64_t j0 = 0; j0 < g_.cols.count(); j0 += perPass) {
      const int64_t j1 = lesser(j0 + perPass, g_.cols.count());
      pack(j0, j1 - j0, j0 == 0);
      for (int64_t i = 0; i < ni; i += bandRows)
        for (int64_t j = j0; j < j1; j += bandCols) band(i, lesser(i + bandRows, ni), j, lesser(j + bandCols, j1), j0, grain);
    }
    if (g_.pieces > 1) sumPieces();
    return failed_ ? memoryShort(context_) : 0;
  }

 private:
  struct Worker {
    T *a, *b, *tail, *tile;
    ProgramRunner* runner;
  };

  template <class F> void withWorker(int worker, const F& f) {
    char* memory = worker == 0 ? own0_ : static_cast<char*>(context_.scratch(context_.pool, worker, uint64_t(local_)));
    if (!memory) return __atomic_store_n(&failed_, true, __ATOMIC_RELAXED);
    char *const b = memory + aLocal_, *const tail = b + bLocal_, *const tile = tail + tailLocal_;
    out_.withRunner(tile + tileLocal_, [&](ProgramRunner* runner) {
      f(Worker{reinterpret_cast<T*>(memory), reinterpret_cast<T*>(b), reinterpret_cast<T*>(tail), reinterpret_cast<T*>(tile), runner});
    });
  }

  // The longest of equal shares of n of at most `most` each.
  static int64_t evenly(int64_t n, int64_t most) { return Cut(n, most > 1 ? most : 1).begin(1); }

  struct At {
    int64_t z, i, j;
  };
  // Tile t of ni x nj: column by column, since a thread has packed its share of B; row by row where whole rows are followed up.
  At place(int64_t t, int64_t ni, int64_t nj) const {
    return g_.late ? At{t / (ni * nj), t / nj % ni, t % nj} : At{t / (ni * nj), t % ni, t / ni % nj};
  }

  // The tasks of row tiles [i0, i1) and column tiles [j0, j1), of packed columns that begin at tile `packed`.
  void band(int64_t i0, int64_t i1, int64_t j0, int64_t j1, int64_t packed, int64_t grain) {
    const int64_t ni = i1 - i0, nj = j1 - j0;
    row0_ = g_.rows.begin(i0), rowEnd_ = g_.rows.begin(i1), col0_ = g_.cols.begin(j0), colEnd_ = g_.cols.begin(j1);
    parallelFor(context_, p_.batch * nj * ni * g_.pieces, grain, [&](int64_t begin, int64_t end, int worker) {
      withWorker(worker, [&](const Worker& w) {
        for (int64_t t = begin; t < end; t++) {
          const int64_t tiles = p_.batch * ni * nj, piece = stepsOutside_ ? t / tiles : t % g_.pieces;
          const At at = place(stepsOutside_ ? t % tiles : t / g_.pieces, ni, nj);
          task(w, at.z, i0 + at.i, j0 + at.j, piece, packed);
        }
      });
    });
    if (g_.late) writeBand();
  }

  // Runs the program on the products of a band, row by row.
  void writeBand() {
    const int64_t width = colEnd_ - col0_, grain = width >= kBandTask ? 1 : kBandTask / width;
    parallelFor(context_, rowEnd_ - row0_, grain, [&](int64_t begin, int64_t end, int worker) {
      withWorker(worker, [&](const Worker& w) { out_.write(w.runner, 0, row0_ + begin, end - begin, col0_, width, partial_ + begin * width, width); });
    });
  }

  char* reserve(int64_t bytes) { return static_cast<char*>(context_.scratch(context_.pool, 0, uint64_t(bytes))); }

  // The shared blocks: a tile's panels lie together, each holding all steps.
  T* tileOfA(int64_t i) const { return reinterpret_cast<T*>(sharedA_) + g_.rows.begin(i) * p_.K; }
  T* tileOfB(int64_t j, int64_t j0) const { return reinterpret_cast<T*>(sharedB_) + (g_.cols.begin(j) - g_.cols.begin(j0)) * p_.K; }

  void pack(int64_t j0, int64_t nj, bool first) {
    const int64_t chunks = (p_.K + kStepBlock - 1) / kStepBlock, na = g_.shareA && first ? g_.rows.count() * chunks : 0, nb = g_.shareB ? nj * chunks : 0;
    if (na + nb == 0) return;
    const int64_t each = (na ? g_.rows.longest() : g_.cols.longest()) * (p_.K < kStepBlock ? p_.K : kStepBlock);
    parallelFor(context_, na + nb, each >= 8192 ? 1 : 8192 / each, [&](int64_t begin, int64_t end, int) {
      for (int64_t t = begin; t < end; t++) {
        const bool isA = t < na;
        const int64_t u = isA ? t : t - na, tileCount = (isA ? na : nb) / chunks;
        const int64_t k = (stepsOutside_ ? u / tileCount : u % chunks) * kStepBlock, n = p_.K - k < kStepBlock ? p_.K - k : kStepBlock;
        const int64_t tile = (stepsOutside_ ? u % tileCount : u / chunks) + (isA ? 0 : j0);
        const Tiles& tiles = isA ? g_.rows : g_.cols;
        const int64_t from = tiles.begin(tile), count = tiles.begin(tile + 1) - from;
        if (isA) packA(tileOfA(tile), p_.K, k, p_.a, from, count, k, n);
        else packB(tileOfB(tile, j0), p_.K, k, p_.b, from, count, k, n);
      }
    });
  }

  void task(const Worker& w, int64_t z, int64_t i, int64_t j, int64_t piece, int64_t j0) {
    const int64_t row = g_.rows.begin(i), rows = g_.rows.begin(i + 1) - row, col = g_.cols.begin(j), cols = g_.cols.begin(j + 1) - col;
    const Cut whole(p_.K, p_.K / g_.pieces + 1);
    const int64_t k0 = whole.begin(piece), k1 = whole.begin(piece + 1);
    const bool written = g_.pieces == 1 && !g_.late;   // by this task
    T* c = w.tile;
    int64_t ldc = cols;
    if (g_.late) ldc = colEnd_ - col0_, c = partial_ + (row - row0_) * ldc + (col - col0_);
    else if (g_.pieces > 1) c = partial(z, i, j) + piece * p_.batch * p_.M * p_.N;
    else if (out_.isDirect) c = static_cast<T*>(out_.at(z, row, col)), ldc = p_.outRow;
    const Operand a = p_.matrix(p_.a, z, p_.aBatch), b = p_.matrix(p_.b, z, p_.bBatch);
    const T* aData = static_cast<const T*>(a.data) + row * a.row;
    const T* bData = static_cast<const T*>(b.data) + col * b.row;
    const Cut blocks(k1 - k0, kStepBlock);
    for (int64_t n = 0; n < blocks.pieces || n == 0; n++) {
      const int64_t k = k1 > k0 ? k0 + blocks.begin(n) : 0, K = k1 > k0 ? k0 + blocks.begin(n + 1) - k : 0;
      if (aLocal_) packA(w.a, K, 0, a, row, rows, k, K);
      if (bLocal_) packB(w.b, K, 0, b, col, cols, k, K);
      const Side<T> left = g_.directA ? Side<T>::direct(aData + k * a.step, a.row, a.step)
                         : g_.shareA ? Side<T>::packed(tileOfA(i), p_.K, k) : Side<T>::packed(w.a, K, 0);
      const Side<T> right = g_.directB ? Side<T>::direct(bData + k * b.step, b.row, b.step)
                          : g_.shareB ? Side<T>::packed(tileOfB(j, j0), p_.K, k) : Side<T>::packed(w.b, K, 0);
      const bool epilogueNext = w.runner && written && n + 1 >= blocks.pieces;
      Ahead ahead;
      if (epilogueNext) out_.fetchesAhead(ahead, z, row, col);
      else ahead.add(reinterpret_cast<const char*>(c), ldc * int64_t(sizeof(T)), int64_t(sizeof(T)));
      multiply(c, ldc, rows, cols, left, right, K, n > 0, w.tail, ahead);
    }
    if (written && !out_.isDirect) out_.write(w.runner, z, row, rows, col, cols, c, ldc);
  }

  // Where piece 0 of the product of a tile lies, row by row; the pieces of a tile are `batch` matrices apart.
  T* partial(int64_t z, int64_t i, int64_t j) const {
    const int64_t row = g_.rows.begin(i);
    return partial_ + (z * p_.M + row) * p_.N + (g_.rows.begin(i + 1) - row) * g_.cols.begin(j);
  }

  // The partial products of the pieces, added in their order: tiles in the order of the tasks, so that a thread mostly adds what it has written.
  void sumPieces() {
    const int64_t ni = g_.rows.count(), nj = g_.cols.count(), most = kBandTask / (g_.cols.longest() * g_.pieces);
    const Cut whole(g_.rows.longest(), most > 1 ? most : 1);
    parallelFor(context_, p_.batch * ni * nj * whole.pieces, 1, [&](int64_t first, int64_t last, int worker) {
      withWorker(worker, [&](const Worker& w) {
        for (int64_t t = first; t < last; t++) {
          const At at = place(t / whole.pieces, ni, nj);
          const int64_t row = g_.rows.begin(at.i), end = g_.rows.begin(at.i + 1), chunk = t % whole.pieces;
          const int64_t from = lesser(row + whole.begin(chunk), end), to = lesser(row + whole.begin(chunk + 1), end);
          const int64_t col = g_.cols.begin(at.j), cols = g_.cols.begin(at.j + 1) - col;
          addUp(w.tile, partial(at.z, at.i, at.j) + (from - row) * cols, p_.batch * p_.M * p_.N, g_.pieces, (to - from) * cols);
          out_.write(w.runner, at.z, from, to - from, col, cols, w.tile, cols);
        }
      });
    });
  }

  const Product& p_;
  const Output& out_;
  const Context& context_;
  const Tiling<T> g_;
  const bool stepsOutside_;   // the inner sum is cut, and goes over rows of both operands, of which a thread has mostly written the same
  bool failed_ = false;
  int64_t row0_ = 0, rowEnd_ = 0, col0_ = 0, colEnd_ = 0;   // of the present band
  int64_t aLocal_, bLocal_, tailLocal_, tileLocal_, local_;
  char *sharedA_, *sharedB_, *own0_;
  T* partial_;
};

}  // namespace gemm
}  // namespace GRAFT_ISA_NS
}  // namespace graft
