// attention  in: q [B, H, T, E], k [B, Hk, S, E], v [B, Hk, S, D], key of the dropout i32 [4] where there is one, mask [B, H, T, S] (bool) where there is one,
//            all of any strides
//            out: y [B, T, H, D], log of the sum of e^s of each query [B, H, T] (infinity where it sees nothing)
//            attrs: scale, 1 if causal, probability that a weight is dropped (from y, not from the sum)
#include "../simd/transpose.h"
#include "attention_dropout.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace attention {

// One tile, and of each panel its queries, its result so far ([D][kPanel]), the largest score and the sum of weights relative to it.
template <class T> struct ForwardMemory {
  T *weights, *queries, *sums, *top, *total;
  int64_t bytes;
  ForwardMemory(const Problem& p, void* memory) {
    Cutter<T> cut(memory);
    weights = cut.take(kKeys * kPanel<T>);
    queries = cut.take(kWidth<T> * p.E);
    sums = cut.take(kWidth<T> * p.D);
    top = cut.take(kWidth<T>);
    total = cut.take(kWidth<T>);
    bytes = cut.used();
  }
};

// The scores of n keys become weights relative to the largest score so far; what was summed before is scaled to it.
template <class T, int NV> static void weigh(T* w, int64_t n, T scale, T* top, T* total, T* sums, int64_t D, bool isFirst) {
  constexpr int L = kLanes<T>;
  const T lowest = -T(__builtin_inf());
  Vec<T> largest[2][NV], added[2][NV] = {}, shift[NV], factor[NV], one[NV];
  for (int v = 0; v < NV; v++) largest[0][v] = largest[1][v] = broadcast(lowest), one[v] = broadcast(T(1));
  const auto eachRow = [&](const auto& body) {
    int64_t i = 0;
    for (; i + 2 <= n; i += 2)
#pragma GCC unroll 2
      for (int r = 0; r < 2; r++)
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) body(w + (i + r) * kPanel<T> + v * L, r, v);
    if (i < n)
#pragma GCC unroll 4
      for (int v = 0; v < NV; v++) body(w + i * kPanel<T> + v * L, 0, v);
  };
  eachRow([&](const T* s, int r, int v) {
    const Vec<T> x = load(s);
    largest[r][v] = largest[r][v] > x ? largest[r][v] : x;
  });
  for (int v = 0; v < NV; v++) {
    const Vec<T> found = (largest[0][v] > largest[1][v] ? largest[0][v] : largest[1][v]) * scale, before = load(top + v * L), next = before > found ? before : found;
    shift[v] = next == lowest ? Vec<T>{} : next;   // nothing seen yet: e^(-inf - 0) = 0
    factor[v] = expDown(before - shift[v]);
    store(top + v * L, next);
  }
  eachRow([&](T* s, int r, int v) {
    const Vec<T> weight = expDown(load(s) * scale - shift[v]);
    store(s, weight);
    added[r][v] += weight;
  });
  for (int v = 0; v < NV; v++) store(total + v * L, load(total + v * L) * factor[v] + (added[0][v] + added[1][v]));
  if (isFirst || memcmp(factor, one, sizeof one) == 0) return;
  for (int64_t d = 0; d < D; d++)
    for (int v = 0; v < NV; v++) store(sums + d * kPanel<T> + v * L, load(sums + d * kPanel<T> + v * L) * factor[v]);
}

template <class T> static void drop(T* weights, int64_t n, int64_t width, const Dropout<T>& dropout) {
  for (int64_t i = 0; i < n; i++)
    for (int64_t c = 0; c < width; c++) weights[i * kPanel<T> + c] *= dropout.row(i)[c];
}

// Queries [r0, r0 + n) of head h.
template <class T> static void forwardTask(const Problem& p, const Step& step, int64_t b, int64_t h, int64_t r0, int64_t n, const ForwardMemory<T>& m) {
  constexpr int L = kLanes<T>;
  const Rows<T> q = p.rowsOf<T>(step.in[0], b, h), k = p.rowsOf<T>(step.in[1], b, h / p.group()), v = p.rowsOf<T>(step.in[2], b, h / p.group());
  T* const logs = static_cast<T*>(step.out[1].data) + (b * p.H + h) * p.T;
  T* const y = static_cast<T*>(step.out[0].data) + (b * p.T * p.H + h) * p.D;
  Dropout<T> dropout(p);
  const int64_t panels = rows::ceilDiv(n, kPanel<T>), last = p.causal ? rows::smaller(p.S, r0 + n) : p.S;
  packPanels(m.queries, q, p.dtype, r0, n, p.E);
  for (int64_t i = 0; i < panels * kPanel<T>; i++) m.top[i] = -T(__builtin_inf()), m.total[i] = 0;
  bool begun[kWidth<T> / kPanel<T>] = {};
  for (int64_t j = 0; j < last; j += kKeys)
    for (int64_t g = 0; g < panels; g++) {
      const Panel<T> panel = panelOf(p, m.queries, b, h, r0, n, g);
      const Seen seen = seenOf(p, panel, j, rows::smaller(kKeys, p.S - j));
      const int64_t first = j + seen.keys.from, keys = seen.keys.count();
      if (keys == 0) continue;
      T* const sums = m.sums + g * kPanel<T> * p.D;
      scores(m.weights, kPanel<T>, keys, p, panel, k, first, !seen.whole);
      withVectors<gemm::kVecs>(panel.width() / L, [&](auto vectors) {
        weigh<T, decltype(vectors)::value>(m.weights, keys, T(p.scale), m.top + g * kPanel<T>, m.total + g * kPanel<T>, sums, p.D, !begun[g]);
      });
      if (p.dropout > 0) dropout.fill(panel, first, keys), drop(m.weights, keys, panel.width(), dropout);
      product(sums, kPanel<T>, p.D, panel.width(), v.columns(first), gemm::Side<T>::direct(m.weights, 1, kPanel<T>), keys, begun[g]);
      begun[g] = true;
    }
  for (int64_t g = 0; g < panels; g++) {
    const Panel<T> panel = panelOf(p, m.queries, b, h, r0, n, g);
    T* const sums = m.sums + g * kPanel<T> * p.D;
    if (!begun[g]) memset(sums, 0, size_t(kPanel<T> * p.D) * sizeof(T));   // its queries see nothing
    for (int64_t c = 0; c < panel.width(); c += L) {
      const Vec<T> top = load(m.top + g * kPanel<T> + c), total = load(m.total + g * kPanel<T> + c), scale = total == 0 ? Vec<T>{} : 1 / total;
      const Vec<T> sum = total == 0 ? broadcast(T(__builtin_inf())) : top + log(total);
      rows::put(logs + panel.t + c, sum, int(rows::smaller(L, panel.count - c)));
      for (int64_t d = 0; d < p.D; d++) store(sums + d * kPanel<T> + c, load(sums + d * kPanel<T> + c) * scale);
    }
    transpose(sums, kPanel<T>, y + panel.t * p.H * p.D, p.H * p.D, panel.count, p.D);
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
