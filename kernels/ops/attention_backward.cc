// attentionBackward  in: q, k, v, y, logs (see attention), dy [B, T, H, D] of any strides like y, key of the dropout and mask where there are
//                    out: dq [B, T, H, E], dk [B, S, Hk, E], dv [B, S, Hk, D]
//                    attrs: scale, 1 if causal, probability that a weight is dropped
#include "attention_slopes.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace attention {

// Key head c of batch b: its keys' and values' gradients are sums over the queries of all heads that use it.
template <class T> static void backwardTask(const Problem& p, const Step& step, int64_t b, int64_t c, const BackwardMemory<T>& m) {
  Rows<T> k = p.rowsOf<T>(step.in[1], b, c), v = p.rowsOf<T>(step.in[2], b, c);
  const Sums<T> keyResult{static_cast<T*>(step.out[1].data) + (b * p.S * p.keyHeads + c) * p.E, p.keyHeads * p.E};
  const Sums<T> valueResult{static_cast<T*>(step.out[2].data) + (b * p.S * p.keyHeads + c) * p.D, p.keyHeads * p.D};
  Sums<T> dk = keyResult, dv = valueResult;
  if (isLarge<T>(p)) {
    k = gathered(k, m.ownKeys, p.S, p.E), v = gathered(v, m.ownValues, p.S, p.D);
    dk = {m.dk, p.E}, dv = {m.dv, p.D};
  }
  for (int64_t j = 0; j < p.S; j++) {
    memset(dk.data + j * dk.row, 0, size_t(p.E) * sizeof(T));
    memset(dv.data + j * dv.row, 0, size_t(p.D) * sizeof(T));
  }
  for (int64_t j = 0; j < p.S; j += kKeys) {
    const int64_t n = rows::smaller(kKeys, p.S - j);
    gemm::packB(m.keys + j * gemm::wholeVectors<T>(p.E), n, 0, k.byRows(p.dtype), 0, p.E, j, n);
  }
  for (int64_t h = c * p.group(); h < (c + 1) * p.group(); h++)
    for (int64_t r0 = 0; r0 < p.T; r0 += kQueries) backwardTile<T>(p, step, b, h, r0, rows::smaller(kQueries, p.T - r0), k, v, dk, dv, m);
  if (!isLarge<T>(p)) return;
  copyRows(keyResult.data, keyResult.row, dk.data, dk.row, p.S, p.E);
  copyRows(valueResult.data, valueResult.row, dv.data, dv.row, p.S, p.D);
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
