// attention  in: q [B, H, T, E], k [B, Hk, S, E], v [B, Hk, S, D], key of the dropout i32 [4] where there is one, mask [B, H, T, S] (bool) where there is one,
//            all of any strides
//            out: y [B, H, T, D], log of the sum of e^s of each query [B, H, T] (infinity where it sees nothing)
//            attrs: scale, 1 if causal, probability that a weight is dropped (from y, not from the sum)
#include "attention_dropout.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace attention {

template <class T> struct ForwardMemory {
  T *scores, *keys, *values, *top, *total;
  int64_t bytes;
  ForwardMemory(const Problem& p, void* memory) {
    Cutter<T> cut(memory);
    scores = cut.take(kQueries * kKeys);
    keys = cut.take(packedSize<T>(kKeys, p.E));
    values = cut.take(packedSize<T>(p.D, kKeys));
    top = cut.take(kQueries);
    total = cut.take(kQueries);
    bytes = cut.used();
  }
};

// One tile's scores of one query become weights relative to the largest score so far; what was summed before is scaled to it.
template <class T>
static void weigh(T* s, int64_t n, int64_t seen, T scale, T& top, T& total, T* sum, int64_t D) {
  const T lowest = -T(__builtin_inf());
  const T found = seen ? rows::largest<false>(s, seen) * scale : lowest, next = found > top || found != found ? found : top;
  double added[1] = {0};
  if (next != lowest && seen)
    rows::sums<T, 1>(seen, added, [=](int64_t i, int lanes, Vec<T>* term) {
      term[0] = expDown(rows::get(s + i, lanes) * scale - next);
      rows::put(s + i, term[0], lanes);
    });
  else
    seen = 0;
  for (int64_t i = seen; i < n; i++) s[i] = 0;
  if (top != next && top != lowest) {
    const T factor = exp(broadcast(T(top - next)))[0];
    total *= factor;
    rows::each<T>(D, [=](int64_t i, int lanes) { rows::put(sum + i, rows::get(sum + i, lanes) * factor, lanes); });
  }
  top = next;
  total += T(added[0]);
}

template <class T> static void drop(T* weights, const T* factors, int64_t n) {
  rows::each<T>(n, [=](int64_t i, int lanes) { rows::put(weights + i, rows::get(weights + i, lanes) * rows::get(factors + i, lanes), lanes); });
}

// Queries [r0, r0 + n) of head h.
template <class T> static void forwardTask(const Problem& p, const Step& step, int64_t b, int64_t h, int64_t r0, int64_t n, const ForwardMemory<T>& m) {
  const Rows<T> q = p.rowsOf<T>(step.in[0], b, h), k = p.rowsOf<T>(step.in[1], b, h / p.group()), v = p.rowsOf<T>(step.in[2], b, h / p.group());
  T* const y = static_cast<T*>(step.out[0].data) + ((b * p.H + h) * p.T + r0) * p.D;
  T* const logs = static_cast<T*>(step.out[1].data) + (b * p.H + h) * p.T + r0;
  Dropout<T> dropout(p);
  for (int64_t i = 0; i < n; i++) m.top[i] = -T(__builtin_inf()), m.total[i] = 0;
  memset(y, 0, size_t(n * p.D) * sizeof(T));
  const int64_t last = p.causal ? rows::smaller(p.S, r0 + n) : p.S;
  for (int64_t j = 0; j < last; j += kKeys) {
    const int64_t keys = rows::smaller(kKeys, last - j), from = p.firstQuery(j) > r0 ? p.firstQuery(j) - r0 : 0, count = n - from;
    gemm::packB(m.keys, p.E, 0, k.byColumns(p.dtype), j, keys, 0, p.E);
    gemm::packB(m.values, keys, 0, v.byRows(p.dtype), 0, p.D, j, keys);
    product(m.scores, kKeys, count, keys, q.left(r0 + from), gemm::Side<T>::packed(m.keys, p.E, 0), p.E, false);
    for (int64_t i = 0; i < count; i++) {
      const int64_t t = r0 + from + i, seen = p.visible(t, j, keys);
      blockScores(m.scores + i * kKeys, seen, p, b, h, t, j);
      weigh(m.scores + i * kKeys, keys, seen, T(p.scale), m.top[from + i], m.total[from + i], y + (from + i) * p.D, p.D);
      if (p.dropout > 0) drop(m.scores + i * kKeys, dropout.factors(b, h, t, i, j), seen);
    }
    product(y + from * p.D, p.D, count, p.D, gemm::Side<T>::direct(m.scores, kKeys, 1), gemm::Side<T>::packed(m.values, keys, 0), keys, true);
  }
  for (int64_t i = 0; i < n; i++) {
    const bool blind = m.total[i] == 0;
    const T scale = blind ? T(0) : 1 / m.total[i];
    T* const out = y + i * p.D;
    rows::each<T>(p.D, [=](int64_t c, int lanes) { rows::put(out + c, rows::get(out + c, lanes) * scale, lanes); });
    logs[i] = blind ? T(__builtin_inf()) : m.top[i] + T(__builtin_log(double(m.total[i])));
  }
}

template <class T> static int forward(const Problem& p, const Step& step, const Context& context) {
  const int64_t blocks = rows::ceilDiv(p.T, kQueries), bytes = ForwardMemory<T>(p, nullptr).bytes;
  bool failed = false;
  parallelFor(context, p.B * p.H * blocks, 1, [&](int64_t begin, int64_t end, int worker) {
    void* const memory = context.scratch(context.pool, worker, uint64_t(bytes));
    if (!memory) return __atomic_store_n(&failed, true, __ATOMIC_RELAXED);
    const ForwardMemory<T> m(p, memory);
    for (int64_t t = begin; t < end; t++) {
      const int64_t r0 = (blocks - 1 - t % blocks) * kQueries;   // causal: those with most to do first
      forwardTask<T>(p, step, t / blocks / p.H, t / blocks % p.H, r0, rows::smaller(kQueries, p.T - r0), m);
    }
  });
  return failed ? memoryShort(context, "attention") : 0;
}

}  // namespace attention

static int runAttention(const Step& step, const Context& context) {
  attention::Problem p;
  if (step.outCount != 2 || !attention::describe(step, 0, p)) return attention::refuse(context, "attention");
  if (!rows::isVector(step.out[0], p.dtype, p.B * p.H * p.T * p.D) || !rows::isVector(step.out[1], p.dtype, p.B * p.H * p.T)) return attention::refuse(context, "attention");
  return p.dtype == DType::F32 ? attention::forward<float>(p, step, context) : attention::forward<double>(p, step, context);
}

}  // namespace GRAFT_ISA_NS
}  // namespace graft
