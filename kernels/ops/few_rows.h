// A few rows times the transpose of a matrix whose rows lie along the inner index: a step of a recurrent network, tokens of a few sequences. Packing the
// matrix would cost about as much as multiplying it, so it is read once, in order, and sums are formed along the vectors, as in a dot product.
#pragma once
#include "matvec.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace gemm {

// Rows beyond which packing is cheaper, also for long inner sums, and what is long. The shorter the vectors, the longer it takes to multiply, not to pack.
constexpr int64_t kDotMost = GRAFT_VEC_BYTES > 16 ? 32 : 8, kDotMostLong = GRAFT_VEC_BYTES > 16 ? 16 : 8, kDotLong = 1024;
constexpr int kDotRows = GRAFT_VEC_BYTES == 64 ? 6 : GRAFT_VEC_BYTES == 32 ? 3 : 2, kDotCols = 4;   // 24 sums of 32 registers, 12 or 8 of 16
constexpr int64_t kDotBytes = 40 << 10;        // of the few rows, which are read for every kDotCols columns and stay in the first-level cache,
constexpr int64_t kDotSteps = 512;             // unless sums would be too short
constexpr int64_t kDotTasks = 8;               // fewer do not fill the threads

// c[r][j] (+)= sum over k of a[r][k] * w[j][k] for R rows and C columns.
template <int R, int C, class T, class S, class W>
static void dotTile(T* c, int64_t ldc, const T* a, int64_t lda, const S* w, int64_t row, int64_t K, bool add) {
  constexpr int L = kLanes<T>;
  Vec<T> sum[R][C] = {};
  const auto step = [&](const auto& left, const auto& right) {
    Vec<T> x[C];
#pragma GCC unroll 4
    for (int j = 0; j < C; j++) x[j] = right(w + j * row);
#pragma GCC unroll 6
    for (int r = 0; r < R; r++) {
      const Vec<T> y = left(a + r * lda);
#pragma GCC unroll 4
      for (int j = 0; j < C; j++) sum[r][j] = multiplyAdd(x[j], y, sum[r][j]);
    }
  };
  int64_t k = 0;
  for (; k + L <= K; k += L) step([&](const T* p) { return load(p + k); }, [&](const S* p) { return W::vector(p + k); });
  if (k < K) step([&](const T* p) { return loadPart<Vec<T>>(p + k, K - k); }, [&](const S* p) { return W::part(p + k, K - k); });
#pragma GCC unroll 6
  for (int r = 0; r < R; r++) {
    if constexpr (C == 4) sumFour(c + r * ldc, sum[r], add);
    else for (int j = 0; j < C; j++) c[r * ldc + j] = (add ? c[r * ldc + j] : 0) + sumLanes<T>(sum[r][j]);
  }
}

// The same for `rows` rows, at most R, and `cols` columns, at most kDotCols.
template <int R, class T, class S, class W>
static void dotTiles(int rows, T* c, int64_t ldc, const T* a, int64_t lda, const S* w, int64_t row, int64_t cols, int64_t K, bool add) {
  if constexpr (R > 1)
    if (rows < R) return dotTiles<R - 1, T, S, W>(rows, c, ldc, a, lda, w, row, cols, K, add);
  if (cols == kDotCols) return dotTile<R, kDotCols, T, S, W>(c, ldc, a, lda, w, row, K, add);
  for (int64_t j = 0; j < cols; j++) dotTile<R, 1, T, S, W>(c + j, ldc, a, lda, w + j * row, row, K, add);
}

template <class T> class FewRows {
 public:
  FewRows(const Product& p, const Output& out, const Context& context) : p_(p), out_(out), context_(context), cols_(p.N, kDotCols, tileUnits(p)), steps_(p.K, longest(p)) {}

  bool applies() const {
    const bool few = p_.M <= (p_.K <= kDotLong ? kDotMost : kDotMostLong);
    return few && p_.b.step == 1 && !p_.b.quant && p_.K >= 2 * kLanes<T> && p_.batch * cols_.count() >= kDotTasks;
  }

  int run() {
    const bool packs = p_.a.step != 1 || p_.a.row == 0 || steps_.pieces > 1 || isNarrow(p_.a.dtype);
    const int64_t sizes[] = {packs ? roundUp64(p_.M * p_.K * int64_t(sizeof(T))) * p_.batch : 0, roundUp64(p_.M * cols_.longest() * int64_t(sizeof(T))), roundUp64(out_.memoryBytes)};
    char* memory = static_cast<char*>(context_.scratch(context_.pool, 0, uint64_t(sizes[0] + sizes[1] + sizes[2])));
    if (!memory) return memoryShort(context_);
    T* const packed = reinterpret_cast<T*>(memory);
    if (packs)
      for (int64_t z = 0; z < p_.batch; z++)
        for (int64_t n = 0; n < steps_.pieces; n++) packBlock(packed + z * p_.M * p_.K, p_.matrix(p_.a, z, p_.aBatch), steps_.begin(n), steps_.begin(n + 1));

    const int64_t tasks = p_.batch * cols_.count(), each = p_.M * cols_.longest() * p_.K;
    bool failed = false;
    parallelFor(context_, tasks, tasks * each <= kInlineWork ? tasks : each >= kInlineWork ? 1 : kInlineWork / each, [&](int64_t begin, int64_t end, int worker) {
      char* own = worker == 0 ? memory + sizes[0] : static_cast<char*>(context_.scratch(context_.pool, worker, uint64_t(sizes[1] + sizes[2])));
      if (!own) return __atomic_store_n(&failed, true, __ATOMIC_RELAXED);
      out_.withRunner(own + sizes[1], [&](ProgramRunner* runner) {
        for (int64_t t = begin; t < end; t++) {
          const int64_t z = t / cols_.count(), col = cols_.begin(t % cols_.count()), cols = cols_.begin(t % cols_.count() + 1) - col;
          const Operand a = p_.matrix(p_.a, z, p_.aBatch);
          const T* x = packs ? packed + z * p_.M * p_.K : static_cast<const T*>(a.data);
          T* c = out_.isDirect ? static_cast<T*>(out_.at(z, 0, col)) : reinterpret_cast<T*>(own);
          const int64_t ldc = out_.isDirect ? p_.outRow : cols;
          multiplyTile(c, ldc, x, packs ? 0 : a.row, p_.matrix(p_.b, z, p_.bBatch), col, cols);
          if (!out_.isDirect) out_.write(runner, z, 0, p_.M, col, cols, c, ldc);
        }
      });
    });
    return failed ? memoryShort(context_) : 0;
  }

 private:
  // About 32 tasks of 16 to 64 columns.
  static int64_t tileUnits(const Product& p) {
    const int64_t units = p.N * p.batch / 32 / kDotCols;
    return units < 4 ? 4 : units > 16 ? 16 : units;
  }
  static int64_t longest(const Product& p) {
    const int64_t steps = kDotBytes / int64_t(sizeof(T)) / p.M;
    return steps > kDotSteps ? steps : kDotSteps;
  }

  // Steps [from, to) of all rows, row by row: rows that lie far apart would meet in few sets of the first-level cache.
  void packBlock(T* packed, const Operand& a, int64_t from, int64_t to) const {
    const bool inOrder = a.step == 1 && elementBytes(a.dtype) == int64_t(sizeof(T));
    for (int64_t r = 0; r < p_.M; r++) {
      T* row = packed + from * p_.M + r * (to - from);
      if (inOrder) memcpy(row, static_cast<const T*>(a.data) + r * a.row + from, size_t(to - from) * sizeof(T));
      else packRows(row, 1, a, r, from, 1, to - from);
    }
  }

  // lda: between rows of x, or 0 where it is packed.
  void multiplyTile(T* c, int64_t ldc, const T* x, int64_t lda, const Operand& w, int64_t col, int64_t cols) const {
    if constexpr (sizeof(T) == 4) {
      if (w.dtype == DType::BF16) return multiplyAs<Bf16, Wide16<Bf16>>(c, ldc, x, lda, w, col, cols);
      if (w.dtype == DType::F16) return multiplyAs<F16, Wide16<F16>>(c, ldc, x, lda, w, col, cols);
    }
    multiplyAs<T, Wide<T>>(c, ldc, x, lda, w, col, cols);
  }
  template <class S, class W> void multiplyAs(T* c, int64_t ldc, const T* x, int64_t lda, const Operand& w, int64_t col, int64_t cols) const {
    const Cut rows(p_.M, kDotRows);
    for (int64_t n = 0; n < steps_.pieces; n++) {
      const int64_t k = steps_.begin(n), K = steps_.begin(n + 1) - k, step = lda ? lda : K;
      const T* a = x + (lda ? k : k * p_.M);
      const S* from = static_cast<const S*>(w.data) + col * w.row + k;
      for (int64_t j = 0; j < cols; j += kDotCols)       // its columns stay in the first-level cache while all rows pass by
        for (int64_t i = 0; i < rows.pieces; i++) {
          const int64_t r = rows.begin(i), left = cols - j < kDotCols ? cols - j : kDotCols;
          dotTiles<kDotRows, T, S, W>(int(rows.begin(i + 1) - r), c + r * ldc + j, ldc, a + r * step, step, from + j * w.row, w.row, left, K, n > 0);
        }
    }
  }

  const Product& p_;
  const Output& out_;
  const Context& context_;
  const Tiles cols_;
  const Cut steps_;                            // of the inner sum
};

}  // namespace gemm
}  // namespace GRAFT_ISA_NS
}  // namespace graft
