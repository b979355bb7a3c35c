// Average pooling: avgPool gives each window's mean, avgPoolGrad spreads each dy evenly over its window. attrs: kernel, stride, padding, dilation (height
// and width each; dilation 1), and 1 where the padding counts in the mean. Both are separable: a row of windows is first a sum of rows of pixels.
#include "pool_shape.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace pool {

// 1 / (number of pixels that a window's mean is over); the padding counts as far as the padded image goes.
class Share {
 public:
  Share(const Problem& p, bool countPad) : p_(p), countPad_(countPad) {}
  double of(int64_t r, int64_t c) {
    const int64_t n = extent(p_.rows, r) * extent(p_.cols, c);
    if (n != last_) last_ = n, share_ = 1.0 / double(n);   // seldom: all windows but those at the edges are alike
    return share_;
  }

 private:
  int64_t extent(const Windows& w, int64_t o) const { return countPad_ ? smaller(w.kernel, w.image + w.pad - w.begin(o)) : w.end(o) - w.first(o); }
  const Problem& p_;
  const bool countPad_;
  int64_t last_ = 0;
  double share_ = 0;
};

// to[i] += from[i]
template <class T> static inline void addRow(T* to, const T* from, int64_t n) {
  rows::each<T>(n, [=](int64_t i, int lanes) { rows::put(to + i, rows::get(to + i, lanes) + rows::get(from + i, lanes), lanes); });
}

// Rows of 2 x 2 windows side by side, and their gradient.
template <class T> static void averageOfFour(const Problem& p, const T* x, T* y) {
  constexpr int L = kLanes<T>;
  const int64_t width = p.cols.image, count = p.cols.count;
  for (int64_t r = 0; r < p.rows.count; r++, x += 2 * width, y += count) {
    int64_t c = 0;
    for (; c + L <= count; c += L) {
      const Vec<T> a = load(x + 2 * c) + load(x + width + 2 * c), b = load(x + 2 * c + L) + load(x + width + 2 * c + L);
      store(y + c, (evens(a, b) + odds(a, b)) * T(0.25));
    }
    for (; c < count; c++) y[c] = ((x[2 * c] + x[width + 2 * c]) + (x[2 * c + 1] + x[width + 2 * c + 1])) * T(0.25);
  }
}
template <class T> static void spreadToFour(const Problem& p, const T* dy, T* dx) {
  constexpr int L = kLanes<T>;
  const int64_t width = p.cols.image, count = p.cols.count;
  for (int64_t r = 0; r < p.rows.count; r++, dx += 2 * width, dy += count) {
    int64_t c = 0;
    for (; c + L <= count; c += L) {
      const Vec<T> part = load(dy + c) * T(0.25), low = zipLow(part, part), high = zipHigh(part, part);
      store(dx + 2 * c, low), store(dx + 2 * c + L, high);
      store(dx + width + 2 * c, low), store(dx + width + 2 * c + L, high);
    }
    for (; c < count; c++) dx[2 * c] = dx[2 * c + 1] = dx[width + 2 * c] = dx[width + 2 * c + 1] = dy[c] * T(0.25);
    for (int64_t w = 2 * count; w < width; w++) dx[w] = dx[width + w] = 0;
  }
  memset(dx, 0, size_t((p.rows.image - 2 * p.rows.count) * width) * sizeof(T));
}

template <class T> static void average(const Problem& p, const T* x, T* y, Share& share, T* line) {
  const int64_t width = p.cols.image;
  for (int64_t r = 0; r < p.rows.count; r++, y += p.cols.count) {
    memset(line, 0, size_t(width) * sizeof(T));
    for (int64_t k = p.rows.first(r); k < p.rows.end(r); k++) addRow(line, x + (p.rows.begin(r) + k) * width, width);
    for (int64_t c = 0; c < p.cols.count; c++) {
      const T* const window = line + p.cols.begin(c);
      T sum = 0;
      for (int64_t k = p.cols.first(c); k < p.cols.end(c); k++) sum += window[k];
      y[c] = T(double(sum) * share.of(r, c));
    }
  }
}

template <class T> static void spread(const Problem& p, const T* dy, T* dx, Share& share, T* line) {
  const int64_t width = p.cols.image;
  memset(dx, 0, size_t(p.pixels()) * sizeof(T));
  for (int64_t r = 0; r < p.rows.count; r++, dy += p.cols.count) {
    memset(line, 0, size_t(width) * sizeof(T));
    for (int64_t c = 0; c < p.cols.count; c++) {
      T* const window = line + p.cols.begin(c);
      const T part = T(double(dy[c]) * share.of(r, c));
      for (int64_t k = p.cols.first(c); k < p.cols.end(c); k++) window[k] += part;
    }
    for (int64_t k = p.rows.first(r); k < p.rows.end(r); k++) addRow(dx + (p.rows.begin(r) + k) * width, line, width);
  }
}

// One window over the whole plane.
static inline bool isWhole(const Windows& w) { return w.count == 1 && w.pad == 0 && w.kernel >= w.image; }
template <class T> static T averageOfPlane(const T* x, int64_t pixels, double share) {
  double total[1];
  rows::sums<T, 1>(pixels, total, [=](int64_t i, int lanes, Vec<T>* term) { term[0] = rows::get(x + i, lanes); });
  return T(total[0] * share);
}
template <class T> static void spreadToPlane(T part, T* dx, int64_t pixels) {
  rows::each<T>(pixels, [=](int64_t i, int lanes) { rows::put(dx + i, broadcast(part), lanes); });
}

template <class T> static int averageAll(const Problem& p, const Step& step, const Context& context, bool gradient) {
  const T* const in = static_cast<const T*>(step.in[0].data);
  T* const out = static_cast<T*>(step.out[0].data);
  const bool countPad = step.attrs[8] != 0, halving = isHalving(p.rows) && isHalving(p.cols), whole = isWhole(p.rows) && isWhole(p.cols);
  bool failed = false;
  parallelFor(context, p.planes, rows::grain(p.pixels() + p.windows() * 4), [&](int64_t from, int64_t to, int worker) {
    T* const line = static_cast<T*>(context.scratch(context.pool, worker, uint64_t(p.cols.image + 1) * sizeof(T)));
    if (!line) return __atomic_store_n(&failed, true, __ATOMIC_RELAXED);
    Share share(p, countPad);
    for (int64_t plane = from; plane < to; plane++) {
      if (halving && gradient) spreadToFour(p, in + plane * p.windows(), out + plane * p.pixels());
      else if (halving) averageOfFour(p, in + plane * p.pixels(), out + plane * p.windows());
      else if (whole && gradient) spreadToPlane(T(double(in[plane]) * share.of(0, 0)), out + plane * p.pixels(), p.pixels());
      else if (whole) out[plane] = averageOfPlane(in + plane * p.pixels(), p.pixels(), share.of(0, 0));
      else if (gradient) spread(p, in + plane * p.windows(), out + plane * p.pixels(), share, line);
      else average(p, in + plane * p.pixels(), out + plane * p.windows(), share, line);
    }
  });
  return failed ? rows::fail(context, "avgPool", "no memory for its working buffers") : 0;
}

static int runAverage(const Step& step, const Context& context, bool gradient) {
  Problem p;
  if (step.inCount != 1 || step.outCount != 1 || step.attrCount != 9 || step.out[0].dtype != step.in[0].dtype ||
      !describe(p, step, gradient ? step.out[0] : step.in[0], gradient ? step.in[0] : step.out[0]) || !rows::packed(step.in[0]) || !rows::packed(step.out[0]) || p.rows.dilation != 1 || p.cols.dilation != 1)
    return rows::fail(context, gradient ? "avgPoolGrad" : "avgPool", "the shapes, dtypes and attributes do not fit");
  return step.in[0].dtype == DType::F32 ? averageAll<float>(p, step, context, gradient) : averageAll<double>(p, step, context, gradient);
}

}  // namespace pool

static int runAvgPool(const Step& step, const Context& context) { return pool::runAverage(step, context, false); }
static int runAvgPoolGrad(const Step& step, const Context& context) { return pool::runAverage(step, context, true); }

}  // namespace GRAFT_ISA_NS
}  // namespace graft
