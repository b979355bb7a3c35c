// The gradients of one tile of queries.
//   w = e^(s - log),  f: factors of the dropout (1 without),  dv = (f w)^T dy,  dw = f dy v^T,  ds = w (dw - sum_d dy y) scale,  dq = ds k,  dk = ds^T q
#pragma once
#include "attention_dropout.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace attention {

constexpr int64_t kApartMost = 256 << 10;   // bytes of keys and values that a head may have to be read where they are
constexpr int64_t kPart = 32;               // on the diagonal of a causal mask products go by so many keys or queries, to leave out more of what is blocked

// Whether keys and values that are gone through again and again are too many for that.
template <class T> static inline bool isLarge(const Problem& p) { return p.T > kQueries && p.S * (p.E + p.D) * int64_t(sizeof(T)) > kApartMost; }

// Keys of one key head, packed; of the queries of a task their panels and those of dy for the products with keys and values, both packed again for the
// sums over queries, log and sum_d dy y; and two tiles, [kKeys][kWidth]. Where the keys are gone through again and again and are many, they, the values and the
// gradients lie in memory of their own: rows that are far apart would meet in few sets of the caches.
template <class T> struct BackwardMemory {
  T *keys, *queriesAcross, *outputsAcross, *queries, *outputs, *weights, *slopes, *logs, *means, *ownKeys, *ownValues, *dq, *dk, *dv;
  int64_t bytes;
  BackwardMemory(const Problem& p, void* memory) {
    Cutter<T> cut(memory);
    keys = cut.take(packedSize<T>(p.E, p.S));
    queriesAcross = cut.take(kWidth<T> * p.E);
    outputsAcross = cut.take(kWidth<T> * p.D);
    queries = cut.take(packedSize<T>(p.E, kQueries));
    outputs = cut.take(packedSize<T>(p.D, kQueries));
    weights = cut.take(kKeys * kWidth<T>);
    slopes = cut.take(kKeys * kWidth<T>);
    logs = cut.take(kWidth<T>);
    means = cut.take(kWidth<T>);
    const int64_t again = isLarge<T>(p);
    ownKeys = cut.take(again * p.S * p.E);
    ownValues = cut.take(again * p.S * p.D);
    dq = cut.take(again * kQueries * p.E);
    dk = cut.take(again * p.S * p.E);
    dv = cut.take(again * p.S * p.D);
    bytes = cut.used();
  }
};

// Scores and dw of n keys become w (with the dropout's factors) and ds. `dropout` is NULL where there is none.
template <class T, int NV>
static void slope(T* w, T* ds, int64_t n, T scale, const T* logs, const T* means, const Dropout<T>* dropout) {
  constexpr int L = kLanes<T>;
  constexpr int64_t ld = kWidth<T>;
  Vec<T> log[NV], mean[NV];
  for (int v = 0; v < NV; v++) log[v] = load(logs + v * L), mean[v] = load(means + v * L);
  for (int64_t i = 0; i < n; i++, w += ld, ds += ld)
#pragma GCC unroll 4
    for (int v = 0; v < NV; v++) {
      const Vec<T> weight = expDown(load(w + v * L) * scale - log[v]), dw = load(ds + v * L);
      const Vec<T> factor = dropout ? load(dropout->row(i) + v * L) : broadcast(T(1));
      store(w + v * L, weight * factor);
      store(ds + v * L, weight * (dw * factor - mean[v]) * scale);
    }
}

// The gradient of one head's rows, wherever it is summed.
template <class T> struct Sums {
  T* data;
  int64_t row;
};

template <class T> static void copyRows(T* to, int64_t toRow, const T* from, int64_t fromRow, int64_t n, int64_t cols) {
  for (int64_t i = 0; i < n; i++) memcpy(to + i * toRow, from + i * fromRow, size_t(cols) * sizeof(T));
}

// Rows whose elements lie side by side, copied to memory of their own.
template <class T> static Rows<T> gathered(const Rows<T>& x, T* own, int64_t n, int64_t cols) {
  if (x.col != 1) return x;
  copyRows(own, cols, x.data, x.row, n, cols);
  return {own, cols, 1};
}

// Queries [r0, r0 + n) of head h: their gradient, and their part in those of the keys and values.
template <class T>
static void backwardTile(const Problem& p, const Step& step, int64_t b, int64_t h, int64_t r0, int64_t n, const Rows<T>& k, const Rows<T>& v, const Sums<T>& dk, const Sums<T>& dv,
                         const BackwardMemory<T>& m) {
  constexpr int64_t ld = kWidth<T>, side = kPanel<T>;
  const Rows<T> q = p.rowsOf<T>(step.in[0], b, h), y = p.rowsOf<T>(asHeads(step.in[3]), b, h), dy = p.rowsOf<T>(asHeads(step.in[5]), b, h);
  T* const result = static_cast<T*>(step.out[0].data) + ((b * p.T + r0) * p.H + h) * p.E;
  const Sums<T> dq = isLarge<T>(p) ? Sums<T>{m.dq, p.E} : Sums<T>{result, p.H * p.E};
  Dropout<T> dropout(p);
  gemm::packB(m.queries, n, 0, q.byRows(p.dtype), 0, p.E, r0, n);
  gemm::packB(m.outputs, n, 0, dy.byRows(p.dtype), 0, p.D, r0, n);
  const int64_t panels = rows::ceilDiv(n, side);
  packPanels(m.queriesAcross, q, p.dtype, r0, n, p.E);
  packPanels(m.outputsAcross, dy, p.dtype, r0, n, p.D);
  for (int64_t i = 0; i < panels * side; i++) m.logs[i] = T(__builtin_inf()), m.means[i] = 0;   // lanes without a query: weight 0
  memcpy(m.logs, static_cast<const T*>(step.in[4].data) + (b * p.H + h) * p.T + r0, size_t(n) * sizeof(T));
  for (int64_t i = 0; i < n; i++) {
    const T *yt = y.data + (r0 + i) * y.row, *dyt = dy.data + (r0 + i) * dy.row;
    double total[1] = {0};
    if (y.col == 1 && dy.col == 1) rows::sums<T, 1>(p.D, total, [=](int64_t d, int lanes, Vec<T>* term) { term[0] = rows::get(yt + d, lanes) * rows::get(dyt + d, lanes); });
    else for (int64_t d = 0; d < p.D; d++) total[0] += double(yt[d * y.col]) * double(dyt[d * dy.col]);
    m.means[i] = T(total[0]);
  }
  for (int64_t j = 0; j < p.S && (!p.causal || j < r0 + n); j += kKeys) {
    const int64_t all = rows::smaller(kKeys, p.S - j);
    const bool diagonal = p.causal && j + all > r0 + 1;
    for (int64_t g = 0; g < panels; g++) {
      const Panel<T> panel = panelOf(p, m.queriesAcross, b, h, r0, n, g);
      const int64_t keys = p.visible(panel.t + panel.count - 1, j, all);
      T *const w = m.weights + g * side, *const ds = m.slopes + g * side;
      if (keys > 0) {
        scores(w, ld, keys, p, panel, k, j);
        product(ds, ld, keys, panel.width(), v.left(j), gemm::Side<T>::packed(m.outputsAcross + g * side * p.D, p.D, 0), p.D, false);
        if (p.dropout > 0) dropout.fill(panel, j, keys);
        withVectors<gemm::kVecs>(panel.width() / kLanes<T>, [&](auto vectors) {
          slope<T, decltype(vectors)::value>(w, ds, keys, T(p.scale), m.logs + g * side, m.means + g * side, p.dropout > 0 ? &dropout : nullptr);
        });
      }
      for (int64_t i = keys; i < all; i++)
        for (int64_t c = 0; c < panel.width(); c++) w[i * ld + c] = ds[i * ld + c] = 0;
    }
    const int64_t keyPart = diagonal ? kPart : all, queryPart = diagonal ? kPart : n;
    for (int64_t i = 0; i < all; i += keyPart) {
      const int64_t keys = rows::smaller(keyPart, all - i), from = p.causal ? rows::larger(j + i - r0, 0) : 0, count = n - from;
      if (count <= 0) break;
      const auto part = [&](const T* tile) { return gemm::Side<T>::direct(tile + i * ld + from, ld, 1); };
      product(dv.data + (j + i) * dv.row, dv.row, keys, p.D, part(m.weights), gemm::Side<T>::packed(m.outputs, n, from), count, true);
      product(dk.data + (j + i) * dk.row, dk.row, keys, p.E, part(m.slopes), gemm::Side<T>::packed(m.queries, n, from), count, true);
    }
    for (int64_t t = 0; t < n; t += queryPart) {
      const int64_t count = rows::smaller(queryPart, n - t), keys = p.visible(r0 + t + count - 1, j, all);
      product(dq.data + t * dq.row, dq.row, count, p.E, gemm::Side<T>::direct(m.slopes + t, 1, ld), gemm::Side<T>::packed(m.keys + j * gemm::wholeVectors<T>(p.E), all, 0), keys, j > 0);
    }
  }
  if (isLarge<T>(p)) copyRows(result, p.H * p.E, m.dq, p.E, n, p.E);
}

}  // namespace attention
}  // namespace GRAFT_ISA_NS
}  // namespace graft
