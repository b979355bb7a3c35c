// Kernels on batches of square matrices, packed, f32 or f64, computed in f64: "inverse", "solve" (a, b), "det", "slogdet" (two outputs), "cofactor", "cholesky".
// One large matrix is shared among the threads row by row; many small ones are dealt out whole. Which of the two depends on the size only.
#include "lines.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace linalg {

constexpr int64_t kFine = INT64_MAX;      // "no matrix failed"
constexpr int64_t kColumnBits = 24;       // a failure is matrix << 24 | column, so that the smallest is the first one

// Rows of work that are worth sharing.
template <class F> static inline void eachRow(const Context& context, int64_t rows, int64_t cost, const F& body) {
  parallelFor(context, rows, lines::larger(1, 16384 / lines::larger(cost, 1)), [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; i++) body(i);
  });
}

static inline void subtractScaled(double* __restrict to, const double* __restrict from, double scale, int64_t n) {
  for (int64_t j = 0; j < n; j++) to[j] -= scale * from[j];
}

static inline double dot(const double* a, const double* b, int64_t n) {
  constexpr int L = kLanes<double>;
  VecD sum[2] = {};
  int64_t i = 0;
  for (; i + 2 * L <= n; i += 2 * L) {
    sum[0] += load(a + i) * load(b + i);
    sum[1] += load(a + i + L) * load(b + i + L);
  }
  double total = rows::addLanes(sum[0] + sum[1]);
  for (; i < n; i++) total += a[i] * b[i];
  return total;
}

static inline double magnitude(double x) { return __builtin_fabs(x); }

struct Factors { int64_t singular = -1; double sign = 1; };   // first column without a pivot; sign of the permutations

// P A Q = L U in place by Gaussian elimination; rows[i] and, with complete pivoting, columns[i] say where row and column i came from. Partial
// pivoting (columns NULL) takes the largest element of the column, complete pivoting that of the whole rest, so that zero pivots come last.
static Factors factor(const Context& context, double* a, int64_t n, int32_t* from, int32_t* columns) {
  Factors result;
  for (int64_t i = 0; i < n; i++) {
    from[i] = int32_t(i);
    if (columns) columns[i] = int32_t(i);
  }
  for (int64_t k = 0; k < n; k++) {
    int64_t row = k, column = k;
    for (int64_t i = k; i < n; i++)
      for (int64_t j = k; j < (columns ? n : k + 1); j++)
        if (magnitude(a[i * n + j]) > magnitude(a[row * n + column])) row = i, column = j;
    if (row != k) {
      for (int64_t j = 0; j < n; j++) { const double t = a[k * n + j]; a[k * n + j] = a[row * n + j]; a[row * n + j] = t; }
      const int32_t t = from[k];
      from[k] = from[row], from[row] = t;
      result.sign = -result.sign;
    }
    if (column != k) {
      for (int64_t i = 0; i < n; i++) { const double t = a[i * n + k]; a[i * n + k] = a[i * n + column]; a[i * n + column] = t; }
      const int32_t t = columns[k];
      columns[k] = columns[column], columns[column] = t;
      result.sign = -result.sign;
    }
    const double pivot = a[k * n + k];
    if (pivot == 0) {
      if (result.singular < 0) result.singular = k;
      continue;
    }
    eachRow(context, n - k - 1, n - k, [&](int64_t i) {
      double* target = a + (k + 1 + i) * n;
      const double scale = target[k] /= pivot;
      subtractScaled(target + k + 1, a + k * n + k + 1, scale, n - k - 1);
    });
  }
  return result;
}

// X in place: L Y = X, then U X = Y, for x [n, m]; blocks of columns are independent.
static void substitute(const Context& context, const double* lu, int64_t n, double* x, int64_t m) {
  constexpr int64_t kColumns = 64;
  eachRow(context, lines::ceilDiv(m, kColumns), n * n * kColumns / 8, [&](int64_t block) {
    const int64_t low = block * kColumns, width = lines::smaller(kColumns, m - low);
    for (int64_t i = 0; i < n; i++)
      for (int64_t j = 0; j < i; j++) subtractScaled(x + i * m + low, x + j * m + low, lu[i * n + j], width);
    for (int64_t i = n - 1; i >= 0; i--) {
      for (int64_t j = i + 1; j < n; j++) subtractScaled(x + i * m + low, x + j * m + low, lu[i * n + j], width);
      const double pivot = lu[i * n + i];
      for (int64_t c = low; c < low + width; c++) x[i * m + c] /= pivot;
    }
  });
}

// All cofactors of the matrix whose complete factors are given, into y [n, n] and, put back in place, into `out`. With A = P^T L U Q^T they are
// det(P) det(Q) P^T L^-T cof(U) Q^T. cof(U) = det(U) U^-T; with one zero pivot it is a single row; with two it is 0.
template <class T>
static void cofactors(const double* lu, int64_t n, const Factors& factors, const int32_t* from, const int32_t* columns, double* y, T* out) {
  memset(y, 0, size_t(n * n) * 8);
  double product = factors.sign;
  for (int64_t k = 0; k < (factors.singular < 0 ? n : n - 1); k++) product *= lu[k * n + k];
  if (factors.singular < 0) {
    for (int64_t c = 0; c < n; c++)          // U^T Y = det(U), column c of Y is zero above the diagonal
      for (int64_t i = c; i < n; i++) {
        double value = i == c ? product : 0;
        for (int64_t j = c; j < i; j++) value -= lu[j * n + i] * y[j * n + c];
        y[i * n + c] = value / lu[i * n + i];
      }
  } else if (factors.singular == n - 1) {
    double* w = y + (n - 1) * n;             // adj(U) = product * [-U11^-1 u12; 1] e_n^T
    w[n - 1] = 1;
    for (int64_t i = n - 2; i >= 0; i--) {
      double value = 0;
      for (int64_t j = i + 1; j < n; j++) value -= lu[i * n + j] * w[j];
      w[i] = value / lu[i * n + i];
    }
    for (int64_t j = 0; j < n; j++) w[j] *= product;
  }
  for (int64_t i = n - 1; i >= 0; i--)       // L^T Z = Y
    for (int64_t j = i + 1; j < n; j++) subtractScaled(y + i * n, y + j * n, lu[j * n + i], n);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) out[from[i] * n + columns[j]] = T(y[i * n + j]);
}

// A = L L^T from the lower triangle, in place. Returns the column whose pivot is not positive, or -1.
static int64_t choleskyOf(const Context& context, double* a, int64_t n) {
  for (int64_t j = 0; j < n; j++) {
    double* row = a + j * n;
    const double pivot = row[j] - dot(row, row, j);
    if (!(pivot > 0)) return j;
    const double root = row[j] = __builtin_sqrt(pivot);
    eachRow(context, n - j - 1, j + 8, [&](int64_t i) {
      double* below = a + (j + 1 + i) * n;
      below[j] = (below[j] - dot(below, row, j)) / root;
    });
    for (int64_t c = j + 1; c < n; c++) row[c] = 0;
  }
  return -1;
}

enum class Kind { Inverse, Solve, Det, Slogdet, Cofactor, Cholesky };

// Matrix z: `memory` holds n * n + n * m doubles and 2 n int32. Returns -1, or the column at which it failed.
template <class T>
static int64_t one(Kind kind, const Step& step, const Context& context, int64_t z, int64_t n, int64_t m, double* memory) {
  double* a = memory;
  double* x = a + n * n;
  int32_t* from = reinterpret_cast<int32_t*>(x + n * m);
  const T* source = static_cast<const T*>(step.in[0].data) + z * n * n;
  for (int64_t i = 0; i < n * n; i++) a[i] = double(source[i]);
  T* out = static_cast<T*>(step.out[0].data);
  if (kind == Kind::Cholesky) {
    const int64_t bad = choleskyOf(context, a, n);
    for (int64_t i = 0; i < n * n; i++) out[z * n * n + i] = T(a[i]);
    return bad;
  }
  int32_t* columns = kind == Kind::Cofactor ? from + n : nullptr;
  const Factors factors = factor(context, a, n, from, columns);
  if (kind == Kind::Cofactor) { cofactors(a, n, factors, from, columns, x, out + z * n * n); return -1; }
  if (kind == Kind::Det || kind == Kind::Slogdet) {
    double product = factors.sign, sign = factors.singular < 0 ? factors.sign : 0, log = 0;
    for (int64_t k = 0; k < n; k++) {
      const double d = a[k * n + k];
      product *= d;
      sign = d < 0 && sign != 0 ? -sign : sign;
      log += __builtin_log(magnitude(d));
    }
    out[z] = T(kind == Kind::Det ? product : sign);
    if (kind == Kind::Slogdet) static_cast<T*>(step.out[1].data)[z] = T(log);
    return -1;
  }
  if (factors.singular >= 0) return factors.singular;
  const T* right = kind == Kind::Solve ? static_cast<const T*>(step.in[1].data) + z * n * m : nullptr;
  for (int64_t i = 0; i < n; i++)
    for (int64_t c = 0; c < m; c++) x[i * m + c] = right ? double(right[from[i] * m + c]) : c == from[i] ? 1 : 0;
  substitute(context, a, n, x, m);
  for (int64_t i = 0; i < n * m; i++) out[z * n * m + i] = T(x[i]);
  return -1;
}

static int start(const char* name, Kind kind, const Step& step, const Context& context) {
  using namespace lines;
  const int inputs = kind == Kind::Solve ? 2 : 1, outputs = kind == Kind::Slogdet ? 2 : 1;
  if (!shaped(step, inputs, outputs) || step.in[0].rank < 2) return fail(context, name, "inputs and outputs do not fit");
  const View& a = step.in[0];
  const View& last = step.in[inputs - 1];
  const int64_t n = a.shape[a.rank - 1];
  const bool numbers = kind == Kind::Det || kind == Kind::Slogdet;
  const int64_t m = kind == Kind::Solve && last.rank == a.rank ? last.shape[last.rank - 1] : numbers || kind == Kind::Cholesky ? 0 : n;
  int64_t batch = 1;
  for (int d = 0; d < a.rank - 2; d++) batch *= a.shape[d];
  bool fits = n == a.shape[a.rank - 2] && n < (1 << kColumnBits) && (a.dtype == DType::F32 || a.dtype == DType::F64) && last.dtype == a.dtype;
  if (kind == Kind::Solve) fits = fits && sizeOf(last) == batch * n * m;
  for (int i = 0; i < outputs; i++) fits = fits && step.out[i].dtype == a.dtype && sizeOf(step.out[i]) == (numbers ? batch : kind == Kind::Cholesky ? batch * n * n : batch * n * m);
  if (!fits) return fail(context, name, "square matrices of f32 or f64 and outputs of their size are needed");

  int64_t failed = kFine;
  bool memoryShort = false;
  const uint64_t bytes = uint64_t(n * n + n * m + n + 1) * 8;
  auto run = [&](int64_t z, void* memory) {
    const int64_t column = a.dtype == DType::F32 ? one<float>(kind, step, context, z, n, m, static_cast<double*>(memory))
                                                 : one<double>(kind, step, context, z, n, m, static_cast<double*>(memory));
    if (column < 0) return;
    const int64_t mine = z << kColumnBits | column;
    int64_t seen = __atomic_load_n(&failed, __ATOMIC_RELAXED);
    while (mine < seen && !__atomic_compare_exchange_n(&failed, &seen, mine, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
  };
  if (n >= 128) {
    void* memory = context.scratch(context.pool, 0, bytes);
    if (!memory) memoryShort = true;
    for (int64_t z = 0; z < batch && memory; z++) run(z, memory);
  } else {
    const int64_t cost = lines::larger(1, n * n * (n + 2 * m) / 2);
    parallelFor(context, batch, lines::larger(1, 32768 / cost), [&](int64_t begin, int64_t end, int worker) {
      void* memory = context.scratch(context.pool, worker, bytes);
      if (!memory) { __atomic_store_n(&memoryShort, true, __ATOMIC_RELAXED); return; }
      for (int64_t z = begin; z < end; z++) run(z, memory);
    });
  }
  if (memoryShort) return fail(context, name, "no working memory for a matrix");
  if (failed == kFine) return 0;
  const long long z = (long long)(failed >> kColumnBits), column = (long long)(failed & ((int64_t(1) << kColumnBits) - 1));
  if (kind == Kind::Cholesky)
    __builtin_snprintf(context.error, context.errorLength, "%s: matrix %lld of the batch is not positive definite at pivot %lld. Add a small multiple of the identity, or check the data.", name, z, column);
  else
    __builtin_snprintf(context.error, context.errorLength, "%s: matrix %lld of the batch is singular: its column %lld depends on those before it. Add a small multiple of the identity, or check the data.",
                       name, z, column);
  return 1;
}

}  // namespace linalg

static int runInverse(const Step& step, const Context& context) { return linalg::start("inverse", linalg::Kind::Inverse, step, context); }
static int runSolve(const Step& step, const Context& context) { return linalg::start("solve", linalg::Kind::Solve, step, context); }
static int runDet(const Step& step, const Context& context) { return linalg::start("det", linalg::Kind::Det, step, context); }
static int runSlogdet(const Step& step, const Context& context) { return linalg::start("slogdet", linalg::Kind::Slogdet, step, context); }
static int runCofactor(const Step& step, const Context& context) { return linalg::start("cofactor", linalg::Kind::Cofactor, step, context); }
static int runCholesky(const Step& step, const Context& context) { return linalg::start("cholesky", linalg::Kind::Cholesky, step, context); }

}  // namespace GRAFT_ISA_NS
}  // namespace graft
