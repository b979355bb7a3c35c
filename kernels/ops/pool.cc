// Max pooling: maxPool gives each window's largest pixel and its position in the plane; maxPoolGrad adds each dy at its position (it may be followed by a
// program); maxPoolGather reads the pixels at given positions. attrs of the first two: kernel, stride, padding, dilation (height and width each).
#include "conv_output.h"
#include "conv_planes.h"
#include "pool_shape.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace pool {

template <class T> static inline Lane<T> countUp() {
  Lane<T> lane;
  for (int l = 0; l < kLanes<T>; l++) lane[l] = l;
  return lane;
}

// value at position `at` against the best so far. The first of equals wins; NaN is larger than everything.
template <class T> static inline void consider(Vec<T> value, Lane<T> at, Vec<T>& best, Lane<T>& where) {
  const auto take = (value > best) | (value != value);
  best = take ? value : best;
  where = take ? at : where;
}

// One row of 2 x 2 windows side by side, or of 1 x 2 ones where there is no second row of pixels.
template <bool kTwoRows, class T> static void largestOfPairs(const T* top, int64_t width, int64_t count, int64_t position, T* y, int32_t* index) {
  constexpr int L = kLanes<T>;
  const Lane<T> lane = countUp<T>() * 2;
  const T* const under = kTwoRows ? top + width : top;
  const auto step = [&](int64_t c, Vec<T> a0, Vec<T> a1, Vec<T> b0, Vec<T> b1, Vec<T>& best) {
    Lane<T> where = lane + Whole<T>(position + 2 * c);
    const Lane<T> first = where;
    best = evens(a0, a1);
    consider<T>(odds(a0, a1), first + 1, best, where);
    if (kTwoRows) {
      consider<T>(evens(b0, b1), first + Whole<T>(width), best, where);
      consider<T>(odds(b0, b1), first + Whole<T>(width + 1), best, where);
    }
    return convert<VecN<int32_t, L>>(where);
  };
  Vec<T> best;
  if (count < L) {
    const int low = int(smaller(2 * count, L)), high = int(2 * count) - low;
    const VecN<int32_t, L> where = step(0, loadPartial(top, low), loadPartial(top + low, high), loadPartial(under, low), loadPartial(under + low, high), best);
    storePartial(y, best, int(count));
    memcpy(index, &where, size_t(count) * 4);
    return;
  }
  for (int64_t next = 0; next < count; next += L) {
    const int64_t c = smaller(next, count - L);   // the last vector overlaps the one before it
    const T *const a = top + 2 * c, *const b = under + 2 * c;
    const VecN<int32_t, L> where = step(c, load(a), load(a + L), load(b), load(b + L), best);
    store(y + c, best);
    memcpy(index + c, &where, sizeof where);
  }
}

// Any windows: each row of pixels is copied into a line that is padded with -inf and split by column modulo the stride, so that the pixels under one tap
// of neighbouring windows are neighbours. A line holds `length` pixels of each remainder.
template <class T> struct Lines {
  int64_t length, count;
  T *line, *best;
  Whole<T>* where;
  int32_t* first;   // the first column of each window that exists

  explicit Lines(const Windows& w) : length(w.count + (w.kernel - 1) * w.dilation / w.stride + 1 + kLanes<T>), count(conv::roundUp(w.count, kLanes<T>)) {}
  int64_t remainders(const Windows& w) const { return smaller(w.stride, (w.kernel - 1) * w.dilation + 1); }
  int64_t bytes(const Windows& w) const { return (length * remainders(w) + count) * int64_t(sizeof(T)) + count * int64_t(sizeof(Whole<T>)) + count * 4; }
  void place(const Windows& w, void* memory) {
    line = static_cast<T*>(memory), best = line + length * remainders(w);
    where = reinterpret_cast<Whole<T>*>(best + count), first = reinterpret_cast<int32_t*>(where + count);
    for (int64_t c = 0; c < count; c++) first[c] = c < w.count && w.first(c) < w.end(c) ? int32_t(w.begin(c) + w.first(c) * w.dilation) : 0;
  }
  void fill(const Windows& w, const T* row) {
    for (int64_t f = 0; f < remainders(w); f++) {
      T* const to = line + f * length;
      const int64_t from = conv::ceilDiv(w.pad - f, w.stride), begin = larger(0, from), end = larger(begin, smaller(length, conv::ceilDiv(w.image + w.pad - f, w.stride)));
      for (int64_t j = 0; j < smaller(begin, length); j++) to[j] = -T(__builtin_inf());
      conv::copyRow(to + begin, row + begin * w.stride + f - w.pad, end - begin, w.stride);
      for (int64_t j = end; j < length; j++) to[j] = -T(__builtin_inf());
    }
  }
};

template <class T> static void largestOfRow(const Problem& p, const T* image, int64_t r, Lines<T>& lines, T* y, int32_t* index) {
  constexpr int L = kLanes<T>;
  const Windows& w = p.cols;
  const int64_t kh0 = p.rows.first(r), kh1 = p.rows.end(r);
  const Lane<T> lane = countUp<T>() * Whole<T>(w.stride);
  for (int64_t c = 0; c < lines.count; c++) {
    lines.best[c] = -T(__builtin_inf());
    lines.where[c] = kh0 < kh1 ? (p.rows.begin(r) + kh0 * p.rows.dilation) * w.image + lines.first[c] : 0;
  }
  for (int64_t kh = kh0; kh < kh1; kh++) {
    const int64_t h = p.rows.begin(r) + kh * p.rows.dilation;
    lines.fill(w, image + h * w.image);
    for (int64_t kw = 0; kw < w.kernel; kw++) {
      const T* const pixel = lines.line + kw * w.dilation % w.stride * lines.length + kw * w.dilation / w.stride;
      const int64_t position = h * w.image - w.pad + kw * w.dilation;
      for (int64_t c = 0; c < w.count; c += L) {
        Vec<T> best = load(lines.best + c);
        Lane<T> where;
        memcpy(&where, lines.where + c, sizeof where);
        consider<T>(load(pixel + c), lane + Whole<T>(position + c * w.stride), best, where);
        store(lines.best + c, best);
        memcpy(lines.where + c, &where, sizeof where);
      }
    }
  }
  memcpy(y, lines.best, size_t(w.count) * sizeof(T));
  for (int64_t c = 0; c < w.count; c++) index[c] = int32_t(lines.where[c]);
}

template <class T> static int maxPool(const Problem& p, const T* x, T* y, int32_t* index, const Context& context) {
  const bool alone = p.rows.kernel == 1 && p.rows.stride == 1 && p.rows.pad == 0, halving = (isHalving(p.rows) || alone) && isHalving(p.cols);
  bool failed = false;
  parallelFor(context, p.planes, rows::grain(p.pixels() + p.windows() * 4), [&](int64_t from, int64_t to, int worker) {
    Lines<T> lines(p.cols);
    if (!halving) {
      void* const memory = context.scratch(context.pool, worker, uint64_t(lines.bytes(p.cols)));
      if (!memory) return __atomic_store_n(&failed, true, __ATOMIC_RELAXED);
      lines.place(p.cols, memory);
    }
    for (int64_t plane = from; plane < to; plane++) {
      const T* const image = x + plane * p.pixels();
      for (int64_t r = 0; r < p.rows.count; r++) {
        const int64_t at = plane * p.windows() + r * p.cols.count;
        const int64_t position = (alone ? r : 2 * r) * p.cols.image;
        if (halving && alone) largestOfPairs<false>(image + position, p.cols.image, p.cols.count, position, y + at, index + at);
        else if (halving) largestOfPairs<true>(image + position, p.cols.image, p.cols.count, position, y + at, index + at);
        else largestOfRow(p, image, r, lines, y + at, index + at);
      }
    }
  });
  return failed ? rows::fail(context, "maxPool", "no memory for its working buffers") : 0;
}

// One plane of dx. False where a position lies outside of it.
template <class T> static bool scatter(const Problem& p, const T* dy, const int32_t* index, T* dx) {
  memset(dx, 0, size_t(p.pixels()) * sizeof(T));
  for (int64_t i = 0; i < p.windows(); i++) {
    if (index[i] < 0 || index[i] >= p.pixels()) return false;
    dx[index[i]] += dy[i];
  }
  return true;
}

// 2 x 2 windows side by side: every pixel is written once, or twice with the same value where the last vector of a row overlaps the one before it.
template <class T> static void scatterToFour(const Problem& p, const T* dy, const int32_t* index, T* dx) {
  constexpr int L = kLanes<T>;
  typedef VecN<int32_t, L> Narrow;
  const int64_t width = p.cols.image, count = p.cols.count;
  const Lane<T> lane = countUp<T>() * 2;
  for (int64_t r = 0; r < p.rows.count; r++, dy += count, index += count) {
    const auto step = [&](int64_t c, Vec<T> g, Narrow narrow, const auto& put) {
      const Lane<T> where = convert<Lane<T>>(narrow) - lane - Whole<T>(2 * r * width + 2 * c);
      const auto part = [&](int64_t pixel) { return where == Whole<T>(pixel) ? g : Vec<T>{}; };
      T* const top = dx + 2 * r * width + 2 * c;
      const Vec<T> a = part(0), b = part(1), d = part(width), e = part(width + 1);
      put(top, zipLow(a, b), zipHigh(a, b)), put(top + width, zipLow(d, e), zipHigh(d, e));
    };
    if (count < L) {
      const int low = int(smaller(2 * count, L)), high = int(2 * count) - low;
      step(0, loadPartial(dy, int(count)), loadPart<Narrow>(index, count), [=](T* to, Vec<T> first, Vec<T> second) { storePartial(to, first, low), storePartial(to + low, second, high); });
    }
    for (int64_t next = 0; count >= L && next < count; next += L) {
      const int64_t c = smaller(next, count - L);
      Narrow narrow;
      memcpy(&narrow, index + c, sizeof narrow);
      step(c, load(dy + c), narrow, [](T* to, Vec<T> first, Vec<T> second) { store(to, first), store(to + L, second); });
    }
    T* const top = dx + 2 * r * width;
    for (int64_t w = 2 * count; w < width; w++) top[w] = top[width + w] = 0;
  }
  memset(dx + 2 * p.rows.count * width, 0, size_t((p.rows.image - 2 * p.rows.count) * width) * sizeof(T));
}

// Tasks are blocks of neighbouring channels of one image, so that a program gets tiles of some size.
template <class T> static int maxPoolGrad(const Problem& p, const T* dy, const int32_t* index, int64_t channels, const conv::Target& target, const Context& context) {
  const bool halving = isHalving(p.rows) && isHalving(p.cols) && p.cols.image > 2;
  const int64_t pixels = p.pixels(), images = p.planes / channels;
  const int64_t perTask = smaller(channels, larger(1, 8192 / pixels)), blocks = (channels + perTask - 1) / perTask;
  const int64_t tileBytes = target.direct() ? 0 : conv::roundUp(perTask * pixels * int64_t(sizeof(T)), 64);
  int failed = 0;
  parallelFor(context, images * blocks, larger(1, 8192 / (perTask * pixels)), [&](int64_t from, int64_t to, int worker) {
    char* const memory = target.direct() ? nullptr : static_cast<char*>(context.scratch(context.pool, worker, uint64_t(tileBytes + target.memoryBytes())));
    if (!target.direct() && !memory) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
    target.withRunner(memory + tileBytes, [&](ProgramRunner* runner) {
      for (int64_t t = from; t < to; t++) {
        const int64_t image = t / blocks, channel = t % blocks * perTask, count = smaller(perTask, channels - channel), plane = image * channels + channel;
        T* const dx = target.direct() ? static_cast<T*>(target.direct()) + plane * pixels : reinterpret_cast<T*>(memory);
        for (int64_t c = 0; c < count; c++) {
          const T* const g = dy + (plane + c) * p.windows();
          const int32_t* const where = index + (plane + c) * p.windows();
          if (halving) scatterToFour(p, g, where, dx + c * pixels);
          else if (!scatter(p, g, where, dx + c * pixels)) __atomic_store_n(&failed, 2, __ATOMIC_RELAXED);
        }
        if (runner) target.write(runner, image, channel, count, 0, p.rows.image, 0, p.cols.image, dx, pixels, p.cols.image);
      }
    });
  });
  return failed == 0 ? 0 : rows::fail(context, "maxPoolGrad", failed == 1 ? "no memory for its working buffers" : "a position lies outside of the image");
}

template <class T> static int gather(const T* x, const int32_t* index, T* out, int64_t planes, int64_t pixels, int64_t windows, const Context& context) {
  int failed = 0;
  parallelFor(context, planes, rows::grain(windows * 4), [&](int64_t from, int64_t to, int) {
    for (int64_t plane = from; plane < to; plane++) {
      for (int64_t i = plane * windows; i < (plane + 1) * windows; i++) {
        const bool inside = index[i] >= 0 && index[i] < pixels;
        out[i] = inside ? x[plane * pixels + index[i]] : 0;
        if (!inside) __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
      }
    }
  });
  return failed ? rows::fail(context, "maxPoolGather", "a position lies outside of the image") : 0;
}

static inline bool isImage(const View& v, DType dtype) { return v.rank == 4 && v.dtype == dtype && rows::packed(v); }
static inline bool sameShape(const View& a, const View& b) {
  for (int d = 0; d < 4; d++) if (a.shape[d] != b.shape[d]) return false;
  return true;
}

}  // namespace pool

static int runMaxPool(const Step& step, const Context& context) {
  pool::Problem p;
  if (step.inCount != 1 || step.outCount != 2 || !pool::describe(p, step, step.in[0], step.out[0]) || !pool::isImage(step.in[0], step.in[0].dtype) ||
      !pool::isImage(step.out[0], step.in[0].dtype) || !pool::isImage(step.out[1], DType::I32) || !pool::sameShape(step.out[0], step.out[1]) || (p.pixels() == 0 && p.windows() > 0))
    return rows::fail(context, "maxPool", "the shapes, dtypes and attributes do not fit");
  int32_t* const index = static_cast<int32_t*>(step.out[1].data);
  if (step.in[0].dtype == DType::F32) return pool::maxPool(p, static_cast<const float*>(step.in[0].data), static_cast<float*>(step.out[0].data), index, context);
  return pool::maxPool(p, static_cast<const double*>(step.in[0].data), static_cast<double*>(step.out[0].data), index, context);
}

static int runMaxPoolGrad(const Step& step, const Context& context) {
  pool::Problem p;
  if (step.inCount < 2 || step.outCount < 1 || !pool::describe(p, step, step.out[0], step.in[0]) || !pool::isImage(step.in[0], step.in[0].dtype) ||
      !pool::isImage(step.in[1], DType::I32) || !pool::sameShape(step.in[0], step.in[1]))
    return rows::fail(context, "maxPoolGrad", "the shapes, dtypes and attributes do not fit");
  conv::Target target;
  if (!target.bind(step, context)) return 1;
  if (rows::sizeOf(step.out[0]) == 0) return 0;
  const int32_t* const index = static_cast<const int32_t*>(step.in[1].data);
  const int64_t channels = step.in[0].shape[1];
  if (step.in[0].dtype == DType::F32) return pool::maxPoolGrad(p, static_cast<const float*>(step.in[0].data), index, channels, target, context);
  return pool::maxPoolGrad(p, static_cast<const double*>(step.in[0].data), index, channels, target, context);
}

static int runMaxPoolGather(const Step& step, const Context& context) {
  const DType dtype = step.in[0].dtype;
  if (step.inCount != 2 || step.outCount != 1 || (dtype != DType::F32 && dtype != DType::F64) || !pool::isImage(step.in[0], dtype) || !pool::isImage(step.in[1], DType::I32) ||
      !pool::isImage(step.out[0], dtype) || !pool::sameShape(step.in[1], step.out[0]) || step.in[0].shape[0] != step.in[1].shape[0] || step.in[0].shape[1] != step.in[1].shape[1])
    return rows::fail(context, "maxPoolGather", "the shapes and dtypes do not fit");
  const int64_t planes = step.in[0].shape[0] * step.in[0].shape[1], pixels = step.in[0].shape[2] * step.in[0].shape[3], windows = step.in[1].shape[2] * step.in[1].shape[3];
  const int32_t* const index = static_cast<const int32_t*>(step.in[1].data);
  if (dtype == DType::F32) return pool::gather(static_cast<const float*>(step.in[0].data), index, static_cast<float*>(step.out[0].data), planes, pixels, windows, context);
  return pool::gather(static_cast<const double*>(step.in[0].data), index, static_cast<double*>(step.out[0].data), planes, pixels, windows, context);
}

}  // namespace GRAFT_ISA_NS
}  // namespace graft
