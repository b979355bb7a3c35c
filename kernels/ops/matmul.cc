// matmul: a [batch..., M, K] times b [batch..., K, N] of any strides, followed by a fused program where the plan has one.
#include "few_rows.h"
#include "gemm.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace gemm {

// int32: wraps around like every integer op.
static int multiplyInt(const Product& p, const Output& out, const Context& context) {
  const int64_t rows = p.batch * p.M, work = p.N * p.K + 1;
  parallelFor(context, rows, work >= kInlineWork ? 1 : kInlineWork / work, [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; r++) {
      const int64_t z = r / p.M, m = r % p.M;
      const int32_t* a = static_cast<const int32_t*>(p.a.data) + p.offset(z, p.aBatch) + m * p.a.row;
      const int32_t* b = static_cast<const int32_t*>(p.b.data) + p.offset(z, p.bBatch);
      for (int64_t n = 0; n < p.N; n++) {
        uint32_t sum = 0;
        for (int64_t k = 0; k < p.K; k++) sum += uint32_t(a[k * p.a.step]) * uint32_t(b[k * p.b.step + n * p.b.row]);
        *static_cast<int32_t*>(out.at(z, m, n)) = int32_t(sum);
      }
    }
  });
  return 0;
}

template <class T> static int multiplyFloat(const Product& p, const Step& step, const Context& context) {
  constexpr DType own = sizeof(T) == 4 ? DType::F32 : DType::F64;
  Output out(p, own, step.out[0], step.program != nullptr);
  Binding binding;
  if (step.program || !out.isDirect) {
    const RegisterClass product = sizeof(T) == 4 ? RegisterClass::F32 : RegisterClass::F64;
    if (!bindEpilogue(binding, step.program, product, step.in + 2, step.inCount - 2, step.out, step.outCount, context)) return 1;
    out.bind(binding);
  }
  if (p.M == 1 || p.N == 1) {
    const Matvec<T> vector(p, out, context);
    if (vector.applies()) return vector.run();
  }
  FewRows<T> few(p, out, context);
  if (few.applies()) return few.run();
  return Gemm<T>(p, out, context).run();
}

}  // namespace gemm

static int runMatmul(const Step& step, const Context& context) {
  gemm::Product p;
  if (gemm::describe(step, context, p)) return 1;
  if (p.batch == 0 || p.M == 0 || p.N == 0) return 0;
  if (gemm::isFloat32Like(p.a.dtype) && gemm::isFloat32Like(p.b.dtype)) return gemm::multiplyFloat<float>(p, step, context);
  if (p.a.dtype == DType::F64 && p.b.dtype == DType::F64) return gemm::multiplyFloat<double>(p, step, context);
  if (p.a.dtype == DType::I32 && p.b.dtype == DType::I32 && step.out[0].dtype == DType::I32 && !step.program) {
    return gemm::multiplyInt(p, gemm::Output(p, DType::I32, step.out[0], false), context);
  }
  __builtin_snprintf(context.error, context.errorLength, "matmul: cannot multiply dtypes %d and %d", int(p.a.dtype), int(p.b.dtype));
  return 1;
}

}  // namespace GRAFT_ISA_NS
}  // namespace graft
