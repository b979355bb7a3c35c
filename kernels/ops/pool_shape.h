// What a pooling step pools, checked: planes [.., H, W] and windows over them.
#pragma once
#include "../simd/pairs.h"
#include "conv_shape.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace pool {

using conv::larger;
using conv::smaller;
using namespace pairs;

// Window o of a dim covers pixels begin(o) + k * dilation, k < kernel, as far as they are inside the image.
struct Windows {
  int64_t image, count, kernel, stride, pad, dilation;
  int64_t begin(int64_t o) const { return o * stride - pad; }
  int64_t first(int64_t o) const { return begin(o) < 0 ? smaller(kernel, (-begin(o) + dilation - 1) / dilation) : 0; }
  int64_t end(int64_t o) const { return begin(o) >= image ? 0 : smaller(kernel, (image - 1 - begin(o)) / dilation + 1); }
};

struct Problem {
  int64_t planes;
  Windows rows, cols;
  int64_t pixels() const { return rows.image * cols.image; }
  int64_t windows() const { return rows.count * cols.count; }
};

// `image` and `pooled` are views in their roles; attrs: kernel, stride, padding, dilation (height and width each).
static bool describe(Problem& p, const Step& step, const View& image, const View& pooled) {
  if (step.attrCount < 8 || image.rank != 4 || pooled.rank != 4 || image.shape[0] != pooled.shape[0] || image.shape[1] != pooled.shape[1]) return false;
  if (step.in[0].dtype != DType::F32 && step.in[0].dtype != DType::F64) return false;
  p.planes = image.shape[0] * image.shape[1];
  Windows* const dims[] = {&p.rows, &p.cols};
  for (int i = 0; i < 8; i++) if (!(step.attrs[i] >= 0 && step.attrs[i] < double(conv::kLargest))) return false;
  for (int d = 0; d < 2; d++) {
    *dims[d] = {image.shape[2 + d], pooled.shape[2 + d], int64_t(step.attrs[d]), int64_t(step.attrs[2 + d]), int64_t(step.attrs[4 + d]), int64_t(step.attrs[6 + d])};
    if (dims[d]->kernel < 1 || dims[d]->stride < 1 || dims[d]->dilation < 1 || dims[d]->image >= conv::kLargest || dims[d]->count >= conv::kLargest) return false;
  }
  return p.pixels() < conv::kLargest;
}

// Windows of 2 x 2 side by side, all inside the image.
static inline bool isHalving(const Windows& w) { return w.kernel == 2 && w.stride == 2 && w.pad == 0 && w.dilation == 1 && 2 * w.count <= w.image; }

}  // namespace pool
}  // namespace GRAFT_ISA_NS
}  // namespace graft
