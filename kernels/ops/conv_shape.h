// What a convolution step convolves, checked and brought to one form for the three kernels: the convolution, its data gradient, its weight gradient.
#pragma once
#include "gemm_kernel.h"
#include "rows.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace conv {

using rows::larger;
using rows::smaller;

constexpr int64_t kLargest = int64_t(1) << 31;   // of a size or an attribute: products of two stay far from overflow

// x [batch, groups * in, x[0], x[1]], w [groups * out, in, kernel[0], kernel[1]], y [batch, groups * out, y[0], y[1]]
struct Problem {
  int64_t batch, groups, in, out;
  int64_t x[2], kernel[2], y[2], stride[2], pad[2], dilation[2];
  int64_t taps() const { return kernel[0] * kernel[1]; }
};

static inline int64_t floorMod(int64_t a, int64_t b) { const int64_t m = a % b; return m < 0 ? m + b : m; }
static inline int64_t floorDiv(int64_t a, int64_t b) { return (a - floorMod(a, b)) / b; }
static inline int64_t ceilDiv(int64_t a, int64_t b) { return -floorDiv(-a, b); }
static inline int64_t roundUp(int64_t a, int64_t unit) { return (a + unit - 1) / unit * unit; }

// Views x, w, y in their roles, whichever of them the step computes (that one is `result`; its dtype is the epilogue's affair).
static bool describe(Problem& p, const Step& step, const View& x, const View& w, const View& y, const View& result) {
  if (step.attrCount < 7) return false;
  const DType dtype = step.in[0].dtype;
  if (dtype != DType::F32 && dtype != DType::F64) return false;
  const View* const views[] = {&x, &w, &y};
  for (const View* v : views) {
    if (v->rank != 4) return false;
    for (int d = 0; d < 4; d++) if (v->shape[d] >= kLargest) return false;
    if (v != &result && (v->dtype != dtype || !rows::packed(*v))) return false;
  }
  for (int i = 0; i < 7; i++) if (!(step.attrs[i] > -double(kLargest) && step.attrs[i] < double(kLargest))) return false;
  p.groups = int64_t(step.attrs[6]);
  if (p.groups < 1) return false;
  p.batch = x.shape[0], p.in = w.shape[1], p.out = w.shape[0] / p.groups;
  for (int d = 0; d < 2; d++) {
    p.x[d] = x.shape[2 + d], p.kernel[d] = w.shape[2 + d], p.y[d] = y.shape[2 + d];
    p.stride[d] = int64_t(step.attrs[d]), p.pad[d] = int64_t(step.attrs[2 + d]), p.dilation[d] = int64_t(step.attrs[4 + d]);
    if (p.stride[d] < 1 || p.dilation[d] < 1 || p.kernel[d] < 1) return false;
  }
  return y.shape[0] == p.batch && x.shape[1] == p.groups * p.in && y.shape[1] == w.shape[0] && w.shape[0] == p.out * p.groups;
}

// One spatial dim. The result lies on a lattice of `count` points, and tap k of lattice point i reads the image at plane coordinate i + offset(k):
// - convolution: the image is split into planes of every `sample`-th pixel, plane s beginning at pixel phase(s); so the stride is gone.
// - data gradient: the image dy is one plane, but the result is split into `phases` lattices: pixel i * phases + f belongs to point i of phase f,
//   and only some of the taps reach it.
struct Axis {
  int64_t kernel, image, result;
  int64_t sample, phases;
  int64_t pad, dilation;
  bool isData;

  static Axis forward(const Problem& p, int d) { return {p.kernel[d], p.x[d], p.y[d], p.stride[d], 1, p.pad[d], p.dilation[d], false}; }
  static Axis data(const Problem& p, int d) { return {p.kernel[d], p.y[d], p.x[d], 1, p.stride[d], p.pad[d], p.dilation[d], true}; }

  int64_t position(int64_t k, int64_t phase) const { return isData ? phase + pad - k * dilation : k * dilation - pad; }
  bool reaches(int64_t k, int64_t phase) const { return !isData || floorMod(position(k, phase), phases) == 0; }
  int64_t offset(int64_t k, int64_t phase) const { return floorDiv(position(k, phase), isData ? phases : sample); }

  // Tap k reads plane k mod slots(); slots that differ are different planes.
  int64_t slots() const {
    int64_t a = sample, b = dilation % sample;
    while (b) { const int64_t c = a % b; a = b; b = c; }
    return smaller(kernel, sample / a);
  }
  int64_t slot(int64_t k) const { return isData ? 0 : k % slots(); }
  int64_t phaseOf(int64_t slot) const { return isData ? 0 : floorMod(position(slot, 0), sample); }
  int64_t planeSize(int64_t slot) const { return larger(0, ceilDiv(image - phaseOf(slot), sample)); }

  int64_t usedPhases() const { return larger(1, smaller(phases, result)); }
  int64_t count(int64_t phase) const { return larger(0, ceilDiv(result - phase, phases)); }
  int64_t points() const { return count(0); }
  // The smallest and the largest offset of any tap.
  int64_t lowest() const { return isData ? floorDiv(pad - (kernel - 1) * dilation, phases) : offset(0, 0); }
  int64_t highest() const { return isData ? floorDiv(phases - 1 + pad, phases) : offset(kernel - 1, 0); }
};

}  // namespace conv
}  // namespace GRAFT_ISA_NS
}  // namespace graft
