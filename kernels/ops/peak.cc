// The machine's own limit, measured: independent fused multiply-adds on registers, nothing else. attrs: iterations. out: one f32 per unit of work, so
// that the sums are not optimised away. A unit does iterations * kChains * lanes multiply-adds.
#include "../core/kernel.h"
#include "../simd/vec.h"

namespace graft {
namespace GRAFT_ISA_NS {

constexpr int kChains = 12;   // enough independent sums to hide the latency of 4 cycles on 2 units, few enough for 16 registers

static int runPeak(const Step& step, const Context& context) {
  if (step.inCount != 0 || step.outCount != 1 || step.attrCount != 1 || step.out[0].dtype != DType::F32 || step.out[0].rank != 1) {
    __builtin_snprintf(context.error, context.errorLength, "peak: expected one f32 vector and the number of iterations");
    return 1;
  }
  const int64_t iterations = int64_t(step.attrs[0]), stride = step.out[0].stride[0];
  float* out = static_cast<float*>(step.out[0].data);
  parallelFor(context, step.out[0].shape[0], 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t unit = begin; unit < end; unit++) {
      Vec<float> sum[kChains];
      // Starts that the compiler cannot know: from 1 it would see that 1 * scale + shift stays 1, and leave that chain out.
      const float start = 1.0f + 1.0f / float(iterations + 2);
      for (int i = 0; i < kChains; i++) sum[i] = broadcast(start + float(i));
      const Vec<float> scale = broadcast(0.9999f), shift = broadcast(1e-4f);
      for (int64_t n = 0; n < iterations; n++)
#pragma GCC unroll 12
        for (int i = 0; i < kChains; i++) sum[i] = sum[i] * scale + shift;
      Vec<float> total = sum[0];
      for (int i = 1; i < kChains; i++) total += sum[i];
      float x = 0;
      for (int i = 0; i < kLanes<float>; i++) x += total[i];
      out[unit * stride] = x;
    }
  });
  return 0;
}

}  // namespace GRAFT_ISA_NS
}  // namespace graft
