// The machine's other limit, measured: a copy in memory, nothing else. in: f32 [n]; out: f32 [n]; both contiguous. attrs: streaming (1: stores that go
// past the caches, so that a line is not read before it is overwritten, which is the fastest copy of blocks larger than the caches; 0: ordinary stores).
#include "../core/kernel.h"
#include "../simd/stream.h"

namespace graft {
namespace GRAFT_ISA_NS {

static int runBandwidth(const Step& step, const Context& context) {
  const bool fits = step.inCount == 1 && step.outCount == 1 && step.attrCount == 1;
  if (!fits || step.in[0].dtype != DType::F32 || step.out[0].dtype != DType::F32 || step.in[0].rank != 1 || step.out[0].rank != 1 ||
      step.in[0].shape[0] != step.out[0].shape[0] || step.in[0].stride[0] != 1 || step.out[0].stride[0] != 1) {
    __builtin_snprintf(context.error, context.errorLength, "bandwidth: expected two contiguous f32 vectors of one length");
    return 1;
  }
  const float* from = static_cast<const float*>(step.in[0].data);
  float* to = static_cast<float*>(step.out[0].data);
  const bool streaming = step.attrs[0] != 0 && reinterpret_cast<uintptr_t>(to) % sizeof(Vec<float>) == 0;
  constexpr int64_t kPiece = 1 << 18;  // elements: a multiple of every vector's lanes
  parallelFor(context, step.out[0].shape[0], kPiece, [&](int64_t begin, int64_t end, int) {
    constexpr int64_t L = kLanes<float>;
    int64_t i = begin;
    if (streaming)
      for (; i + L <= end; i += L) storeStream(to + i, load(from + i));
    else
      for (; i + L <= end; i += L) store(to + i, load(from + i));
    for (; i < end; i++) to[i] = from[i];
    fenceStream();
  });
  return 0;
}

}  // namespace GRAFT_ISA_NS
}  // namespace graft
