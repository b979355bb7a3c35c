// Batch norm in training: every channel of x [B, C, S] is normalised by its own mean and variance.
//   xhat = (x - mean) r, r = 1 / sqrt(var + eps), y = xhat w + b            (var is the biased one: divided by N = B S)
//   db = sum dy, dw = sum dy xhat, dx = w r (dy - db / N - xhat dw / N)
//
// batchNorm         in: x, then w [C] and b [C] where there are; out: y, mean [C], var [C]; attrs: eps, has w, has b
// batchNormBackward in: x, mean, var, dy, then w [C] where there is one; out: dx, dw, db; attrs: eps, has w
//
// A channel's sums are taken over parts of fixed size and put together in order, so they do not depend on the number of threads. Where S is long the
// elements of a channel lie in runs of S (a vector runs along S); where it is short x is a matrix [B, C S] and a vector runs across its columns.
#include "rows.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace batchnorm {

constexpr int64_t kShortRun = 16;      // below this S the columns are the better direction
constexpr int64_t kColumns = 64;       // columns per task
constexpr int64_t kParts = 8;          // of the batch at least, so that a thread mostly sums the entries that it has written,
constexpr int64_t kPart = 2048;        // where so many elements are in each: putting them together costs about 10 ns each

struct Extent {
  int64_t batch, channels, inner;
  bool columns;
  int64_t width;                       // channels, or columns of the matrix
  int64_t chunk, chunks;               // batch entries in one partial sum; number of them
};

static Extent extentOf(const View& x) {
  Extent e;
  e.batch = x.shape[0], e.channels = x.shape[1], e.inner = x.shape[2];
  e.columns = e.inner < kShortRun;
  e.width = e.columns ? e.channels * e.inner : e.channels;
  e.chunk = rows::ceilDiv(rows::kTask, e.columns ? kColumns : e.inner);
  if (!e.columns) e.chunk = rows::smaller(e.chunk, rows::larger(e.batch / kParts, rows::ceilDiv(kPart, e.inner)));
  e.chunks = rows::ceilDiv(e.batch, e.chunk);
  return e;
}

// run(c, first, last, part) for runs, column(begin, end, first, last, part) for columns: over batch entries first..last - 1;
// `part` takes two numbers per channel or column.
template <class R, class C> static void partialSums(const Context& context, const Extent& e, double* part, const R& run, const C& column) {
  const int64_t size = rows::larger(1, rows::smaller(e.chunk, e.batch));
  if (e.columns) {
    const int64_t blocks = rows::ceilDiv(e.width, kColumns);
    parallelFor(context, blocks * e.chunks, rows::grain(kColumns * size), [&](int64_t begin, int64_t end, int) {
      for (int64_t t = begin; t < end; t++) {
        const int64_t chunk = t / blocks, j = t % blocks * kColumns, first = chunk * e.chunk;
        column(j, rows::smaller(j + kColumns, e.width), first, rows::smaller(first + e.chunk, e.batch), part + (chunk * e.width + j) * 2);
      }
    });
  } else {
    parallelFor(context, e.channels * e.chunks, rows::grain(e.inner * size), [&](int64_t begin, int64_t end, int) {
      for (int64_t t = begin; t < end; t++) {
        const int64_t chunk = t / e.channels, first = chunk * e.chunk;
        run(t % e.channels, first, rows::smaller(first + e.chunk, e.batch), part + t * 2);
      }
    });
  }
}

template <class T, int K, class F>
static inline void add(Vec<T> (&part)[K][rows::kChains], int chain, int64_t b, int64_t i, int lanes, const F& body) {
  Vec<T> terms[K];
  body(b, i, lanes, terms);
#pragma GCC unroll 4
  for (int k = 0; k < K; k++) part[k][chain] += lanes == kLanes<T> ? terms[k] : rows::firstLanes<T>(terms[k], lanes, 0);
}

// K sums over the runs of batch entries first..last - 1 at once: body(b, i, lanes, terms) gives the terms of one vector of entry b's run. Several short runs
// are added in lanes of T, up to as many elements as rows::sums adds so, before the sum goes on in double.
template <class T, int K, class F> static void sumsOfRuns(int64_t first, int64_t last, int64_t n, double (&total)[K], const F& body) {
  constexpr int L = kLanes<T>;
  const int64_t together = rows::kBlock / n;
  for (int k = 0; k < K; k++) total[k] = 0;
  for (int64_t b = first; b < last; b += rows::larger(1, together)) {
    if (together <= 1) {
      double one[K];
      rows::sums<T, K>(n, one, [&](int64_t i, int lanes, Vec<T>* terms) { body(b, i, lanes, terms); });
      for (int k = 0; k < K; k++) total[k] += one[k];
      continue;
    }
    const int64_t end = rows::smaller(last, b + together);
    Vec<T> part[K][rows::kChains] = {};
    rows::each<T>(n, [&](int64_t i, int lanes) {
      int64_t r = b;
      for (; r + rows::kChains <= end; r += rows::kChains) {
#pragma GCC unroll 4
        for (int c = 0; c < rows::kChains; c++) add<T, K>(part, c, r + c, i, lanes, body);
      }
      for (; r < end; r++) add<T, K>(part, 0, r, i, lanes, body);
    });
    for (int k = 0; k < K; k++) total[k] += rows::addLanes((part[k][0] + part[k][1]) + (part[k][2] + part[k][3]));
  }
}

// The mean of a part and the sum of squared distances from it. Both passes read memory that is in the cache after the first.
template <class T> static void statsOfRun(const T* x, const Extent& e, int64_t c, int64_t first, int64_t last, double* part) {
  const double count = double((last - first) * e.inner);
  const auto at = [&](int64_t b) { return x + (b * e.channels + c) * e.inner; };
  double sum[1], squares[1];
  sumsOfRuns<T, 1>(first, last, e.inner, sum, [&](int64_t b, int64_t i, int lanes, Vec<T>* term) { term[0] = rows::get(at(b) + i, lanes); });
  const double mean = sum[0] / count;
  const T near = T(mean);
  sumsOfRuns<T, 1>(first, last, e.inner, squares, [&](int64_t b, int64_t i, int lanes, Vec<T>* term) {
    const Vec<T> d = rows::get(at(b) + i, lanes) - near;
    term[0] = d * d;
  });
  part[0] = mean;
  part[1] = squares[0] - count * (mean - double(near)) * (mean - double(near));   // sum (x - m)^2 = sum (x - near)^2 - N (m - near)^2
}

template <class T> static void statsOfColumns(const T* x, const Extent& e, int64_t begin, int64_t end, int64_t first, int64_t last, double* part) {
  double mean[kColumns] = {}, squares[kColumns] = {};
  const int64_t n = end - begin;
  for (int64_t b = first; b < last; b++)
    for (int64_t j = 0; j < n; j++) mean[j] += double(x[b * e.width + begin + j]);
  for (int64_t j = 0; j < n; j++) mean[j] /= double(last - first);
  for (int64_t b = first; b < last; b++) {
    for (int64_t j = 0; j < n; j++) {
      const double d = double(x[b * e.width + begin + j]) - mean[j];
      squares[j] += d * d;
    }
  }
  for (int64_t j = 0; j < n; j++) part[2 * j] = mean[j], part[2 * j + 1] = squares[j];
}

// Puts the parts of channel c together (Chan, Golub and LeVeque 1979).
static void joinStats(const Extent& e, const double* part, int64_t c, double& mean, double& variance) {
  const int64_t per = e.columns ? e.inner : 1;
  double n = 0, squares = 0;
  mean = 0;
  for (int64_t k = 0; k < e.chunks; k++) {
    const double count = double(rows::smaller(e.chunk, e.batch - k * e.chunk) * (e.columns ? 1 : e.inner));
    for (int64_t j = c * per; j < (c + 1) * per; j++) {
      const double* p = part + (k * e.width + j) * 2;
      const double distance = p[0] - mean, total = n + count;
      squares += p[1] + distance * distance * n * count / total;
      mean += distance * count / total;
      n = total;
    }
  }
  variance = squares / n;
}

template <class T> static T* scratchTable(double* part, const Extent& e) { return reinterpret_cast<T*>(part + rows::larger(1, e.chunks) * e.width * 2); }

// Memory for the partial sums and `tables` numbers per channel or column.
template <class T> static double* scratch(const Context& context, const Extent& e, int tables) {
  const int64_t width = rows::larger(1, e.width);
  return static_cast<double*>(context.scratch(context.pool, 0, uint64_t(width) * (uint64_t(rows::larger(1, e.chunks)) * 2 * sizeof(double) + uint64_t(tables) * sizeof(T))));
}

template <class T> static int forward(const Step& step, const Context& context) {
  const Extent e = extentOf(step.in[0]);
  const bool hasWeight = step.attrs[1] != 0, hasBias = step.attrs[2] != 0;
  const double eps = step.attrs[0];
  const T* x = static_cast<const T*>(step.in[0].data);
  const T* w = hasWeight ? static_cast<const T*>(step.in[1].data) : nullptr;
  const T* bias = hasBias ? static_cast<const T*>(step.in[1 + hasWeight].data) : nullptr;
  T* y = static_cast<T*>(step.out[0].data);
  double* part = scratch<T>(context, e, 3);
  if (!part) return rows::fail(context, "batchNorm", "no working memory for the partial sums");
  partialSums(context, e, part,
      [&](int64_t c, int64_t first, int64_t last, double* to) { statsOfRun(x, e, c, first, last, to); },
      [&](int64_t begin, int64_t end, int64_t first, int64_t last, double* to) { statsOfColumns(x, e, begin, end, first, last, to); });
  // y = (x - mean) scale + shift
  T* means = scratchTable<T>(part, e);
  T *scales = means + e.width, *shifts = scales + e.width;
  const int64_t per = e.columns ? e.inner : 1;
  for (int64_t c = 0; c < e.channels; c++) {
    double mean, variance;
    joinStats(e, part, c, mean, variance);
    static_cast<T*>(step.out[1].data)[c] = T(mean);
    static_cast<T*>(step.out[2].data)[c] = T(variance);
    for (int64_t j = c * per; j < (c + 1) * per; j++) {
      means[j] = T(mean);
      scales[j] = T((w ? double(w[c]) : 1) / __builtin_sqrt(variance + eps));
      shifts[j] = bias ? bias[c] : T(0);
    }
  }
  const int64_t n = e.columns ? e.width : e.inner, rowCount = e.columns ? e.batch : e.batch * e.channels;
  parallelFor(context, rowCount, rows::grain(n), [=](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; r++) {
      const T* from = x + r * n;
      T* to = y + r * n;
      if (e.columns) {
        rows::each<T>(n, [=](int64_t i, int lanes) {
          rows::put(to + i, (rows::get(from + i, lanes) - rows::get(means + i, lanes)) * rows::get(scales + i, lanes) + rows::get(shifts + i, lanes), lanes);
        });
      } else {
        const T mean = means[r % e.channels], scale = scales[r % e.channels], shift = shifts[r % e.channels];
        rows::each<T>(n, [=](int64_t i, int lanes) { rows::put(to + i, (rows::get(from + i, lanes) - mean) * scale + shift, lanes); });
      }
    }
  });
  return 0;
}

// sum dy and sum dy xhat of a part.
template <class T> static void gradientsOfRun(const T* x, const T* dy, T mean, T r, const Extent& e, int64_t c, int64_t first, int64_t last, double* part) {
  const auto at = [&](int64_t b) { return (b * e.channels + c) * e.inner; };
  double total[2];
  sumsOfRuns<T, 2>(first, last, e.inner, total, [&](int64_t b, int64_t i, int lanes, Vec<T>* term) {
    term[0] = rows::get(dy + at(b) + i, lanes);
    term[1] = term[0] * ((rows::get(x + at(b) + i, lanes) - mean) * r);
  });
  part[0] = total[0], part[1] = total[1];
}

template <class T> static void gradientsOfColumns(const T* x, const T* dy, const T* mean, const T* r, const Extent& e, int64_t begin, int64_t end, int64_t first, int64_t last, double* part) {
  double sum[kColumns] = {}, product[kColumns] = {};
  const int64_t n = end - begin;
  for (int64_t b = first; b < last; b++) {
    for (int64_t j = 0; j < n; j++) {
      const T g = dy[b * e.width + begin + j];
      sum[j] += double(g);
      product[j] += double(g * ((x[b * e.width + begin + j] - mean[begin + j]) * r[begin + j]));
    }
  }
  for (int64_t j = 0; j < n; j++) part[2 * j] = sum[j], part[2 * j + 1] = product[j];
}

template <class T> static int backward(const Step& step, const Context& context) {
  const Extent e = extentOf(step.in[0]);
  const double eps = step.attrs[0], count = double(e.batch * e.inner);
  const T* x = static_cast<const T*>(step.in[0].data);
  const T *mean = static_cast<const T*>(step.in[1].data), *variance = static_cast<const T*>(step.in[2].data);
  const T* dy = static_cast<const T*>(step.in[3].data);
  const T* w = step.attrs[1] != 0 ? static_cast<const T*>(step.in[4].data) : nullptr;
  T *dx = static_cast<T*>(step.out[0].data), *dw = static_cast<T*>(step.out[1].data), *db = static_cast<T*>(step.out[2].data);
  double* part = scratch<T>(context, e, 5);
  if (!part) return rows::fail(context, "batchNormBackward", "no working memory for the partial sums");
  T* means = scratchTable<T>(part, e);
  T *rs = means + e.width, *scales = rs + e.width, *meanDy = scales + e.width, *meanDyx = meanDy + e.width;
  const int64_t per = e.columns ? e.inner : 1;
  for (int64_t j = 0; j < e.width; j++) {
    means[j] = mean[j / per];
    rs[j] = T(1 / __builtin_sqrt(double(variance[j / per]) + eps));
    scales[j] = w ? rs[j] * w[j / per] : rs[j];
  }
  partialSums(context, e, part,
      [&](int64_t c, int64_t first, int64_t last, double* to) { gradientsOfRun(x, dy, means[c], rs[c], e, c, first, last, to); },
      [&](int64_t begin, int64_t end, int64_t first, int64_t last, double* to) { gradientsOfColumns(x, dy, means, rs, e, begin, end, first, last, to); });
  for (int64_t c = 0; c < e.channels; c++) {
    double sum = 0, product = 0;
    for (int64_t k = 0; k < e.chunks; k++)
      for (int64_t j = c * per; j < (c + 1) * per; j++) sum += part[(k * e.width + j) * 2], product += part[(k * e.width + j) * 2 + 1];
    db[c] = T(sum);
    dw[c] = T(product);
    for (int64_t j = c * per; j < (c + 1) * per; j++) meanDy[j] = T(sum / count), meanDyx[j] = T(product / count);
  }
  const int64_t n = e.columns ? e.width : e.inner, rowCount = e.columns ? e.batch : e.batch * e.channels;
  parallelFor(context, rowCount, rows::grain(n), [=](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; row++) {
      const T *from = x + row * n, *grad = dy + row * n;
      T* to = dx + row * n;
      if (e.columns) {
        rows::each<T>(n, [=](int64_t i, int lanes) {
          const Vec<T> xhat = (rows::get(from + i, lanes) - rows::get(means + i, lanes)) * rows::get(rs + i, lanes);
          rows::put(to + i, ((rows::get(grad + i, lanes) - rows::get(meanDy + i, lanes)) - xhat * rows::get(meanDyx + i, lanes)) * rows::get(scales + i, lanes), lanes);
        });
      } else {
        const int64_t c = row % e.channels;
        const T m = means[c], r = rs[c], scale = scales[c], a = meanDy[c], b = meanDyx[c];
        rows::each<T>(n, [=](int64_t i, int lanes) {
          const Vec<T> xhat = (rows::get(from + i, lanes) - m) * r;
          rows::put(to + i, ((rows::get(grad + i, lanes) - a) - xhat * b) * scale, lanes);
        });
      }
    }
  });
  return 0;
}

// x [B, C, S] first; the views from `from` on are vectors over the channels.
static bool fits(const Step& step, int inputs, int attributes) {
  if (step.attrCount != attributes || step.inCount != inputs || step.outCount != 3 || step.in[0].rank != 3) return false;
  const View& x = step.in[0];
  if ((x.dtype != DType::F32 && x.dtype != DType::F64) || !rows::packed(x) || !rows::isCube(step.out[0], x)) return false;
  return rows::isVector(step.out[1], x.dtype, x.shape[1]) && rows::isVector(step.out[2], x.dtype, x.shape[1]);
}

}  // namespace batchnorm

static int runBatchNorm(const Step& step, const Context& context) {
  const int parameters = step.attrCount == 3 ? (step.attrs[1] != 0) + (step.attrs[2] != 0) : 0;
  bool fits = batchnorm::fits(step, 1 + parameters, 3);
  for (int i = 1; fits && i < step.inCount; i++) fits = rows::isVector(step.in[i], step.in[0].dtype, step.in[0].shape[1]);
  if (!fits) return rows::fail(context, "batchNorm", "inputs, outputs or attributes do not fit together");
  return step.in[0].dtype == DType::F32 ? batchnorm::forward<float>(step, context) : batchnorm::forward<double>(step, context);
}

static int runBatchNormBackward(const Step& step, const Context& context) {
  const int parameters = step.attrCount == 2 ? step.attrs[1] != 0 : 0;
  bool fits = batchnorm::fits(step, 4 + parameters, 2) && rows::isCube(step.in[3], step.in[0]);
  for (int i = 1; fits && i < step.inCount; i++) fits = i == 3 || rows::isVector(step.in[i], step.in[0].dtype, step.in[0].shape[1]);
  if (!fits) return rows::fail(context, "batchNormBackward", "inputs, outputs or attributes do not fit together");
  return step.in[0].dtype == DType::F32 ? batchnorm::backward<float>(step, context) : batchnorm::backward<double>(step, context);
}

}  // namespace GRAFT_ISA_NS
}  // namespace graft
