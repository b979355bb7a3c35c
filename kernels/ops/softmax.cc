// softmax y = e^x / sum e^x and its logarithm over the rows of a matrix [rows, n] or along n of a cube [outer, n, inner], with their gradients.
// attrs: 1 for the logarithm, 0 otherwise.
#include "short_rows.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace softmax {

// Everything is relative to the row's maximum, so that e^x cannot overflow.
// Where y goes past the caches, e^x waits in `held`.
template <class T, bool kStream> static void forward(const T* x, T* y, T* held, int64_t n, bool logarithm) {
  const T top = rows::largest<true>(x, n);
  double total[1];
  if (logarithm) {
    rows::sums<T, 1>(n, total, [=](int64_t i, int lanes, Vec<T>* term) { term[0] = exp(rows::get(x + i, lanes) - top); });
    const T logSum = T(__builtin_log(total[0]));
    rows::each<T>(n, [=](int64_t i, int lanes) {
      rows::putResult<kStream>(y + i, (rows::get(x + i, lanes) - top) - logSum, lanes);
    });
    return;
  }
  rows::sums<T, 1>(n, total, [=](int64_t i, int lanes, Vec<T>* term) {
    term[0] = expDown(rows::get(x + i, lanes) - top);
    rows::put(held + i, term[0], lanes);
  });
  const T scale = T(1 / total[0]);
  rows::each<T>(n, [=](int64_t i, int lanes) {
    rows::putResult<kStream>(y + i, rows::get(held + i, lanes) * scale, lanes);
  });
}

// softmax: dx = y (dy - sum dy y); its logarithm: dx = dy - e^y sum dy
template <class T, bool kStream> static void backward(const T* y, const T* dy, T* dx, int64_t n, bool logarithm) {
  double total[1];
  if (logarithm) {
    rows::sums<T, 1>(n, total, [=](int64_t i, int lanes, Vec<T>* term) { term[0] = rows::get(dy + i, lanes); });
    const T sum = T(total[0]);
    rows::each<T>(n, [=](int64_t i, int lanes) {
      __builtin_prefetch(dy + n + i), __builtin_prefetch(y + n + i);
      rows::putResult<kStream>(dx + i, rows::get(dy + i, lanes) - exp(rows::get(y + i, lanes)) * sum, lanes);
    });
    return;
  }
  rows::sums<T, 1>(n, total, [=](int64_t i, int lanes, Vec<T>* term) { term[0] = rows::get(dy + i, lanes) * rows::get(y + i, lanes); });
  const T sum = T(total[0]);
  rows::each<T>(n, [=](int64_t i, int lanes) {
    __builtin_prefetch(dy + n + i), __builtin_prefetch(y + n + i);
    rows::putResult<kStream>(dx + i, rows::get(y + i, lanes) * (rows::get(dy + i, lanes) - sum), lanes);
  });
}

// The same, a lane for each slice.
template <class T> static void forwardLanes(rows::Turned<T>& x, bool logarithm) {
  const Vec<T> top = rows::largestOf(x);
  rows::WideSum<T> total;
  for (int64_t c = 0; c < x.n; c++) {
    const Vec<T> shifted = x.get(c) - top, power = logarithm ? exp(shifted) : expDown(shifted);
    x.put(c, logarithm ? shifted : power);
    total.add(power);
  }
  const Vec<T> logSum = logarithm ? total.map([](VecD sum) { return log(sum); }) : Vec<T>{}, scale = logarithm ? Vec<T>{} : total.map([](VecD sum) { return 1 / sum; });
  for (int64_t c = 0; c < x.n; c++) x.put(c, logarithm ? x.get(c) - logSum : x.get(c) * scale);
}

template <class T> static void backwardLanes(const rows::Turned<T>& y, rows::Turned<T>& dy, bool logarithm) {
  rows::WideSum<T> total;
  for (int64_t c = 0; c < y.n; c++) total.add(logarithm ? dy.get(c) : dy.get(c) * y.get(c));
  const Vec<T> sum = total.map([](VecD wide) { return wide; });
  for (int64_t c = 0; c < y.n; c++) dy.put(c, logarithm ? dy.get(c) - exp(y.get(c)) * sum : y.get(c) * (dy.get(c) - sum));
}

// in: matrices or cubes (x; or y and dy), out: one more
static bool fits(const Step& step, int inputs) {
  if (step.inCount != inputs || step.outCount != 1 || step.attrCount != 1) return false;
  const View& x = step.in[0];
  if (!rows::Slices::accept(x)) return false;
  const rows::Slices slices(x);
  return slices.fit(step.in[inputs - 1], x.dtype) && slices.fit(step.out[0], x.dtype);
}

static int done(const Context& context, bool hadMemory) { return hadMemory ? 0 : rows::fail(context, "softmax", "no memory for a group of columns"); }

template <class T> static int runForward(const Step& step, const Context& context) {
  const rows::Slices slices(step.in[0]);
  const int64_t n = slices.n;
  const bool logarithm = step.attrs[0] != 0;
  const T* x = static_cast<const T*>(step.in[0].data);
  T* y = static_cast<T*>(step.out[0].data);
  if (n == 0 || slices.count() == 0) return 0;
  if (slices.goByLanes<T>())
    return done(context, rows::eachTask<T>(context, slices, 1, [&](int64_t begin, int64_t end, char* memory) {
      rows::Turned<T> turned(slices, memory);
      slices.eachGroup<T>(begin, end, [&](int64_t first, int64_t count) {
        turned.read(x, first, count);
        rows::eachVector<T>(count, [&](int64_t, int64_t) { forwardLanes(turned, logarithm); }, turned);
        turned.write(y, first, count);
      });
    }));
  rows::eachRow(context, y, slices.outer, n, [=, &context](int64_t r, int worker, auto stream) {
    T* const row = y + r * n;
    T* const held = stream.value ? static_cast<T*>(context.scratch(context.pool, worker, uint64_t(n) * sizeof(T))) : row;
    if (held) forward<T, stream.value>(x + r * n, row, held, n, logarithm);
    else forward<T, false>(x + r * n, row, row, n, logarithm);
  });
  return 0;
}

template <class T> static int runBackward(const Step& step, const Context& context) {
  const rows::Slices slices(step.in[0]);
  const int64_t n = slices.n;
  const bool logarithm = step.attrs[0] != 0;
  const T* y = static_cast<const T*>(step.in[0].data);
  const T* dy = static_cast<const T*>(step.in[1].data);
  T* dx = static_cast<T*>(step.out[0].data);
  if (n == 0 || slices.count() == 0) return 0;
  if (slices.goByLanes<T>())
    return done(context, rows::eachTask<T>(context, slices, 2, [&](int64_t begin, int64_t end, char* memory) {
      rows::Turned<T> turned(slices, memory), slopes(slices, memory + slices.memoryBytes<T>());
      slices.eachGroup<T>(begin, end, [&](int64_t first, int64_t count) {
        turned.read(y, first, count), slopes.read(dy, first, count);
        rows::eachVector<T>(count, [&](int64_t, int64_t) { backwardLanes(turned, slopes, logarithm); }, turned, slopes);
        slopes.write(dx, first, count);
      });
    }));
  rows::eachRow(context, dx, slices.outer, n, [=](int64_t r, int, auto stream) {
    backward<T, stream.value>(y + r * n, dy + r * n, dx + r * n, n, logarithm);
  });
  return 0;
}

}  // namespace softmax

static int runSoftmax(const Step& step, const Context& context) {
  if (!softmax::fits(step, 1)) return rows::fail(context, "softmax", "needs one packed matrix or cube in and one out, f32 or f64, and one attribute");
  return step.in[0].dtype == DType::F32 ? softmax::runForward<float>(step, context) : softmax::runForward<double>(step, context);
}

static int runSoftmaxBackward(const Step& step, const Context& context) {
  if (!softmax::fits(step, 2)) return rows::fail(context, "softmaxBackward", "needs two packed matrices or cubes in and one out, f32 or f64, and one attribute");
  return step.in[0].dtype == DType::F32 ? softmax::runBackward<float>(step, context) : softmax::runBackward<double>(step, context);
}

}  // namespace GRAFT_ISA_NS
}  // namespace graft
