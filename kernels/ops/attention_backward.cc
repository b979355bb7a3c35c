// attentionBackward  in: q, k, v, y, logs (see attention), dy [B, H, T, D], key of the dropout and mask where there are; out: dq, dk, dv
//                    attrs: scale, 1 if causal, probability that a weight is dropped
//   w = e^(s - log),  f: factors of the dropout (1 without),  dv = (f w)^T dy,  dw = f dy v^T,  ds = w (dw - sum_d dy y) scale,  dq = ds k,  dk = ds^T q
#include "attention_dropout.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace attention {

// What a task holds packed: keys and values of one key head, queries and output gradients of one of its heads; and two tiles.
template <class T> struct BackwardMemory {
  T *keysAcross, *keys, *valuesAcross, *queries, *outputs, *weights, *slopes, *means;
  int64_t bytes;
  BackwardMemory(const Problem& p, void* memory) {
    Cutter<T> cut(memory);
    const int64_t S = rows::ceilDiv(p.S, kKeys) * kKeys, length = rows::ceilDiv(p.T, kQueries) * kQueries;
    keysAcross = cut.take(S * p.E);
    keys = cut.take(packedSize<T>(p.E, S));
    valuesAcross = cut.take(S * p.D);
    queries = cut.take(packedSize<T>(p.E, length));
    outputs = cut.take(packedSize<T>(p.D, length));
    weights = cut.take(kQueries * kKeys);
    slopes = cut.take(kQueries * kKeys);
    means = cut.take(p.T);
    bytes = cut.used();
  }
};

// Key head c of batch b: its keys' and values' gradients are sums over the queries of all heads that use it.
template <class T> static void backwardTask(const Problem& p, const Step& step, int64_t b, int64_t c, const BackwardMemory<T>& m) {
  const Rows<T> k = p.rowsOf<T>(step.in[1], b, c), v = p.rowsOf<T>(step.in[2], b, c);
  T* const dk = static_cast<T*>(step.out[1].data) + (b * p.keyHeads + c) * p.S * p.E;
  T* const dv = static_cast<T*>(step.out[2].data) + (b * p.keyHeads + c) * p.S * p.D;
  Dropout<T> dropout(p);
  memset(dk, 0, size_t(p.S * p.E) * sizeof(T));
  memset(dv, 0, size_t(p.S * p.D) * sizeof(T));
  const int64_t keyWidth = gemm::wholeVectors<T>(p.E), valueWidth = gemm::wholeVectors<T>(p.D);
  for (int64_t j = 0; j < p.S; j += kKeys) {
    const int64_t n = rows::smaller(kKeys, p.S - j);
    gemm::packB(m.keysAcross + j * p.E, p.E, 0, k.byColumns(p.dtype), j, n, 0, p.E);
    gemm::packB(m.valuesAcross + j * p.D, p.D, 0, v.byColumns(p.dtype), j, n, 0, p.D);
    gemm::packB(m.keys + j * keyWidth, n, 0, k.byRows(p.dtype), 0, p.E, j, n);
  }
  for (int64_t h = c * p.group(); h < (c + 1) * p.group(); h++) {
    const Rows<T> q = p.rowsOf<T>(step.in[0], b, h), y = p.rowsOf<T>(step.in[3], b, h), dy = p.rowsOf<T>(step.in[5], b, h);
    const T* const logs = static_cast<const T*>(step.in[4].data) + (b * p.H + h) * p.T;
    T* const dq = static_cast<T*>(step.out[0].data) + (b * p.H + h) * p.T * p.E;
    memset(dq, 0, size_t(p.T * p.E) * sizeof(T));
    for (int64_t t = 0; t < p.T; t++) {
      const T *yt = y.data + t * y.row, *dyt = dy.data + t * dy.row;
      double total[1] = {0};
      if (y.col == 1 && dy.col == 1) rows::sums<T, 1>(p.D, total, [=](int64_t i, int lanes, Vec<T>* term) { term[0] = rows::get(yt + i, lanes) * rows::get(dyt + i, lanes); });
      else for (int64_t i = 0; i < p.D; i++) total[0] += double(yt[i * y.col]) * double(dyt[i * dy.col]);
      m.means[t] = T(total[0]);
    }
    for (int64_t r0 = 0; r0 < p.T; r0 += kQueries) {
      const int64_t n = rows::smaller(kQueries, p.T - r0);
      gemm::packB(m.queries + r0 * keyWidth, n, 0, q.byRows(p.dtype), 0, p.E, r0, n);
      gemm::packB(m.outputs + r0 * valueWidth, n, 0, dy.byRows(p.dtype), 0, p.D, r0, n);
      for (int64_t j = 0; j < p.S && (!p.causal || j < r0 + n); j += kKeys) {
        const int64_t all = rows::smaller(kKeys, p.S - j), keys = p.causal ? rows::smaller(all, r0 + n - j) : all;
        const int64_t from = p.firstQuery(j) > r0 ? p.firstQuery(j) - r0 : 0, count = n - from;
        product(m.weights, kKeys, count, all, q.left(r0 + from), gemm::Side<T>::packed(m.keysAcross + j * p.E, p.E, 0), p.E, false);
        product(m.slopes, kKeys, count, all, dy.left(r0 + from), gemm::Side<T>::packed(m.valuesAcross + j * p.D, p.D, 0), p.D, false);
        for (int64_t i = 0; i < count; i++) {
          const int64_t t = r0 + from + i, seen = p.visible(t, j, keys);
          T *const w = m.weights + i * kKeys, *const ds = m.slopes + i * kKeys;
          const T log = logs[t], mean = m.means[t], scale = T(p.scale);
          blockScores(w, seen, p, b, h, t, j);
          if (p.dropout > 0) {
            const T* const f = dropout.factors(b, h, t, i, j);
            rows::each<T>(seen, [=](int64_t at, int lanes) {
              const Vec<T> weight = expDown(rows::get(w + at, lanes) * scale - log), factor = rows::get(f + at, lanes);
              rows::put(w + at, weight * factor, lanes);
              rows::put(ds + at, weight * (rows::get(ds + at, lanes) * factor - mean) * scale, lanes);
            });
          } else {
            rows::each<T>(seen, [=](int64_t at, int lanes) {
              const Vec<T> weight = expDown(rows::get(w + at, lanes) * scale - log);
              rows::put(w + at, weight, lanes);
              rows::put(ds + at, weight * (rows::get(ds + at, lanes) - mean) * scale, lanes);
            });
          }
          for (int64_t at = seen; at < keys; at++) w[at] = ds[at] = 0;
        }
        product(dv + j * p.D, p.D, keys, p.D, gemm::Side<T>::direct(m.weights, 1, kKeys), gemm::Side<T>::packed(m.outputs + r0 * valueWidth, n, from), count, true);
        product(dk + j * p.E, p.E, keys, p.E, gemm::Side<T>::direct(m.slopes, 1, kKeys), gemm::Side<T>::packed(m.queries + r0 * keyWidth, n, from), count, true);
        product(dq + (r0 + from) * p.E, p.E, count, p.E, gemm::Side<T>::direct(m.slopes, kKeys, 1), gemm::Side<T>::packed(m.keys + j * keyWidth, all, 0), keys, true);
      }
    }
  }
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
  const bool fits = attention::isHeads(step.in[3], p.dtype, p.B, p.H, p.T, p.D) && attention::isHeads(step.in[5], p.dtype, p.B, p.H, p.T, p.D) &&
                    rows::isVector(step.in[4], p.dtype, p.B * p.H * p.T) && rows::isVector(step.out[0], p.dtype, p.B * p.H * p.T * p.E) &&
                    rows::isVector(step.out[1], p.dtype, p.B * p.keyHeads * p.S * p.E) && rows::isVector(step.out[2], p.dtype, p.B * p.keyHeads * p.S * p.D);
  if (!fits) return attention::refuse(context, "attentionBackward");
  return p.dtype == DType::F32 ? attention::backward<float>(p, step, context) : attention::backward<double>(p, step, context);
}

}  // namespace GRAFT_ISA_NS
}  // namespace graft
