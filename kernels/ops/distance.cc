// Euclidean distances between the rows of a [N, P, D] and of b [N, R, D], and what pushes the rows apart.
//   distances      in: a, b; out: y [N, P, R], y_ij = sqrt(sum_d (a_id - b_jd)^2), from the differences themselves: |a|^2 + |b|^2 - 2 a b would lose the
//                  digits of rows that are close to each other
//   distanceSlopes in: a, b, w [N, P, R], or [N, R, P] where it is turned; out: [N, P, D], sum_j w_ij (a_i - b_j); attrs: 1 turned, 0 not
#include "../simd/transpose.h"
#include "rows.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace distance {

constexpr int kRows = 4;               // rows of a at a time
constexpr int kVectors = 2;            // vectors at a time: of columns of y, or of a row's elements
constexpr int64_t kChunk = 64;         // rows of a per task
constexpr int64_t kRun = 256;          // terms added in one go: long sums stay as exact as short ones

template <class T> constexpr int64_t kWidth = kVectors * kLanes<T>;

struct Extent {
  int64_t batch, rows, columns, width;   // N, P, R, D
};

// Sums over a panel: panel[d * kWidth + j] holds the columns side by side.
template <class T, int R> static void measure(const T* a, const T* panel, const Extent& e, T* y, int64_t columns) {
  Vec<T> total[R][kVectors] = {};
  for (int64_t begin = 0; begin < e.width; begin += kRun) {
    Vec<T> sum[R][kVectors] = {};
    for (int64_t d = begin; d < rows::smaller(begin + kRun, e.width); d++) {
      Vec<T> b[kVectors];
      for (int v = 0; v < kVectors; v++) b[v] = load(panel + d * kWidth<T> + v * kLanes<T>);
#pragma GCC unroll 4
      for (int r = 0; r < R; r++) {
        const T x = a[r * e.width + d];
#pragma GCC unroll 2
        for (int v = 0; v < kVectors; v++) {
          const Vec<T> difference = b[v] - x;
          sum[r][v] = multiplyAdd(difference, difference, sum[r][v]);
        }
      }
    }
    for (int r = 0; r < R; r++)
      for (int v = 0; v < kVectors; v++) total[r][v] += sum[r][v];
  }
  for (int r = 0; r < R; r++)
    for (int v = 0; v < kVectors && v * kLanes<T> < columns; v++)
      rows::put(y + r * e.columns + v * kLanes<T>, squareRoot(total[r][v]), int(rows::smaller(kLanes<T>, columns - v * kLanes<T>)));
}

// Columns j .. j + columns - 1 of some rows; memory takes a panel.
template <class T> static void block(const T* a, int64_t rowCount, const T* b, int64_t columns, const Extent& e, T* panel, T* y) {
  if (columns < kWidth<T>) memset(panel, 0, size_t(e.width * kWidth<T>) * sizeof(T));
  transpose(b, e.width, panel, kWidth<T>, e.width, columns);
  int64_t i = 0;
  for (; i + kRows <= rowCount; i += kRows) measure<T, kRows>(a + i * e.width, panel, e, y + i * e.columns, columns);
  for (; i < rowCount; i++) measure<T, 1>(a + i * e.width, panel, e, y + i * e.columns, columns);
}

template <class T> static int distances(const Step& step, const Context& context, const Extent& e) {
  const T *const a = static_cast<const T*>(step.in[0].data), *const b = static_cast<const T*>(step.in[1].data);
  T* const y = static_cast<T*>(step.out[0].data);
  const int64_t down = rows::ceilDiv(e.rows, kChunk), across = rows::ceilDiv(e.columns, kWidth<T>);
  const int64_t grain = rows::grain(rows::smaller(kChunk, e.rows) * rows::smaller(kWidth<T>, e.columns) * rows::larger(1, e.width / 4));
  bool failed = false;
  parallelFor(context, e.batch * down * across, grain, [&](int64_t begin, int64_t end, int worker) {
    T* const panel = static_cast<T*>(context.scratch(context.pool, worker, uint64_t(rows::larger(1, e.width) * kWidth<T>) * sizeof(T)));
    if (!panel) return __atomic_store_n(&failed, true, __ATOMIC_RELAXED);
    for (int64_t t = begin; t < end; t++) {
      const int64_t n = t / (down * across), i = t / across % down * kChunk, j = t % across * kWidth<T>;
      block(a + (n * e.rows + i) * e.width, rows::smaller(kChunk, e.rows - i), b + (n * e.columns + j) * e.width, rows::smaller(kWidth<T>, e.columns - j), e, panel,
            y + (n * e.rows + i) * e.columns + j);
    }
  });
  return failed ? rows::fail(context, "distances", "no working memory for a panel") : 0;
}

// Some rows' slopes, elements d .. d + kWidth - 1 of `lanes` in each vector (kWhole: all of them); wRow, wColumn: steps of w.
template <class T, int R, bool kWhole> static void push(const T* a, const T* b, const T* w, int64_t wRow, int64_t wColumn, const Extent& e, const int (&lanes)[kVectors], T* out) {
  auto vector = [&](const T* p, int v) { return kWhole ? load(p + v * kLanes<T>) : rows::get(p + v * kLanes<T>, lanes[v]); };
  Vec<T> own[R][kVectors], total[R][kVectors] = {};
  for (int r = 0; r < R; r++)
    for (int v = 0; v < kVectors; v++) own[r][v] = vector(a + r * e.width, v);
  for (int64_t begin = 0; begin < e.columns; begin += kRun) {
    Vec<T> sum[R][kVectors] = {};
    for (int64_t j = begin; j < rows::smaller(begin + kRun, e.columns); j++) {
      Vec<T> other[kVectors];
      for (int v = 0; v < kVectors; v++) other[v] = vector(b + j * e.width, v);
#pragma GCC unroll 4
      for (int r = 0; r < R; r++) {
        const Vec<T> weight = broadcast(w[r * wRow + j * wColumn]);
#pragma GCC unroll 2
        for (int v = 0; v < kVectors; v++) sum[r][v] = multiplyAdd(weight, own[r][v] - other[v], sum[r][v]);
      }
    }
    for (int r = 0; r < R; r++)
      for (int v = 0; v < kVectors; v++) total[r][v] += sum[r][v];
  }
  for (int r = 0; r < R; r++)
    for (int v = 0; v < kVectors; v++)
      if (lanes[v] > 0) rows::put(out + r * e.width + v * kLanes<T>, total[r][v], lanes[v]);
}

template <class T> static int slopes(const Step& step, const Context& context, const Extent& e) {
  const T *const a = static_cast<const T*>(step.in[0].data), *const b = static_cast<const T*>(step.in[1].data), *const w = static_cast<const T*>(step.in[2].data);
  T* const out = static_cast<T*>(step.out[0].data);
  const bool turned = step.attrs[0] != 0;
  const int64_t wRow = turned ? 1 : e.columns, wColumn = turned ? e.rows : 1, groups = rows::ceilDiv(e.rows, kRows);
  parallelFor(context, e.batch * groups, rows::grain(rows::larger(1, kRows * e.columns * e.width / 4)), [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; t++) {
      const int64_t n = t / groups, i = t % groups * kRows, count = rows::smaller(kRows, e.rows - i);
      const T* const weights = w + n * e.rows * e.columns + i * wRow;
      for (int64_t d = 0; d < e.width; d += kWidth<T>) {
        int lanes[kVectors];
        for (int v = 0; v < kVectors; v++) lanes[v] = int(rows::larger(0, rows::smaller(kLanes<T>, e.width - d - v * kLanes<T>)));
        const T *const own = a + (n * e.rows + i) * e.width + d, *const others = b + n * e.columns * e.width + d;
        T* const to = out + (n * e.rows + i) * e.width + d;
        const bool whole = lanes[kVectors - 1] == kLanes<T>;
        if (count == kRows && whole) push<T, kRows, true>(own, others, weights, wRow, wColumn, e, lanes, to);
        else if (count == kRows) push<T, kRows, false>(own, others, weights, wRow, wColumn, e, lanes, to);
        else for (int64_t r = 0; r < count; r++) push<T, 1, false>(own + r * e.width, others, weights + r * wRow, wRow, wColumn, e, lanes, to + r * e.width);
      }
    }
  });
  return 0;
}

// Whether a and b are there, and their extent.
static bool begins(const Step& step, int inputs, int attributes, Extent& e) {
  if (step.inCount != inputs || step.outCount != 1 || step.attrCount != attributes || step.in[0].rank != 3 || step.in[1].rank != 3) return false;
  const View &a = step.in[0], &b = step.in[1];
  e = {a.shape[0], a.shape[1], b.shape[1], a.shape[2]};
  return (a.dtype == DType::F32 || a.dtype == DType::F64) && rows::packed(a) && rows::isCube(b, a.dtype, e.batch, e.columns, e.width);
}

}  // namespace distance

static int runDistances(const Step& step, const Context& context) {
  distance::Extent e;
  if (!distance::begins(step, 2, 0, e) || !rows::isCube(step.out[0], step.in[0].dtype, e.batch, e.rows, e.columns)) return rows::fail(context, "distances", "inputs and outputs do not fit together");
  return step.in[0].dtype == DType::F32 ? distance::distances<float>(step, context, e) : distance::distances<double>(step, context, e);
}

static int runDistanceSlopes(const Step& step, const Context& context) {
  distance::Extent e;
  bool fits = distance::begins(step, 3, 1, e) && rows::isCube(step.out[0], step.in[0].dtype, e.batch, e.rows, e.width);
  if (fits) {
    const bool turned = step.attrs[0] != 0;
    fits = rows::isCube(step.in[2], step.in[0].dtype, e.batch, turned ? e.columns : e.rows, turned ? e.rows : e.columns);
  }
  if (!fits) return rows::fail(context, "distanceSlopes", "inputs and outputs do not fit together");
  return step.in[0].dtype == DType::F32 ? distance::slopes<float>(step, context, e) : distance::slopes<double>(step, context, e);
}

}  // namespace GRAFT_ISA_NS
}  // namespace graft
