// Group norm of x [B, C, S]: the C channels in G groups, each group of a sample normalised by its own mean and variance over n = C / G S elements, which lie
// one after another.
//   xhat = (x - mean) r, r = 1 / sqrt(var + eps), y = xhat w + b
//   per sample and channel: p = sum dy, q = sum dy xhat;  db = sum over samples of p, dw = sum over samples of q
//   dx = r (dy w - sum w p / n - xhat sum w q / n), where w p and w q are added over the channels of the group
//
// groupNorm         in: x, then w [C] and b [C] where there are; out: y, [B G, 2]: mean and r; attrs: G, eps, has w, has b
// groupNormBackward in: x, [B G, 2], dy, then w [C] where there is one; out: dx, dw [C], db [C]; attrs: G, has w
#include "rows.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace groupnorm {

struct Extent {
  int64_t batch, channels, inner, groups, perGroup, n;
};

static Extent extentOf(const Step& step) {
  const View& x = step.in[0];
  Extent e;
  e.batch = x.shape[0], e.channels = x.shape[1], e.inner = x.shape[2];
  e.groups = int64_t(step.attrs[0]);
  e.perGroup = e.channels / e.groups;
  e.n = e.perGroup * e.inner;
  return e;
}

// body(group, flag) for all groups of all samples in parallel; the flag says whether `result` goes past the caches.
template <class T, class F> static void eachGroup(const Context& context, const Extent& e, const T* result, const F& body) {
  const bool stream = mayStream(result, e.batch * e.channels, e.inner);
  parallelFor(context, e.batch * e.groups, rows::grain(e.n), [&](int64_t begin, int64_t end, int) { rows::eachOf(begin, end, stream, body); });
}

template <class T> static int forward(const Step& step, const Context& context) {
  const Extent e = extentOf(step);
  const double eps = step.attrs[1];
  const bool hasWeight = step.attrs[2] != 0, hasBias = step.attrs[3] != 0;
  const T* const input = static_cast<const T*>(step.in[0].data);
  const T* const w = hasWeight ? static_cast<const T*>(step.in[1].data) : nullptr;
  const T* const b = hasBias ? static_cast<const T*>(step.in[1 + hasWeight].data) : nullptr;
  T *const output = static_cast<T*>(step.out[0].data), *const stats = static_cast<T*>(step.out[1].data);
  eachGroup(context, e, output, [=](int64_t group, auto stream) {
    const T* const x = input + group * e.n;
    double total[1];
    rows::sums<T, 1>(e.n, total, [=](int64_t i, int lanes, Vec<T>* term) { term[0] = rows::get(x + i, lanes); });
    const T mean = T(total[0] / double(e.n));
    rows::sums<T, 1>(e.n, total, [=](int64_t i, int lanes, Vec<T>* term) {
      const Vec<T> c = rows::get(x + i, lanes) - mean;
      term[0] = c * c;
    });
    const T r = T(1 / __builtin_sqrt(total[0] / double(e.n) + eps));
    stats[2 * group] = mean, stats[2 * group + 1] = r;
    for (int64_t k = 0; k < e.perGroup; k++) {
      const int64_t channel = group % e.groups * e.perGroup + k;
      const T scale = w ? r * w[channel] : r, shift = b ? b[channel] : T(0);
      const T* const from = x + k * e.inner;
      T* const to = output + group * e.n + k * e.inner;
      rows::each<T>(e.inner, [=](int64_t i, int lanes) { rows::putResult<stream.value>(to + i, (rows::get(from + i, lanes) - mean) * scale + shift, lanes); });
    }
  });
  return 0;
}

template <class T> static int backward(const Step& step, const Context& context) {
  const Extent e = extentOf(step);
  const T *const input = static_cast<const T*>(step.in[0].data), *const stats = static_cast<const T*>(step.in[1].data), *const slopes = static_cast<const T*>(step.in[2].data);
  const T* const w = step.attrs[1] != 0 ? static_cast<const T*>(step.in[3].data) : nullptr;
  T *const output = static_cast<T*>(step.out[0].data), *const dw = static_cast<T*>(step.out[1].data), *const db = static_cast<T*>(step.out[2].data);
  double* const part = static_cast<double*>(context.scratch(context.pool, 0, uint64_t(rows::larger(1, e.batch * e.channels)) * 2 * sizeof(double)));
  if (!part) return rows::fail(context, "groupNormBackward", "no working memory for the partial sums");
  eachGroup(context, e, output, [=](int64_t group, auto stream) {
    const T mean = stats[2 * group], r = stats[2 * group + 1];
    const int64_t first = group % e.groups * e.perGroup;
    double p = 0, q = 0;
    for (int64_t k = 0; k < e.perGroup; k++) {
      const int64_t at = group * e.perGroup + k;
      const T *const x = input + at * e.inner, *const dy = slopes + at * e.inner;
      double total[2];
      rows::sums<T, 2>(e.inner, total, [=](int64_t i, int lanes, Vec<T>* term) {
        term[0] = rows::get(dy + i, lanes);
        term[1] = term[0] * ((rows::get(x + i, lanes) - mean) * r);
      });
      part[2 * at] = total[0], part[2 * at + 1] = total[1];
      const double weight = w ? double(w[first + k]) : 1;
      p += weight * total[0], q += weight * total[1];
    }
    const T meanG = T(p / double(e.n)), meanGx = T(q / double(e.n));
    for (int64_t k = 0; k < e.perGroup; k++) {
      const int64_t at = group * e.perGroup + k;
      const T *const x = input + at * e.inner, *const dy = slopes + at * e.inner;
      T* const dx = output + at * e.inner;
      const T weight = w ? w[first + k] : T(1);
      rows::each<T>(e.inner, [=](int64_t i, int lanes) {
        const Vec<T> xhat = (rows::get(x + i, lanes) - mean) * r;
        rows::putResult<stream.value>(dx + i, ((rows::get(dy + i, lanes) * weight - meanG) - xhat * meanGx) * r, lanes);
      });
    }
  });
  for (int64_t c = 0; c < e.channels; c++) {
    double sumW = 0, sumB = 0;
    for (int64_t b = 0; b < e.batch; b++) sumB += part[2 * (b * e.channels + c)], sumW += part[2 * (b * e.channels + c) + 1];
    dw[c] = T(sumW), db[c] = T(sumB);
  }
  return 0;
}

// x [B, C, S] first, whose channels the groups divide.
static bool fits(const Step& step, int inputs, int outputs) {
  if (step.inCount != inputs || step.outCount != outputs || step.in[0].rank != 3) return false;
  const View& x = step.in[0];
  const double groups = step.attrs[0];
  if ((x.dtype != DType::F32 && x.dtype != DType::F64) || !rows::isCube(x, x) || !rows::isCube(step.out[0], x)) return false;
  return groups >= 1 && groups <= double(x.shape[1]) && groups == double(int64_t(groups)) && x.shape[1] % int64_t(groups) == 0;
}

static bool areStats(const View& v, const Step& step) { return rows::isMatrix(v, step.in[0].dtype, step.in[0].shape[0] * int64_t(step.attrs[0]), 2); }

}  // namespace groupnorm

static int runGroupNorm(const Step& step, const Context& context) {
  const int parameters = step.attrCount == 4 ? (step.attrs[2] != 0) + (step.attrs[3] != 0) : 0;
  bool fits = step.attrCount == 4 && groupnorm::fits(step, 1 + parameters, 2) && groupnorm::areStats(step.out[1], step);
  for (int i = 1; fits && i < step.inCount; i++) fits = rows::isVector(step.in[i], step.in[0].dtype, step.in[0].shape[1]);
  if (!fits) return rows::fail(context, "groupNorm", "inputs, outputs or attributes do not fit together");
  return step.in[0].dtype == DType::F32 ? groupnorm::forward<float>(step, context) : groupnorm::forward<double>(step, context);
}

static int runGroupNormBackward(const Step& step, const Context& context) {
  const bool hasWeight = step.attrCount == 2 && step.attrs[1] != 0;
  bool fits = step.attrCount == 2 && groupnorm::fits(step, 3 + hasWeight, 3) && groupnorm::areStats(step.in[1], step) && rows::isCube(step.in[2], step.in[0]);
  if (fits) {
    const DType dtype = step.in[0].dtype;
    const int64_t channels = step.in[0].shape[1];
    fits = rows::isVector(step.out[1], dtype, channels) && rows::isVector(step.out[2], dtype, channels) && (!hasWeight || rows::isVector(step.in[3], dtype, channels));
  }
  if (!fits) return rows::fail(context, "groupNormBackward", "inputs, outputs or attributes do not fit together");
  return step.in[0].dtype == DType::F32 ? groupnorm::backward<float>(step, context) : groupnorm::backward<double>(step, context);
}

}  // namespace GRAFT_ISA_NS
}  // namespace graft
