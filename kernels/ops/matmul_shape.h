// What a matmul step multiplies, checked and brought to one form.
#pragma once
#include "gemm_pack.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace gemm {

// a: rows of A (row) by inner index (step). b: columns of B (row) by inner index (step). Batch dims are merged as far as all three views allow.
struct Product {
  int64_t batch, M, N, K;
  Operand a, b;
  int batchRank;
  int64_t batchShape[kMaxRank], aBatch[kMaxRank], bBatch[kMaxRank], outBatch[kMaxRank];
  char* out;                           // of out view 0
  int64_t outRow, outCol;

  int64_t offset(int64_t z, const int64_t* stride) const {
    int64_t at = 0;
    for (int d = batchRank - 1; d > 0; z /= batchShape[d], d--) at += z % batchShape[d] * stride[d];
    return batchRank > 0 ? at + z * stride[0] : 0;
  }
  // Operand x, `stride` being its batch strides, of matrix z.
  Operand matrix(Operand x, int64_t z, const int64_t* stride) const {
    x.data = static_cast<const char*>(x.data) + offset(z, stride) * elementBytes(x.dtype);
    return x;
  }
};

static inline bool isFloat32Like(DType d) { return d == DType::F32 || d == DType::BF16 || d == DType::F16; }

// The stride of an operand along batch dimension d of `rank` output dims: 0 where it is broadcast; -1 when the sizes do not fit.
static inline bool batchStride(const View& x, int32_t outRank, int d, int64_t size, int64_t* stride) {
  const int own = d - (outRank - x.rank);
  *stride = own < 0 || x.shape[own] == 1 ? 0 : x.stride[own];
  return own < 0 || x.shape[own] == 1 || x.shape[own] == size;
}

static int describe(const Step& step, const Context& context, Product& p) {
  const auto fail = [&](const char* why) {
    __builtin_snprintf(context.error, context.errorLength, "matmul: %s", why);
    return 1;
  };
  if (step.inCount < 2 || step.outCount < 1) return fail("needs two inputs and an output");
  const View &a = step.in[0], &b = step.in[1], &out = step.out[0];
  const bool ranks = a.rank >= 2 && b.rank >= 2 && out.rank >= a.rank && out.rank >= b.rank;
  if (!ranks) return fail("a, b and the output need at least two dims, the output as many as either");
  if (a.buffer == -2 || b.buffer == -2) return fail("a virtual index cannot be multiplied");
  if (!step.program && (step.inCount != 2 || step.outCount != 1)) return fail("further views need a program");
  p.M = out.shape[out.rank - 2], p.N = out.shape[out.rank - 1], p.K = a.shape[a.rank - 1];
  if (a.shape[a.rank - 2] != p.M || b.shape[b.rank - 2] != p.K || b.shape[b.rank - 1] != p.N) return fail("the sizes of a, b and the output do not fit");
  p.a = {a.data, a.dtype, a.stride[a.rank - 2], a.stride[a.rank - 1]};
  p.b = {b.data, b.dtype, b.stride[b.rank - 1], b.stride[b.rank - 2]};
  p.out = static_cast<char*>(out.data), p.outRow = out.stride[out.rank - 2], p.outCol = out.stride[out.rank - 1];
  p.batch = 1, p.batchRank = 0;
  for (int d = 0; d < out.rank - 2; d++) {
    int64_t sa, sb;
    const int64_t size = out.shape[d], so = out.stride[d];
    if (!batchStride(a, out.rank, d, size, &sa) || !batchStride(b, out.rank, d, size, &sb)) return fail("the batch dims of a, b and the output do not fit");
    p.batch *= size;
    if (size == 1) continue;
    const int last = p.batchRank - 1;
    if (last >= 0 && p.aBatch[last] == sa * size && p.bBatch[last] == sb * size && p.outBatch[last] == so * size) {
      p.batchShape[last] *= size, p.aBatch[last] = sa, p.bBatch[last] = sb, p.outBatch[last] = so;
    } else {
      p.batchShape[p.batchRank] = size, p.aBatch[p.batchRank] = sa, p.bBatch[p.batchRank] = sb, p.outBatch[p.batchRank] = so;
      p.batchRank++;
    }
  }
  // A size of 1 leaves its stride to the planner's fancy; here every stride means something, since it decides how an operand is packed.
  if (p.K == 1) p.a.step = p.b.step = 1;
  if (p.M == 1) p.a.row = p.outRow = 0;
  if (p.N == 1) p.b.row = p.outCol = 1;
  // One matrix b for the whole batch: the batch is just more rows.
  const bool oneB = p.batchRank == 1 && p.bBatch[0] == 0 && (p.M == 1 || (p.aBatch[0] == p.M * p.a.row && p.outBatch[0] == p.M * p.outRow));
  if (oneB) {
    if (p.M == 1) p.a.row = p.aBatch[0], p.outRow = p.outBatch[0];
    p.M *= p.batch, p.batch = 1, p.batchRank = 0;
  }
  return 0;
}

}  // namespace gemm
}  // namespace GRAFT_ISA_NS
}  // namespace graft
