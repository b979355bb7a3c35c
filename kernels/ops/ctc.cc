// Kernels "ctcLoss" and "ctcGradient" (Graves et al. 2006), packed. In: logProbs [T, B, V], targets [B, S] or all labels in one row, input lengths [B],
// target lengths [B] (i32), and for the gradient dL [B]. Out: losses [B] or the gradient [T, B, V]. attrs [blank, zeroInfinity].
// A sequence is one task; its recursions run in f64 over vectors of labels.
#include "lines.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace ctc {

constexpr int L = kLanes<double>;
constexpr double kNever = -__builtin_inf();   // ln 0

struct Shape {
  int64_t time, batch, classes, limit;   // limit: labels per row of targets, or of all
  bool rows;                             // targets are [B, S]
  int32_t blank;
  bool zeroInfinity;
};

// One sequence with a blank around every label. Rows of doubles have two spare elements in front and room for a vector behind, all ln 0.
struct Sequence {
  int64_t steps, size, row;
  const int32_t* targets;
  int32_t* labels;
  double* jump;   // 0 where a path may come from two labels before, otherwise ln 0
  double* emit;   // ln of the probability of each label at one step
};

static inline int64_t rowLength(int64_t length) { return 2 * length + 1 + 2 * L + 4; }

static inline void clear(double* row, int64_t n) {
  for (int64_t i = 0; i < n; i++) row[i] = kNever;
}

// Memory for `rows` rows besides those of the sequence itself.
static inline uint64_t bytesFor(int64_t length, int64_t rows) { return uint64_t(rowLength(length) * (rows + 3)) * 8; }

static double* bind(Sequence& q, const Shape& s, const Step& step, int64_t b, double* memory) {
  const int32_t* lengths = static_cast<const int32_t*>(step.in[3].data);
  const int64_t length = lengths[b];
  int64_t start = s.rows ? b * s.limit : 0;
  for (int64_t i = 0; i < b && !s.rows; i++) start += lengths[i];
  q.targets = static_cast<const int32_t*>(step.in[1].data) + start;
  q.steps = static_cast<const int32_t*>(step.in[2].data)[b];
  q.size = 2 * length + 1;
  q.row = rowLength(length);
  q.jump = memory + 2;
  q.emit = memory + q.row;
  q.labels = reinterpret_cast<int32_t*>(memory + 2 * q.row);
  clear(memory, q.row);
  memset(q.emit, 0, size_t(q.row) * 8);
  for (int64_t i = 0; i < q.size; i++) {
    q.labels[i] = i % 2 ? q.targets[i / 2] : s.blank;
    if (i > 1 && q.labels[i] != s.blank && q.labels[i] != q.labels[i - 2]) q.jump[i] = 0;
  }
  return memory + 3 * q.row;
}

template <class T> static inline void emitAt(const Sequence& q, const T* logProbs) {
  for (int64_t i = 0; i < q.size; i++) q.emit[i] = double(logProbs[q.labels[i]]);
}

// to[s] = ln(e^a[s] + e^b[s] + e^(c[s] + jump[s])) + add[s]
static inline void combine(double* to, const double* a, const double* b, const double* c, const double* jump, const double* add, int64_t size) {
  const VecD never = broadcast(kNever);
  for (int64_t s = 0; s < size; s += L) {
    const VecD x = load(a + s), y = load(b + s), z = load(c + s) + load(jump + s);
    VecD top = maximum(maximum(x, y), z);
    top = top == never ? VecD{} : top;
    store(to + s, top + log(exp(x - top) + exp(y - top) + exp(z - top)) + (add ? load(add + s) : VecD{}));
  }
  for (int64_t s = size; s < size + L + 2; s++) to[s] = kNever;
}

// alpha of every step; `stride` 0 keeps two rows only. Returns the last one.
template <class T>
static double* forward(const Sequence& q, const T* logProbs, int64_t step, double* memory, bool keep) {
  double* row = memory + 2;
  for (int64_t t = 0; t < q.steps; t++) {
    emitAt(q, logProbs + t * step);
    double* before = row;
    row = memory + 2 + (keep ? t : t % 2) * q.row;
    clear(row - 2, 2);
    if (t == 0) {
      clear(row, q.row - 2);
      for (int64_t s = 0; s < 2 && s < q.size; s++) row[s] = q.emit[s];
    } else combine(row, before, before - 1, before - 2, q.jump, q.emit, q.size);
  }
  return row;
}

static double lossOf(const Sequence& q, const double* last) {
  if (q.steps == 0) return q.size == 1 ? 0 : -kNever;
  const double a = last[q.size - 1], b = q.size > 1 ? last[q.size - 2] : kNever, top = a > b ? a : b;
  if (top == kNever) return -kNever;
  return -(top + __builtin_log(__builtin_exp(a - top) + __builtin_exp(b - top)));
}

template <class T>
static void gradient(const Shape& s, const Sequence& q, const T* logProbs, double scale, double* memory, T* out) {
  const int64_t step = s.batch * s.classes;
  double* alpha = memory + 2 * q.row;
  const double loss = lossOf(q, forward(q, logProbs, step, alpha, true));
  const bool drop = s.zeroInfinity && loss == -kNever;
  for (int64_t t = drop ? 0 : q.steps; t < s.time; t++) memset(out + t * step, 0, size_t(s.classes) * sizeof(T));
  if (drop) return;
  double* beta = memory + 2;                  // ln of the probability of all ways on from each label
  double* next = beta + q.row;                // the same with the label's own emission
  clear(memory, 2 * q.row);
  for (int64_t i = lines::larger(0, q.size - 2); i < q.size; i++) beta[i] = 0;
  for (int64_t t = q.steps - 1; t >= 0; t--) {
    const T* from = logProbs + t * step;
    T* to = out + t * step;
    memset(to, 0, size_t(s.classes) * sizeof(T));
    const double* at = alpha + 2 + t * q.row;
    emitAt(q, from);
    for (int64_t i = 0; i < q.size; i += L) {
      const VecD share = exp(load(at + i) + load(beta + i) + loss);   // of the paths that are at this label now
      for (int64_t l = 0; l < L && i + l < q.size; l++) to[q.labels[i + l]] -= T(share[l]);
      store(next + i, load(beta + i) + load(q.emit + i));
    }
    clear(next + q.size, L + 2);
    rows::each<T>(s.classes, [&](int64_t i, int lanes) {
      rows::put(to + i, T(scale) * (exp(rows::get(from + i, lanes)) + rows::get(to + i, lanes)), lanes);
    });
    combine(beta, next, next + 1, next + 2, q.jump + 2, nullptr, q.size);
  }
}

static bool inRange(const Context& context, const char* what, const View& values, int64_t i, int64_t limit, const char* of) {
  const int32_t value = static_cast<const int32_t*>(values.data)[i];
  if (value >= 0 && value <= limit) return true;
  char position[64];
  lines::describePosition(values, i, position, sizeof position);
  __builtin_snprintf(context.error, context.errorLength, "ctcLoss: %s %d at %s is out of range for %lld %s.", what, value, position, (long long)(limit + (of[0] == 'c')), of);
  return false;
}

static bool check(const Step& step, const Context& context, const Shape& s) {
  const int32_t* lengths = static_cast<const int32_t*>(step.in[3].data);
  int64_t start = 0;
  for (int64_t b = 0; b < s.batch; b++) {
    if (!inRange(context, "input length", step.in[2], b, s.time, "steps") || !inRange(context, "target length", step.in[3], b, s.rows ? s.limit : s.limit - start, "labels")) return false;
    for (int64_t i = 0; i < lengths[b]; i++)
      if (!inRange(context, "label", step.in[1], (s.rows ? b * s.limit : start) + i, s.classes - 1, "classes")) return false;
    start += lengths[b];
  }
  return true;
}

template <class T>
static bool run(const Step& step, const Context& context, const Shape& s, bool wantsGradient) {
  const T* logProbs = static_cast<const T*>(step.in[0].data);
  T* out = static_cast<T*>(step.out[0].data);
  bool memoryShort = false;
  parallelFor(context, s.batch, 1, [&](int64_t begin, int64_t end, int worker) {
    for (int64_t b = begin; b < end; b++) {
      const int64_t length = static_cast<const int32_t*>(step.in[3].data)[b], steps = static_cast<const int32_t*>(step.in[2].data)[b];
      double* memory = static_cast<double*>(context.scratch(context.pool, worker, bytesFor(length, wantsGradient ? 2 + lines::larger(steps, 1) : 2)));
      if (!memory) { __atomic_store_n(&memoryShort, true, __ATOMIC_RELAXED); return; }
      Sequence q;
      memory = bind(q, s, step, b, memory);
      const T* own = logProbs + b * s.classes;
      if (wantsGradient) { gradient(s, q, own, double(static_cast<const T*>(step.in[4].data)[b]), memory, out + b * s.classes); continue; }
      const double loss = lossOf(q, forward(q, own, s.batch * s.classes, memory, false));
      out[b] = s.zeroInfinity && loss == -kNever ? T(0) : T(loss);
    }
  });
  return !memoryShort;
}

static int start(const char* name, const Step& step, const Context& context, bool wantsGradient) {
  using namespace lines;
  Shape s;
  int64_t blank, zeroInfinity;
  const int inputs = wantsGradient ? 5 : 4;
  if (!shaped(step, inputs, 1) || step.in[0].rank != 3 || (step.in[1].rank != 1 && step.in[1].rank != 2) || !attribute(step, 0, 0, step.in[0].shape[2] - 1, &blank) ||
      !attribute(step, 1, 0, 1, &zeroInfinity))
    return fail(context, name, "inputs and attributes do not fit");
  const View &x = step.in[0], &targets = step.in[1];
  s.time = x.shape[0], s.batch = x.shape[1], s.classes = x.shape[2];
  s.rows = targets.rank == 2;
  s.limit = targets.shape[targets.rank - 1];
  s.blank = int32_t(blank), s.zeroInfinity = zeroInfinity != 0;
  bool fits = (!s.rows || targets.shape[0] == s.batch) && step.out[0].dtype == x.dtype && sizeOf(step.out[0]) == (wantsGradient ? sizeOf(x) : s.batch);
  for (int i = 1; i < 4; i++) fits = fits && step.in[i].dtype == DType::I32;
  fits = fits && sizeOf(step.in[2]) == s.batch && sizeOf(step.in[3]) == s.batch && (!wantsGradient || (step.in[4].dtype == x.dtype && sizeOf(step.in[4]) == s.batch));
  if (!fits || (x.dtype != DType::F32 && x.dtype != DType::F64)) return fail(context, name, "inputs and output do not fit");
  if (!check(step, context, s)) return 1;
  const bool done = x.dtype == DType::F32 ? run<float>(step, context, s, wantsGradient) : run<double>(step, context, s, wantsGradient);
  return done ? 0 : fail(context, name, "no working memory for the paths of a sequence");
}

}  // namespace ctc

static int runCtcLoss(const Step& step, const Context& context) { return ctc::start("ctcLoss", step, context, false); }
static int runCtcGradient(const Step& step, const Context& context) { return ctc::start("ctcGradient", step, context, true); }

}  // namespace GRAFT_ISA_NS
}  // namespace graft
