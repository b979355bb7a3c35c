// attentionBackward  in: q, k, v, y, logs (see attention), dy [B, T, H, D] of any strides like y, key of the dropout and mask where there are
//                    out: dq [B, T, H, E], dk [B, S, Hk, E], dv [B, S, Hk, D]
//                    attrs: scale, 1 if causal, probability that a weight is dropped
//   w = e^(s - log),  f: factors of the dropout (1 without),  dv = (f w)^T dy,  dw = f dy v^T,  ds = w (dw - sum_d dy y) scale,  dq = ds k,  dk = ds^T q
#include "attention_dropout.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace attention {

constexpr int64_t kPart = 32;   // on the diagonal of a causal mask products go by so many keys or queries, to leave out more of what is blocked

// Keys of one key head, packed; of the queries of a task their panels and those of dy for the products with keys and values, both packed again for the
// sums over queries, log and sum_d dy y; and two tiles, [kKeys][kWidth].
template <class T> struct BackwardMemory {
  static constexpr int64_t kWidth = kPanels<T> * kPanel<T>;
  T *keys, *queriesAcross, *outputsAcross, *queries, *outputs, *weights, *slopes, *logs, *means;
  int64_t bytes;
  BackwardMemory(const Problem& p, void* memory) {
    Cutter<T> cut(memory);
    keys = cut.take(packedSize<T>(p.E, p.S));
    queriesAcross = cut.take(kWidth * p.E);
    outputsAcross = cut.take(kWidth * p.D);
    queries = cut.take(packedSize<T>(p.E, kQueries));
    outputs = cut.take(packedSize<T>(p.D, kQueries));
    weights = cut.take(kKeys * kWidth);
    slopes = cut.take(kKeys * kWidth);
    logs = cut.take(kWidth);
    means = cut.take(kWidth);
    bytes = cut.used();
  }
};

// Scores and dw of n keys become w (with the dropout's factors) and ds. `dropout` is NULL where there is none.
template <class T, int NV>
static void slope(T* w, T* ds, int64_t n, T scale, const T* logs, const T* means, const Dropout<T>* dropout) {
  constexpr int L = kLanes<T>;
  constexpr int64_t ld = BackwardMemory<T>::kWidth;
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

// Queries [r0, r0 + n) of head h: their gradient, and their part in those of the keys and values.
template <class T>
static void backwardTile(const Problem& p, const Step& step, int64_t b, int64_t h, int64_t r0, int64_t n, T* dk, T* dv, const BackwardMemory<T>& m) {
  constexpr int64_t ld = BackwardMemory<T>::kWidth, side = kPanel<T>;
  const Rows<T> q = p.rowsOf<T>(step.in[0], b, h), k = p.rowsOf<T>(step.in[1], b, h / p.group()), v = p.rowsOf<T>(step.in[2], b, h / p.group());
  const Rows<T> y = p.rowsOf<T>(asHeads(step.in[3]), b, h), dy = p.rowsOf<T>(asHeads(step.in[5]), b, h);
  const int64_t row = p.H * p.E, keyRow = p.keyHeads * p.E, valueRow = p.keyHeads * p.D;
  T* const dq = static_cast<T*>(step.out[0].data) + (b * p.T + r0) * row + h * p.E;
  Dropout<T> dropout(p);
  gemm::packB(m.queries, n, 0, q.byRows(p.dtype), 0, p.E, r0, n);
  gemm::packB(m.outputs, n, 0, dy.byRows(p.dtype), 0, p.D, r0, n);
  const int64_t panels = rows::ceilDiv(n, side);
  const auto panelAt = [&](int64_t g) { return Panel<T>{b, h, r0 + g * side, rows::smaller(side, n - g * side), m.queriesAcross + g * side * p.E}; };
  for (int64_t g = 0; g < panels; g++) {
    const Panel<T> panel = panelAt(g);
    gemm::packB(m.queriesAcross + g * side * p.E, p.E, 0, q.byColumns(p.dtype), panel.t, panel.count, 0, p.E);
    gemm::packB(m.outputsAcross + g * side * p.D, p.D, 0, dy.byColumns(p.dtype), panel.t, panel.count, 0, p.D);
  }
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
      const Panel<T> panel = panelAt(g);
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
      product(dv + (j + i) * valueRow, valueRow, keys, p.D, part(m.weights), gemm::Side<T>::packed(m.outputs, n, from), count, true);
      product(dk + (j + i) * keyRow, keyRow, keys, p.E, part(m.slopes), gemm::Side<T>::packed(m.queries, n, from), count, true);
    }
    for (int64_t t = 0; t < n; t += queryPart) {
      const int64_t count = rows::smaller(queryPart, n - t), keys = p.visible(r0 + t + count - 1, j, all);
      product(dq + t * row, row, count, p.E, gemm::Side<T>::direct(m.slopes + t, 1, ld), gemm::Side<T>::packed(m.keys + j * gemm::wholeVectors<T>(p.E), all, 0), keys, j > 0);
    }
  }
}

// Key head c of batch b: its keys' and values' gradients are sums over the queries of all heads that use it.
template <class T> static void backwardTask(const Problem& p, const Step& step, int64_t b, int64_t c, const BackwardMemory<T>& m) {
  const Rows<T> k = p.rowsOf<T>(step.in[1], b, c);
  T* const dk = static_cast<T*>(step.out[1].data) + (b * p.S * p.keyHeads + c) * p.E;
  T* const dv = static_cast<T*>(step.out[2].data) + (b * p.S * p.keyHeads + c) * p.D;
  for (int64_t j = 0; j < p.S; j++) {
    memset(dk + j * p.keyHeads * p.E, 0, size_t(p.E) * sizeof(T));
    memset(dv + j * p.keyHeads * p.D, 0, size_t(p.D) * sizeof(T));
  }
  for (int64_t j = 0; j < p.S; j += kKeys) {
    const int64_t n = rows::smaller(kKeys, p.S - j);
    gemm::packB(m.keys + j * gemm::wholeVectors<T>(p.E), n, 0, k.byRows(p.dtype), 0, p.E, j, n);
  }
  for (int64_t h = c * p.group(); h < (c + 1) * p.group(); h++)
    for (int64_t r0 = 0; r0 < p.T; r0 += kQueries) backwardTile<T>(p, step, b, h, r0, rows::smaller(kQueries, p.T - r0), dk, dv, m);
}

template <class T> static int backward(const Problem& p, const Step& step, const Context& context) {
  const int64_t bytes = BackwardMemory<T>(p, nullptr).bytes;
  bool failed = false;
  parallelFor(context, p.B * p.keyHeads, 1, [&](int64_t begin, int64_t end, int worker) {
    void* const memory = context.scratch(context.pool, worker, uint64_t(bytes));
    if (!memory) return __atomic_store_n(&failed, true, __ATOMIC_RELAXED);
    const BackwardMemory<T> m(p, memory);
    for (int64_t t = begin; t < end; t++) backwardTask<T>(p, step, t / p.keyHeads, t % p.keyHeads, m);
  });
  return failed ? memoryShort(context, "attentionBackward") : 0;
}

}  // namespace attention

static int runAttentionBackward(const Step& step, const Context& context) {
  attention::Problem p;
  if (step.outCount != 3 || !attention::describe(step, 3, p)) return attention::refuse(context, "attentionBackward");
  const bool fits = attention::isHeads(attention::asHeads(step.in[3]), p.dtype, p.B, p.H, p.T, p.D) && attention::isHeads(attention::asHeads(step.in[5]), p.dtype, p.B, p.H, p.T, p.D) &&
                    rows::isVector(step.in[4], p.dtype, p.B * p.H * p.T) && rows::isVector(step.out[0], p.dtype, p.B * p.H * p.T * p.E) &&
                    rows::isVector(step.out[1], p.dtype, p.B * p.keyHeads * p.S * p.E) && rows::isVector(step.out[2], p.dtype, p.B * p.keyHeads * p.S * p.D);
  if (!fits) return attention::refuse(context, "attentionBackward");
  return p.dtype == DType::F32 ? attention::backward<float>(p, step, context) : attention::backward<double>(p, step, context);
}

}  // namespace GRAFT_ISA_NS
}  // namespace graft
