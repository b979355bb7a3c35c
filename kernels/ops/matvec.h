// A matrix times a vector (M = 1 or N = 1): every element of the matrix is used once, so it is streamed in the order in which it lies in memory.
#pragma once
#include "gemm_output.h"
#include "gemm_tiles.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace gemm {

template <class T> struct Wide {               // how an element type is loaded as vectors of T
  static GRAFT_FORCE_INLINE Vec<T> vector(const T* p) { return load(p); }
  static GRAFT_FORCE_INLINE Vec<T> part(const T* p, int64_t n) { return loadPart<Vec<T>>(p, n); }   // n elements, then zeros
  static GRAFT_FORCE_INLINE T one(const T* p) { return *p; }
};
template <class S> struct Wide16 {
  static GRAFT_FORCE_INLINE VecF vector(const S* p) { return loadWiden(p); }
  static GRAFT_FORCE_INLINE VecF part(const S* p, int64_t n) {
    S some[kLanes<float>] = {};
    memcpy(some, p, size_t(n) * sizeof(S));
    return loadWiden(some);
  }
  static GRAFT_FORCE_INLINE float one(const S* p) { return widenOne(p); }
};

// y[0..n) (+)= sum over k of x[k * xStep] * w[k * step + i]: w's rows of n elements are read one after another.
template <class T, class S, class W> static void addScaledRows(T* y, int64_t n, const T* x, int64_t xStep, const S* w, int64_t step, int64_t K) {
  constexpr int L = kLanes<T>;
  for (int64_t i = 0; i < n; i++) y[i] = 0;
  int64_t k = 0;
  for (; k + 4 <= K; k += 4, w += 4 * step) {
    const S *w0 = w, *w1 = w + step, *w2 = w1 + step, *w3 = w2 + step;
    const T x0 = x[k * xStep], x1 = x[(k + 1) * xStep], x2 = x[(k + 2) * xStep], x3 = x[(k + 3) * xStep];
    int64_t i = 0;
    for (; i + L <= n; i += L) {
      const Vec<T> v = load(y + i) + W::vector(w0 + i) * broadcast(x0) + W::vector(w1 + i) * broadcast(x1);
      store(y + i, v + W::vector(w2 + i) * broadcast(x2) + W::vector(w3 + i) * broadcast(x3));
    }
    for (; i < n; i++) y[i] = y[i] + W::one(w0 + i) * x0 + W::one(w1 + i) * x1 + W::one(w2 + i) * x2 + W::one(w3 + i) * x3;
  }
  for (; k < K; k++, w += step) {
    const T x0 = x[k * xStep];
    int64_t i = 0;
    for (; i + L <= n; i += L) store(y + i, load(y + i) + W::vector(w + i) * broadcast(x0));
    for (; i < n; i++) y[i] += W::one(w + i) * x0;
  }
}

template <class T> static GRAFT_FORCE_INLINE T sumLanes(Vec<T> v) {
  T sum = 0;
  for (int i = 0; i < kLanes<T>; i++) sum += v[i];
  return sum;
}

// The sums over the lanes of four vectors.
static GRAFT_FORCE_INLINE void sumFour(float* to, const VecF (&v)[4], bool add) {
#if defined(__AVX512F__)
  const auto low = [](VecF a, VecF b) { return VecF(_mm512_unpacklo_ps(__m512(a), __m512(b))); };
  const auto high = [](VecF a, VecF b) { return VecF(_mm512_unpackhi_ps(__m512(a), __m512(b))); };
  const VecF ab = low(v[0], v[1]) + high(v[0], v[1]), cd = low(v[2], v[3]) + high(v[2], v[3]);
  const VecF all = VecF(_mm512_shuffle_ps(__m512(ab), __m512(cd), 0x44)) + VecF(_mm512_shuffle_ps(__m512(ab), __m512(cd), 0xee));
  const Eight half = Eight(_mm512_castps512_ps256(__m512(all))) + Eight(_mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(__m512(all)), 1)));
  Quad sum = Quad(_mm256_castps256_ps128(__m256(half))) + Quad(_mm256_extractf128_ps(__m256(half), 1));
#elif defined(__AVX2__)
  const auto low = [](VecF a, VecF b) { return VecF(_mm256_unpacklo_ps(__m256(a), __m256(b))); };
  const auto high = [](VecF a, VecF b) { return VecF(_mm256_unpackhi_ps(__m256(a), __m256(b))); };
  const VecF ab = low(v[0], v[1]) + high(v[0], v[1]), cd = low(v[2], v[3]) + high(v[2], v[3]);
  const VecF all = VecF(_mm256_shuffle_ps(__m256(ab), __m256(cd), 0x44)) + VecF(_mm256_shuffle_ps(__m256(ab), __m256(cd), 0xee));
  Quad sum = Quad(_mm256_castps256_ps128(__m256(all))) + Quad(_mm256_extractf128_ps(__m256(all), 1));
#else
  const Quad a = Quad(v[0]), b = Quad(v[1]), c = Quad(v[2]), d = Quad(v[3]);
  const Quad ab = GRAFT_SHUFFLE(QuadIndex, a, b, 0, 4, 1, 5) + GRAFT_SHUFFLE(QuadIndex, a, b, 2, 6, 3, 7);
  const Quad cd = GRAFT_SHUFFLE(QuadIndex, c, d, 0, 4, 1, 5) + GRAFT_SHUFFLE(QuadIndex, c, d, 2, 6, 3, 7);
  Quad sum = GRAFT_SHUFFLE(QuadIndex, ab, cd, 0, 1, 4, 5) + GRAFT_SHUFFLE(QuadIndex, ab, cd, 2, 3, 6, 7);
#endif
  if (add) sum += loadAs<Quad>(to);
  storeAs(to, sum);
}
static GRAFT_FORCE_INLINE void sumFour(double* to, const VecD (&v)[4], bool add) {
  for (int c = 0; c < 4; c++) to[c] = (add ? to[c] : 0) + sumLanes<double>(v[c]);
}

// y[i] = sum over k of x[k] * w[i * row + k], R rows at a time so that x is loaded once for all of them.
template <int R, class T, class S, class W> static GRAFT_FORCE_INLINE void dotBlock(T* y, const T* x, const S* w, int64_t row, int64_t K) {
  constexpr int L = kLanes<T>;
  Vec<T> sum[R][2] = {};
  int64_t k = 0;
  for (; k + 2 * L <= K; k += 2 * L) {
    const Vec<T> x0 = load(x + k), x1 = load(x + k + L);
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) sum[r][0] += W::vector(w + r * row + k) * x0, sum[r][1] += W::vector(w + r * row + k + L) * x1;
  }
  Vec<T> both[R];
  for (int r = 0; r < R; r++) both[r] = sum[r][0] + sum[r][1];
  if constexpr (R == 4) sumFour(y, both, false);
  else for (int r = 0; r < R; r++) y[r] = sumLanes<T>(both[r]);
  for (int r = 0; r < R; r++)
    for (int64_t i = k; i < K; i++) y[r] += W::one(w + r * row + i) * x[i];
}
template <class T, class S, class W> static void dotRows(T* y, int64_t n, const T* x, const S* w, int64_t row, int64_t K) {
  int64_t i = 0;
  for (; i + 4 <= n; i += 4) dotBlock<4, T, S, W>(y + i, x, w + i * row, row, K);
  for (; i < n; i++) dotBlock<1, T, S, W>(y + i, x, w + i * row, row, K);
}

template <class T> class Matvec {
 public:
  // `vector` by inner index, `matrix` by result (row) and inner index (step).
  Matvec(const Product& p, const Output& out, const Context& context)
      : p_(p), out_(out), context_(context), byRow_(p.M == 1), n_(byRow_ ? p.N : p.M), vector_(byRow_ ? p.a : p.b), matrix_(byRow_ ? p.b : p.a),
        vectorBatch_(byRow_ ? p.aBatch : p.bBatch), matrixBatch_(byRow_ ? p.bBatch : p.aBatch) {}

  bool applies() const { return matrix_.step == 1 || matrix_.row == 1; }

  int run() const {
    const bool dot = matrix_.step == 1;
    // Long rows of the out vector are kept in the first-level cache (2048 floats); whole rows of the matrix are the longest runs of memory.
    const Tiles tiles(n_, 1, dot ? 64 : 8192 / int64_t(sizeof(T)));
    const int64_t tasks = p_.batch * tiles.count(), all = p_.batch * n_ * p_.K;
    int64_t pieces = tasks >= 16 ? 1 : 16 / tasks, most = all / tasks / kInlineWork;
    if (pieces > most) pieces = most;
    if (pieces > p_.K) pieces = p_.K;
    if (pieces < 1) pieces = 1;
    const Cut cut(p_.K, p_.K > 0 ? (p_.K + pieces - 1) / pieces : 1);
    pieces = cut.pieces < 1 ? 1 : cut.pieces;

    const int64_t results = p_.batch * n_, xStep = vector_.step;
    const bool packs = isNarrow(vector_.dtype) || (dot && xStep != 1);
    const int64_t sizes[] = {round(p_.K, packs), round(pieces * results, true), (out_.memoryBytes + 63) & ~int64_t(63)};
    char* memory = static_cast<char*>(context_.scratch(context_.pool, 0, uint64_t(sizes[0] * p_.batch + sizes[1] + sizes[2])));
    if (!memory) return memoryShort(context_);
    T* const packed = reinterpret_cast<T*>(memory);
    T* const partial = reinterpret_cast<T*>(memory + sizes[0] * p_.batch);
    void* const own0 = memory + sizes[0] * p_.batch + sizes[1];
    if (packs)
      for (int64_t z = 0; z < p_.batch; z++) packRows(packed + z * sizes[0] / int64_t(sizeof(T)), 1, p_.matrix(vector_, z, vectorBatch_), 0, 0, 1, p_.K);

    const int64_t each = all / (tasks * pieces) + 1;
    parallelFor(context_, tasks * pieces, all <= kInlineWork ? tasks * pieces : each >= kInlineWork ? 1 : kInlineWork / each, [&](int64_t begin, int64_t end, int) {
      for (int64_t t = begin; t < end; t++) {
        const int64_t piece = t % pieces, tile = t / pieces % tiles.count(), z = t / pieces / tiles.count();
        const int64_t from = tiles.begin(tile), k = p_.K > 0 ? cut.begin(piece) : 0, K = p_.K > 0 ? cut.begin(piece + 1) - k : 0;
        const Operand w = p_.matrix(matrix_, z, matrixBatch_), x = p_.matrix(vector_, z, vectorBatch_);
        const T* v = packs ? packed + z * sizes[0] / int64_t(sizeof(T)) + k : static_cast<const T*>(x.data) + k * xStep;
        multiplyBlock(partial + piece * results + z * n_ + from, tiles.begin(tile + 1) - from, v, packs ? 1 : xStep, w, from, k, K, dot);
      }
    });
    // The results are few: one thread adds the pieces and writes, unless there is enough for several.
    bool failed = false;
    const int64_t grain = results * pieces <= kInlineWork ? results : 16384;
    parallelFor(context_, results, grain, [&](int64_t begin, int64_t end, int worker) {
      void* own = worker == 0 || !out_.binding ? own0 : context_.scratch(context_.pool, worker, uint64_t(sizes[2]));
      if (!own) return __atomic_store_n(&failed, true, __ATOMIC_RELAXED);
      if (pieces > 1) addUp(partial + begin, partial + begin, results, pieces, end - begin);
      out_.withRunner(own, [&](ProgramRunner* runner) {
        for (int64_t i = begin; i < end;) {
          const int64_t z = i / n_, first = i % n_, left = n_ - first, count = end - i < left ? end - i : left;
          if (byRow_) out_.write(runner, z, 0, 1, first, count, partial + i, n_);
          else out_.write(runner, z, first, count, 0, 1, partial + i, 1);
          i += count;
        }
      });
    });
    return failed ? memoryShort(context_) : 0;
  }

 private:
  static int64_t round(int64_t elements, bool needed) { return needed ? (elements * int64_t(sizeof(T)) + 63) & ~int64_t(63) : 0; }

  void multiplyBlock(T* y, int64_t n, const T* x, int64_t xStep, const Operand& w, int64_t from, int64_t k, int64_t K, bool dot) const {
    if constexpr (sizeof(T) == 4) {
      if (w.dtype == DType::BF16) return multiplyAs<Bf16, Wide16<Bf16>>(y, n, x, xStep, w, from, k, K, dot);
      if (w.dtype == DType::F16) return multiplyAs<F16, Wide16<F16>>(y, n, x, xStep, w, from, k, K, dot);
    }
    multiplyAs<T, Wide<T>>(y, n, x, xStep, w, from, k, K, dot);
  }
  template <class S, class W> static void multiplyAs(T* y, int64_t n, const T* x, int64_t xStep, const Operand& w, int64_t from, int64_t k, int64_t K, bool dot) {
    const S* data = static_cast<const S*>(w.data) + from * w.row + k * w.step;
    if (dot) dotRows<T, S, W>(y, n, x, data, w.row, K);
    else addScaledRows<T, S, W>(y, n, x, xStep, data, w.step, K);
  }

  const Product& p_;
  const Output& out_;
  const Context& context_;
  const bool byRow_;
  const int64_t n_;
  const Operand vector_, matrix_;
  const int64_t *vectorBatch_, *matrixBatch_;
};

}  // namespace gemm
}  // namespace GRAFT_ISA_NS
}  // namespace graft
