// All kernels of one instruction set: binding.gyp compiles this file once per set, with its own flags. To add a kernel: include it, add its line.
#include "../core/kernel.h"
#include "../simd/vec.h"

#include "map.cc"
#include "reduce.cc"
#include "random.cc"
#include "batch_norm.cc"
#include "cross_entropy.cc"
#include "distance.cc"
#include "group_norm.cc"
#include "norm.cc"
#include "softmax.cc"
#include "matmul.cc"
#include "conv.cc"
#include "conv_weight.cc"
#include "pool.cc"
#include "pool_average.cc"
#include "argreduce.cc"
#include "attention.cc"
#include "attention_backward.cc"
#include "cat.cc"
#include "ctc.cc"
#include "gather.cc"
#include "linalg.cc"
#include "pad.cc"
#include "peak.cc"
#include "bandwidth.cc"
#include "quant.cc"
#include "scan.cc"
#include "sort.cc"

#define GRAFT_JOIN(a, b) a##b
#define GRAFT_KERNELS_OF(isa) GRAFT_JOIN(kernels_, isa)

namespace graft {
namespace GRAFT_ISA_NS {

// Name, function, and for a kernel that takes an epilogue the number of its own inputs.
static constexpr KernelEntry kKernels[] = {
    {"map", runMap},
    {"reduce", runReduce},
    {"random", runRandom},
    {"softmax", runSoftmax},
    {"softmaxBackward", runSoftmaxBackward},
    {"crossEntropy", runCrossEntropy},
    {"crossEntropyBackward", runCrossEntropyBackward},
    {"norm", runNorm},
    {"normBackward", runNormBackward},
    {"batchNorm", runBatchNorm},
    {"batchNormBackward", runBatchNormBackward},
    {"groupNorm", runGroupNorm},
    {"groupNormBackward", runGroupNormBackward},
    {"distances", runDistances},
    {"distanceSlopes", runDistanceSlopes},
    {"attention", runAttention},
    {"attentionBackward", runAttentionBackward},
    {"matmul", runMatmul, 2},
    {"quantLinear", runQuantLinear, 5},
    {"conv", runConv, 2},
    {"convData", runConvData, 2},
    {"convWeight", runConvWeight},
    {"maxPool", runMaxPool},
    {"maxPoolGrad", runMaxPoolGrad, 2},
    {"maxPoolGather", runMaxPoolGather},
    {"avgPool", runAvgPool},
    {"avgPoolGrad", runAvgPoolGrad},
    {"gather", runGather},
    {"scatter", runScatter},
    {"scatterAdd", runScatterAdd},
    {"indexSelect", runIndexSelect},
    {"embedding", runEmbedding},
    {"indexAdd", runIndexAdd},
    {"oneHot", runOneHot},
    {"pad", runPad},
    {"peak", runPeak},
    {"bandwidth", runBandwidth},
    {"cat", runCat},
    {"sort", runSort},
    {"topk", runTopk},
    {"argreduce", runArgreduce},
    {"cumsum", runCumsum},
    {"cumprod", runCumprod},
    {"inverse", runInverse},
    {"solve", runSolve},
    {"det", runDet},
    {"slogdet", runSlogdet},
    {"cofactor", runCofactor},
    {"cholesky", runCholesky},
    {"ctcLoss", runCtcLoss},
    {"ctcGradient", runCtcGradient},
};

}  // namespace GRAFT_ISA_NS

const KernelEntry* GRAFT_KERNELS_OF(GRAFT_ISA_NS)(int* count) {
  *count = int(sizeof GRAFT_ISA_NS::kKernels / sizeof GRAFT_ISA_NS::kKernels[0]);
  return GRAFT_ISA_NS::kKernels;
}

}  // namespace graft
