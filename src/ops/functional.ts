/**
 * The functions of `F`, under PyTorch's names in camelCase: each takes tensors and records; nothing is computed until a value is asked for.
 * @example
 * import { F } from "graftml";
 * const loss = F.crossEntropy(F.linear(F.relu(x), w, b), labels);
 */
export {
  abs, acos, add, asin, atan, atan2, cast, ceil, cos, cosh, div, eq, erf, exp, expm1, floor, floorDivide, ge, gt, isnan, le, log, log1p, logicalAnd, logicalNot,
  logicalOr, logicalXor, logSigmoid, lt, maximum, minimum, mul, ne, neg, pow, reciprocal, relu, remainder, round, rsqrt, sigmoid, sign, sin, sinh, sqrt, square, sub,
  tan, tanh, trunc, where,
} from "./scalar.js";
export { addcdiv, addcmul, erfc, exp2, fmod, frac, hypot, isfinite, isinf, lerp, log10, log2, logaddexp, nanToNum, sinc, xlogy } from "./arithmetic.js";
export {
  celu, clamp, elu, gelu, glu, hardshrink, hardsigmoid, hardswish, hardtanh, leakyRelu, logit, mish, prelu, relu6, selu, silu, softplus, softshrink, softsign,
  tanhshrink, threshold,
} from "./activations.js";
export { argmax, argmin } from "./argreduce.js";
export { all, any, isclose } from "./logic.js";
export { detach } from "./identity.js";
export { logsumexp, max, max as amax, mean, min, min as amin, prod, std, sum, variance as var } from "./reduce.js";
export { logSoftmax, softmax, softmin } from "./softmax.js";
export { gumbelSoftmax } from "./gumbel.js";

export { cat } from "./join.js";
export { expand, flip, permute, reshape, transpose } from "./movement.js";
export {
  diagonal, flatten, maskedFill, meshgrid, movedim, repeat, repeatInterleave, roll, squeeze, tile, tril, triu, unflatten, unsqueeze,
} from "./shape.js";
export { chunk, narrow, select, split, stack, unbind } from "./split.js";
export { pad } from "./padding.js";
export { embedding, gather, indexAdd, indexSelect, oneHot, takeAlongDim } from "./gather.js";
export { scatter, scatterAdd } from "./scatter.js";
export { cumprod, cumsum } from "./scan.js";
export { argsort, sort, topk } from "./sort.js";

export { linear, matmul } from "./matmul.js";
export { dequantize, quantLinear } from "./quant.js";
export { addmm, baddbmm, bilinear, bmm, dot, mm, mv, outer, t } from "./products.js";
export { einsum } from "./einsum.js";
export { cholesky, det, inverse, logdet, slogdet, solve } from "./linalg.js";
export { cdist, cosineSimilarity, norm, normalize, pairwiseDistance } from "./distance.js";

export { conv1d, conv2d, conv3d, convTranspose1d, convTranspose2d } from "./conv.js";
export { fold, unfold } from "./conv-unfold.js";
export { adaptiveAvgPool1d, adaptiveAvgPool2d, avgPool1d, avgPool2d, maxPool1d, maxPool2d } from "./pool.js";
export { interpolate, pixelShuffle, pixelUnshuffle } from "./interpolate.js";
export { scaledDotProductAttention } from "./attention.js";
export { alphaDropout, dropout, dropout1d, dropout2d, dropout3d } from "./dropout.js";

export { batchNorm, instanceNorm } from "./batch-norm.js";
export { groupNorm, layerNorm, rmsNorm } from "./norm.js";

export { crossEntropy, nllLoss } from "./cross-entropy.js";
export { ctcLoss } from "./ctc.js";
export { binaryCrossEntropy, binaryCrossEntropyWithLogits, multilabelSoftMarginLoss } from "./binary-losses.js";
export { gaussianNllLoss, huberLoss, klDiv, l1Loss, mseLoss, poissonNllLoss, smoothL1Loss } from "./losses.js";
export { cosineEmbeddingLoss, hingeEmbeddingLoss, marginRankingLoss, multiMarginLoss, softMarginLoss, tripletMarginLoss } from "./margin-losses.js";
