// Layer norm and RMS norm over the rows of a matrix.
//   layer norm: xhat = (x - mean) r, r = 1 / sqrt(var + eps);  RMS norm: xhat = x r, r = 1 / sqrt(mean(x^2) + eps);  y = xhat w + b
//   g = dy w:   dx = r (g - mean(g) - xhat mean(g xhat))   (RMS norm without mean(g)),  dw = sum_rows dy xhat,  db = sum_rows dy
//
// norm         in: x [rows, n], w [n] and b [n] where there are; out: y, [rows, 2]: mean (0 for RMS norm) and r
//              attrs: 1 centred (layer norm) or 0 (RMS norm), eps, has w, has b
// normBackward in: x, [rows, 2], dy, w where there is one; out: dx, then dw [n] and db [n] where wanted
//              attrs: centred, has w, wants dw, wants db
#include "rows.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace norm {

template <class T, bool kCentred, bool kStream> static void forwardRow(const T* x, const T* w, const T* b, double eps, T* y, T* stats, int64_t n) {
  double total[1];
  T mean = 0;
  if (kCentred) {
    rows::sums<T, 1>(n, total, [=](int64_t i, int lanes, Vec<T>* term) { term[0] = rows::get(x + i, lanes); });
    mean = T(total[0] / double(n));
  }
  rows::sums<T, 1>(n, total, [=](int64_t i, int lanes, Vec<T>* term) {
    __builtin_prefetch(x + n + i);   // the next row, which comes from memory where there are many; a pass that writes past the caches keeps memory busy as it is
    const Vec<T> c = kCentred ? rows::get(x + i, lanes) - mean : rows::get(x + i, lanes);
    term[0] = c * c;
  });
  const T r = T(1 / __builtin_sqrt(total[0] / double(n) + eps));
  stats[0] = mean;
  stats[1] = r;
  rows::each<T>(n, [=](int64_t i, int lanes) {
    Vec<T> v = (kCentred ? rows::get(x + i, lanes) - mean : rows::get(x + i, lanes)) * r;
    if (w) v *= rows::get(w + i, lanes);
    if (b) v += rows::get(b + i, lanes);
    rows::putResult<kStream>(y + i, v, lanes);
  });
}

template <class T> static int forward(const Step& step, const Context& context, bool hasWeight) {
  const int64_t n = step.in[0].shape[1];
  const double eps = step.attrs[1];
  const bool centred = step.attrs[0] != 0;
  const T* x = static_cast<const T*>(step.in[0].data);
  const T* w = hasWeight ? static_cast<const T*>(step.in[1].data) : nullptr;
  const T* b = step.inCount > 1 + hasWeight ? static_cast<const T*>(step.in[1 + hasWeight].data) : nullptr;
  T* y = static_cast<T*>(step.out[0].data);
  T* stats = static_cast<T*>(step.out[1].data);
  rows::eachRow(context, y, step.in[0].shape[0], n, [=](int64_t r, int, auto stream) {
    if (centred) forwardRow<T, true, stream.value>(x + r * n, w, b, eps, y + r * n, stats + 2 * r, n);
    else forwardRow<T, false, stream.value>(x + r * n, w, b, eps, y + r * n, stats + 2 * r, n);
  });
  return 0;
}

// One row: dx, and the row's share of dw and db added to dw and db where these are given.
template <class T, bool kCentred, bool kStream> static void backwardRow(const T* x, const T* dy, const T* w, const T* stats, T* dx, T* dw, T* db, int64_t n) {
  const T mean = stats[0], r = stats[1];
  auto xhat = [=](int64_t i, int lanes) { return (kCentred ? rows::get(x + i, lanes) - mean : rows::get(x + i, lanes)) * r; };
  auto g = [=](int64_t i, int lanes) { return w ? rows::get(dy + i, lanes) * rows::get(w + i, lanes) : rows::get(dy + i, lanes); };
  double total[2];
  rows::sums<T, 2>(n, total, [=](int64_t i, int lanes, Vec<T>* term) {
    __builtin_prefetch(x + 2 * n + i, 0, 2);   // the row after the next, into L2
    term[0] = g(i, lanes);
    term[1] = term[0] * xhat(i, lanes);
  });
  const T meanG = kCentred ? T(total[0] / double(n)) : T(0), meanGx = T(total[1] / double(n));
  rows::each<T>(n, [=](int64_t i, int lanes) {
    __builtin_prefetch(x + n + i), __builtin_prefetch(dy + n + i);
    const Vec<T> h = xhat(i, lanes);
    rows::putResult<kStream>(dx + i, ((g(i, lanes) - meanG) - h * meanGx) * r, lanes);
    if (dw) rows::put(dw + i, rows::get(dw + i, lanes) + rows::get(dy + i, lanes) * h, lanes);
    if (db) rows::put(db + i, rows::get(db + i, lanes) + rows::get(dy + i, lanes), lanes);
  });
}

constexpr int64_t kRun = 32;           // rows added up in T before the sums go on in double
constexpr int64_t kMaxTasks = 64;      // partial sums of dw and db, however many rows there are
constexpr int64_t kWide = 16384;       // from this row length on the partial sums would take too much memory: dw and db get a pass of their own
constexpr int64_t kApart = 160;        // elements between the sums of dw and db where they would otherwise lie a multiple of 4 KiB apart and share their part of L1 with the rows
constexpr int64_t kColumns = 256;      // columns per task of that pass

template <class T> struct Gradients {
  const T *x, *stats, *dy, *w;
  T *dx, *dw, *db;
  int64_t rowCount, n;
  bool centred;

  template <bool kStream> void row(int64_t r, T* sumW, T* sumB) const {
    if (centred) backwardRow<T, true, kStream>(x + r * n, dy + r * n, w, stats + 2 * r, dx + r * n, sumW, sumB, n);
    else backwardRow<T, false, kStream>(x + r * n, dy + r * n, w, stats + 2 * r, dx + r * n, sumW, sumB, n);
  }

  void range(int64_t begin, int64_t end, T* sumW, T* sumB) const {
    rows::eachOf(begin, end, mayStream(dx, rowCount, n), [&](int64_t r, auto stream) { this->template row<stream.value>(r, sumW, sumB); });
  }
};

// dw and db of a block of columns, over all rows.
template <class T> static void columnSums(const Gradients<T>& g, int64_t begin, int64_t end) {
  double totalW[kColumns] = {}, totalB[kColumns] = {};
  for (int64_t first = 0; first < g.rowCount; first += kRun) {
    T sumW[kColumns] = {}, sumB[kColumns] = {};
    for (int64_t r = first; r < rows::smaller(first + kRun, g.rowCount); r++) {
      const T mean = g.stats[2 * r], scale = g.stats[2 * r + 1];
      const T *x = g.x + r * g.n + begin, *dy = g.dy + r * g.n + begin;
      for (int64_t j = 0; j < end - begin; j++) {
        sumW[j] += dy[j] * ((x[j] - mean) * scale);
        sumB[j] += dy[j];
      }
    }
    for (int64_t j = 0; j < end - begin; j++) totalW[j] += double(sumW[j]), totalB[j] += double(sumB[j]);
  }
  for (int64_t j = begin; j < end; j++) {
    if (g.dw) g.dw[j] = T(totalW[j - begin]);
    if (g.db) g.db[j] = T(totalB[j - begin]);
  }
}

template <class T> static int backward(const Context& context, const Gradients<T>& g) {
  const int64_t n = g.n;
  const bool sums = g.dw || g.db;
  if (!sums || n >= kWide) {
    parallelFor(context, g.rowCount, rows::grain(n), [&](int64_t begin, int64_t end, int) { g.range(begin, end, nullptr, nullptr); });
    if (sums) parallelFor(context, n, kColumns, [&](int64_t begin, int64_t end, int) { columnSums(g, begin, end); });
    return 0;
  }
  // A task's rows are added up in runs in T (memory per thread), runs in double (memory per task), tasks in order at the end.
  const int64_t grain = rows::larger(rows::grain(n), rows::ceilDiv(g.rowCount, kMaxTasks)), tasks = rows::ceilDiv(g.rowCount, grain);
  const int64_t width = n % 512 == 0 ? n + kApart : n, both = 2 * width;
  char* memory = static_cast<char*>(context.scratch(context.pool, 0, uint64_t(both + 16) * (uint64_t(tasks) * sizeof(double) + uint64_t(context.threads) * sizeof(T))));
  if (!memory) return rows::fail(context, "normBackward", "no working memory for the partial sums");
  double* part = reinterpret_cast<double*>(memory);
  T* runs = reinterpret_cast<T*>(part + tasks * both);
  parallelFor(context, g.rowCount, grain, [&](int64_t begin, int64_t end, int worker) {
    double* total = part + begin / grain * both;
    T* sum = runs + worker * both;
    memset(total, 0, size_t(both) * sizeof(double));
    for (int64_t first = begin; first < end; first += kRun) {
      memset(sum, 0, size_t(both) * sizeof(T));
      g.range(first, rows::smaller(first + kRun, end), g.dw ? sum : nullptr, g.db ? sum + width : nullptr);
      for (int64_t j = 0; j < both; j++) total[j] += double(sum[j]);
    }
  });
  parallelFor(context, n, 1024, [&](int64_t begin, int64_t end, int) {
    for (int64_t j = begin; j < end; j++) {
      double sumW = 0, sumB = 0;
      for (int64_t i = 0; i < tasks; i++) sumW += part[i * both + j], sumB += part[i * both + width + j];
      if (g.dw) g.dw[j] = T(sumW);
      if (g.db) g.db[j] = T(sumB);
    }
  });
  return 0;
}

template <class T> static int backward(const Step& step, const Context& context) {
  const bool hasWeight = step.attrs[1] != 0, wantsWeight = step.attrs[2] != 0, wantsBias = step.attrs[3] != 0;
  Gradients<T> g;
  g.x = static_cast<const T*>(step.in[0].data);
  g.stats = static_cast<const T*>(step.in[1].data);
  g.dy = static_cast<const T*>(step.in[2].data);
  g.w = hasWeight ? static_cast<const T*>(step.in[3].data) : nullptr;
  g.dx = static_cast<T*>(step.out[0].data);
  g.dw = wantsWeight ? static_cast<T*>(step.out[1].data) : nullptr;
  g.db = wantsBias ? static_cast<T*>(step.out[1 + wantsWeight].data) : nullptr;
  g.rowCount = step.in[0].shape[0];
  g.n = step.in[0].shape[1];
  g.centred = step.attrs[0] != 0;
  return backward(context, g);
}

static bool startsWithMatrix(const Step& step, int inputs, int outputs) {
  if (step.attrCount != 4 || step.inCount != inputs || step.outCount != outputs || step.in[0].rank != 2) return false;
  const View& x = step.in[0];
  return (x.dtype == DType::F32 || x.dtype == DType::F64) && rows::packed(x) && rows::isMatrix(step.out[0], x.dtype, x.shape[0], x.shape[1]);
}

}  // namespace norm

static int runNorm(const Step& step, const Context& context) {
  bool fits = step.attrCount == 4;
  const bool hasWeight = fits && step.attrs[2] != 0, hasBias = fits && step.attrs[3] != 0;
  fits = fits && norm::startsWithMatrix(step, 1 + hasWeight + hasBias, 2);
  for (int i = 1; fits && i < step.inCount; i++) fits = rows::isVector(step.in[i], step.in[0].dtype, step.in[0].shape[1]);
  if (!fits || !rows::isMatrix(step.out[1], step.in[0].dtype, step.in[0].shape[0], 2)) return rows::fail(context, "norm", "inputs, outputs or attributes do not fit together");
  return step.in[0].dtype == DType::F32 ? norm::forward<float>(step, context, hasWeight) : norm::forward<double>(step, context, hasWeight);
}

static int runNormBackward(const Step& step, const Context& context) {
  bool fits = step.attrCount == 4;
  const bool hasWeight = fits && step.attrs[1] != 0;
  fits = fits && norm::startsWithMatrix(step, 3 + hasWeight, 1 + (step.attrs[2] != 0) + (step.attrs[3] != 0));
  if (fits) {
    const DType dtype = step.in[0].dtype;
    const int64_t rowCount = step.in[0].shape[0], n = step.in[0].shape[1];
    fits = rows::isMatrix(step.in[1], dtype, rowCount, 2) && rows::isMatrix(step.in[2], dtype, rowCount, n) && (!hasWeight || rows::isVector(step.in[3], dtype, n));
    for (int i = 1; fits && i < step.outCount; i++) fits = rows::isVector(step.out[i], dtype, n);
  }
  if (!fits) return rows::fail(context, "normBackward", "inputs, outputs or attributes do not fit together");
  return step.in[0].dtype == DType::F32 ? norm::backward<float>(step, context) : norm::backward<double>(step, context);
}

}  // namespace GRAFT_ISA_NS
}  // namespace graft
