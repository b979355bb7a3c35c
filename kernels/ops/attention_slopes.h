// The gradients of one tile of queries.
//   w = e^(s - log),  f: factors of the dropout (1 without),  dv = (f w)^T dy,  dw = f dy v^T,  ds = w (dw - sum_d dy y) scale,  dq = ds k,  dk = ds^T q
#pragma once
#include "attention_dropout.h"
#include "attention_memory.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace attention {

constexpr int64_t kPart = 32;   // keys or queries of a part, where a tile is blocked in part

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

// What the panels of a task see of one tile. Where they see different keys, products go by parts of the tile and leave out what is blocked.
template <class T> struct Sight {
  Seen seen[kWidth<T> / kPanel<T>];
  int64_t n, panels;
  Span any{0, 0};        // keys that some query sees
  bool differ = false;   // whether a panel does not see all of these

  template <class Of> Sight(const Problem& p, int64_t n_, int64_t j, int64_t all, const Of& panel) : n(n_), panels(rows::ceilDiv(n_, kPanel<T>)) {
    for (int64_t g = 0; g < panels; g++) any = any.with((seen[g] = seenOf(p, panel(g), j, all)).keys);
    for (int64_t g = 0; g < panels; g++) differ = differ || !(seen[g].keys == any);
  }
  Span queriesOf(const Span& keys) const {
    Span queries{0, 0};
    for (int64_t g = 0; g < panels; g++)
      if (seen[g].keys.meets(keys)) queries = queries.with({g * kPanel<T>, rows::smaller((g + 1) * kPanel<T>, n)});
    return queries;
  }
  Span keysOf(const Span& queries) const {
    Span keys{0, 0};
    for (int64_t g = queries.from / kPanel<T>; g * kPanel<T> < queries.to; g++) keys = keys.with(seen[g].keys);
    return keys;
  }
};

template <class T> static void clearRows(T* w, T* ds, int64_t from, int64_t to, int64_t cols) {
  for (int64_t i = from; i < to; i++)
    for (int64_t c = 0; c < cols; c++) w[i * kWidth<T> + c] = ds[i * kWidth<T> + c] = 0;
}

// Sum over d of dy y, for each of n queries.
template <class T> static void meansOf(const Rows<T>& y, const Rows<T>& dy, int64_t r0, int64_t n, int64_t D, T* means) {
  for (int64_t i = 0; i < n; i++) {
    const T *yt = y.data + (r0 + i) * y.row, *dyt = dy.data + (r0 + i) * dy.row;
    double total[1] = {0};
    if (y.col == 1 && dy.col == 1) rows::sums<T, 1>(D, total, [=](int64_t d, int lanes, Vec<T>* term) { term[0] = rows::get(yt + d, lanes) * rows::get(dyt + d, lanes); });
    else for (int64_t d = 0; d < D; d++) total[0] += double(yt[d * y.col]) * double(dyt[d * dy.col]);
    means[i] = T(total[0]);
  }
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
  meansOf(y, dy, r0, n, p.D, m.means);
  if (p.mask) for (int64_t i = 0; i < n; i++) memset(dq.data + i * dq.row, 0, size_t(p.E) * sizeof(T));   // of the first tile some may see nothing
  const auto panelAt = [&](int64_t g) { return panelOf(p, m.queriesAcross, b, h, r0, n, g); };
  for (int64_t j = 0; j < p.S && (!p.causal || j < r0 + n); j += kKeys) {
    const int64_t all = rows::smaller(kKeys, p.S - j);
    const Sight<T> sight(p, n, j, all, panelAt);
    const Span any = sight.any;
    for (int64_t g = 0; g < panels; g++) {
      const Panel<T> panel = panelAt(g);
      const Span keys = sight.seen[g].keys.isEmpty() ? Span{any.from, any.from} : sight.seen[g].keys;
      T *const w = m.weights + g * side, *const ds = m.slopes + g * side, *const seenW = w + keys.from * ld, *const seenDs = ds + keys.from * ld;
      if (!keys.isEmpty()) {
        scores(seenW, ld, keys.count(), p, panel, k, j + keys.from, !sight.seen[g].whole);
        product(seenDs, ld, keys.count(), panel.width(), v.left(j + keys.from), gemm::Side<T>::packed(m.outputsAcross + g * side * p.D, p.D, 0), p.D, false);
        if (p.dropout > 0) dropout.fill(panel, j + keys.from, keys.count());
        withVectors<gemm::kVecs>(panel.width() / kLanes<T>, [&](auto vectors) {
          slope<T, decltype(vectors)::value>(seenW, seenDs, keys.count(), T(p.scale), m.logs + g * side, m.means + g * side, p.dropout > 0 ? &dropout : nullptr);
        });
      }
      clearRows(w, ds, any.from, keys.from, panel.width());
      clearRows(w, ds, keys.to, any.to, panel.width());
    }
    const int64_t keyPart = sight.differ ? kPart : any.count(), queryPart = sight.differ ? kPart : n;
    for (int64_t i = any.from; i < any.to; i += keyPart) {
      const int64_t keys = rows::smaller(keyPart, any.to - i);
      const Span queries = sight.queriesOf({i, i + keys});
      if (queries.isEmpty()) continue;
      const auto part = [&](const T* tile) { return gemm::Side<T>::direct(tile + i * ld + queries.from, ld, 1); };
      product(dv.data + (j + i) * dv.row, dv.row, keys, p.D, part(m.weights), gemm::Side<T>::packed(m.outputs, n, queries.from), queries.count(), true);
      product(dk.data + (j + i) * dk.row, dk.row, keys, p.E, part(m.slopes), gemm::Side<T>::packed(m.queries, n, queries.from), queries.count(), true);
    }
    for (int64_t t = 0; t < n; t += queryPart) {
      const int64_t count = rows::smaller(queryPart, n - t);
      const Span keys = sight.keysOf({t, t + count});
      if (keys.isEmpty()) continue;
      const gemm::Side<T> slopes = gemm::Side<T>::direct(m.slopes + keys.from * ld + t, 1, ld), packed = gemm::Side<T>::packed(m.keys + j * gemm::wholeVectors<T>(p.E), all, keys.from);
      product(dq.data + t * dq.row, dq.row, count, p.E, slopes, packed, keys.count(), p.mask || j > 0);
    }
  }
  if (isLarge<T>(p)) copyRows(result, p.H * p.E, m.dq, p.E, n, p.E);
}

}  // namespace attention
}  // namespace GRAFT_ISA_NS
}  // namespace graft
