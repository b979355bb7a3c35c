// Cross entropy of rows of logits with one label per row, and its gradient straight from the logits: the probabilities are never stored.
//
// Row r with label t, class weights w (1 where there are none), smoothing s over C classes and log p = x - max - ln(sum e^(x - max)):
//   loss_r = -(1 - s) w_t log p_t - s / C * sum_c w_c log p_c        (0 where t is the label to ignore)
//   dx_c   = k ((1 - s) w_t (p_c - [c = t]) + s / C (W p_c - w_c)),  W = sum_c w_c, k = gradient of loss_r
// The negative log likelihood is the same with log p = x: then the gradient is -k w_t at the label only.
//
// crossEntropy         in: x [rows, C] or, without smoothing, [outer, C, inner] with outer * inner rows; label i32 (rows elements, any shape), w [C] if there is one
//                      out: loss (one, or one per row), sum of w_t over the rows that count, [rows, 2]: max and ln(sum)
// crossEntropyBackward in: x, label, the second and third output, gradient of the loss, w; out: dx
// attrs: ignored label, s, reduction (0 none, 1 sum, 2 mean: by the sum of w_t), 1 where x is log p already, what errors add to the row of a label vector
#include "short_rows.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace crossentropy {

enum Reduction { kNone = 0, kSum = 1, kMean = 2 };

struct Call {
  rows::Slices slices;
  int64_t rowCount, classes, ignored, firstRow;
  double smoothing;
  int reduction;
  bool logProbs;
  const int32_t* label;
};

static inline const char* nameOf(const Call& call) { return call.logProbs ? "nllLoss" : "crossEntropy"; }

// A label outside 0..C-1 would be read from foreign memory: all are looked at first, in order, so that the first wrong one is named.
static int checkLabels(const Call& call, const View& view, const Context& context) {
  const auto isWrong = [&](int64_t r) { return (call.label[r] != call.ignored) & (call.label[r] < 0 || call.label[r] >= call.classes); };
  bool wrong = false;
  for (int64_t r = 0; r < call.rowCount; r++) wrong |= isWrong(r);
  for (int64_t r = 0; wrong && r < call.rowCount; r++) {
    const int64_t t = call.label[r];
    if (!isWrong(r)) continue;
    char place[kMaxRank * 24 + 4] = "";
    size_t used = 0;
    int64_t block = rows::sizeOf(view), rest = r;
    for (int d = 0; d < view.rank; d++) {
      block /= view.shape[d];
      used += size_t(__builtin_snprintf(place + used, sizeof place - used, d ? ", %lld" : "%lld", static_cast<long long>(rest / block + call.firstRow)));
      rest %= block;
    }
    __builtin_snprintf(context.error, context.errorLength, "%s: target %lld at [%s] is out of range for %lld classes. Use 0 to %lld, or %lld to ignore a row.", nameOf(call),
                       static_cast<long long>(t), place, static_cast<long long>(call.classes), static_cast<long long>(call.classes - 1), static_cast<long long>(call.ignored));
    return 1;
  }
  return 0;
}

// Reads what both kernels have in common; `first` is the number of inputs before the weights.
static bool readCall(const Step& step, int first, Call& call) {
  if ((step.inCount != first && step.inCount != first + 1) || step.attrCount != 5) return false;
  const View& x = step.in[0];
  if (!rows::Slices::accept(x)) return false;
  call.slices = rows::Slices(x);
  call.rowCount = call.slices.count();
  call.classes = call.slices.n;
  call.ignored = int64_t(step.attrs[0]);
  call.smoothing = step.attrs[1];
  call.reduction = int(step.attrs[2]);
  call.logProbs = step.attrs[3] != 0;
  call.firstRow = int64_t(step.attrs[4]);
  call.label = static_cast<const int32_t*>(step.in[1].data);
  const bool mayBeCube = call.slices.inner == 1 || (!call.logProbs && call.smoothing == 0);
  return call.reduction >= kNone && call.reduction <= kMean && mayBeCube && rows::isVector(step.in[1], DType::I32, call.rowCount) &&
         (step.inCount == first || rows::isVector(step.in[first], x.dtype, call.classes));
}

static int noMemory(const Call& call, const Context& context) { return rows::fail(context, nameOf(call), "no working memory"); }

static int64_t lossCount(const Call& call) { return call.reduction == kNone ? call.rowCount : 1; }

template <class T> static double rowLoss(const Call& call, const T* x, const T* w, double weight, int32_t t, T* stats) {
  const int64_t n = call.classes;
  T top = 0;
  double logSum = 0, total[1];
  if (!call.logProbs) {
    top = rows::largest<false>(x, n);
    rows::sums<T, 1>(n, total, [=](int64_t i, int lanes, Vec<T>* term) {
      __builtin_prefetch(x + n + i, 0, 2);   // the next row, which may be too long for L1
      term[0] = expDown(rows::get(x + i, lanes) - top);
    });
    logSum = __builtin_log(total[0]);
  }
  stats[0] = top;
  stats[1] = T(logSum);
  const double picked = weight * (logSum - (double(x[t]) - double(top)));
  if (call.smoothing == 0) return picked;
  // sum_c w_c (logSum - (x_c - max))
  const T shift = T(logSum);
  if (w) rows::sums<T, 1>(n, total, [=](int64_t i, int lanes, Vec<T>* term) { term[0] = (shift - (rows::get(x + i, lanes) - top)) * rows::get(w + i, lanes); });
  else rows::sums<T, 1>(n, total, [=](int64_t i, int lanes, Vec<T>* term) { term[0] = shift - (rows::get(x + i, lanes) - top); });
  return (1 - call.smoothing) * picked + call.smoothing / double(n) * total[0];
}

// Whether rows are computed as many at a time as there are lanes.
template <class T> static bool goesByLanes(const Call& call) { return call.slices.goByLanes<T>() && !call.logProbs && call.smoothing == 0; }

// Max and ln(sum) of each of a group of rows.
template <class T> static void lanesStats(const rows::Turned<T>& x, double* logSum, T* top) {
  const Vec<T> largest = rows::largestOf(x);
  rows::WideSum<T> total;
  for (int64_t c = 0; c < x.n; c++) total.add(expDown(x.get(c) - largest));
  store(top, largest);
  for (int lane = 0; lane < kLanes<T>; lane++) logSum[lane] = total.at(lane);
  for (int lane = 0; lane < kLanes<T>; lane += kLanes<double>) store(logSum + lane, log(load(logSum + lane)));
}

template <class T> static int forward(const Step& step, const Context& context, const Call& call) {
  const T* x = static_cast<const T*>(step.in[0].data);
  const T* w = step.inCount > 2 ? static_cast<const T*>(step.in[2].data) : nullptr;
  T* loss = static_cast<T*>(step.out[0].data);
  T* stats = static_cast<T*>(step.out[2].data);
  const bool byLanes = goesByLanes<T>(call);
  // Every task leaves its sums of losses and weights; they are added in order.
  const int64_t grain = call.slices.grain<T>(), tasks = rows::ceilDiv(call.rowCount, grain), partBytes = rows::ceilDiv(rows::larger(tasks, 1), 4) * 64;
  const int64_t ownBytes = byLanes ? call.slices.memoryBytes<T>() : 0;   // of a worker; the first one's lies behind the sums
  char* const first = static_cast<char*>(context.scratch(context.pool, 0, uint64_t(partBytes + ownBytes)));
  if (!first) return noMemory(call, context);
  double* const part = reinterpret_cast<double*>(first);
  bool failed = false;
  parallelFor(context, call.rowCount, grain, [=, &call, &context, &failed](int64_t begin, int64_t end, int worker) {
    char* const memory = worker == 0 || ownBytes == 0 ? first + partBytes : static_cast<char*>(context.scratch(context.pool, worker, uint64_t(ownBytes)));
    if (!memory) return __atomic_store_n(&failed, true, __ATOMIC_RELAXED);
    double lossSum = 0, weightSum = 0;
    const auto add = [&](int64_t r, const auto& lossOf) {
      const int32_t t = call.label[r];
      double value = 0;
      if (t == call.ignored) stats[2 * r] = stats[2 * r + 1] = 0;
      else {
        const double weight = w ? double(w[t]) : 1;
        value = lossOf(t, weight);
        weightSum += weight;
      }
      lossSum += value;
      if (call.reduction == kNone) loss[r] = T(value);
    };
    if (byLanes) {
      rows::Turned<T> turned(call.slices, memory);
      call.slices.eachGroup<T>(begin, end, [&](int64_t first, int64_t count) {
        turned.read(x, first, count);
        rows::eachVector<T>(count, [&](int64_t begin, int64_t some) {
          double logSum[kLanes<T>];
          T top[kLanes<T>];
          lanesStats(turned, logSum, top);
          for (int64_t lane = 0; lane < some; lane++)
            add(first + begin + lane, [&](int32_t t, double weight) {
              T* const stat = stats + 2 * (first + begin + lane);
              stat[0] = top[lane], stat[1] = T(logSum[lane]);
              return weight * (logSum[lane] - (double(turned.at(t, lane)) - double(top[lane])));
            });
        }, turned);
      });
    } else {
      for (int64_t r = begin; r < end; r++) add(r, [&](int32_t t, double weight) { return rowLoss(call, x + r * call.classes, w, weight, t, stats + 2 * r); });
    }
    part[2 * (begin / grain)] = lossSum;
    part[2 * (begin / grain) + 1] = weightSum;
  });
  if (failed) return noMemory(call, context);
  double lossSum = 0, weightSum = 0;
  for (int64_t i = 0; i < tasks; i++) lossSum += part[2 * i], weightSum += part[2 * i + 1];
  *static_cast<T*>(step.out[1].data) = T(weightSum);
  if (call.reduction == kSum) *loss = T(lossSum);
  if (call.reduction == kMean) *loss = T(lossSum / weightSum);   // 0 / 0 = NaN where no row counts, as in PyTorch
  return 0;
}

// dx = value(i, lanes) everywhere, less `own` at the label. p_t - 1 cancels where p_t is near 1 (a network that has learnt its data); a row's entries sum to
// 0, so there the label's is minus the sum of the others.
template <bool kStream, class T, class F> static void fillRow(T* dx, int64_t n, int32_t t, double own, const F& value) {
  const T atLabel = value(t, 1)[0];
  if (__builtin_fabs(double(atLabel)) < __builtin_fabs(own) * 0.5) {
    rows::eachAligned(dx, n, [=](int64_t i, int lanes) {
      Vec<T> v = value(i, lanes);
      if (t >= i && t < i + lanes) v[t - i] = atLabel - T(own);
      rows::putResult<kStream>(dx + i, v, lanes);
    });
    return;
  }
  rows::each<T>(n, [=](int64_t i, int lanes) { rows::put(dx + i, value(i, lanes), lanes); });
  double others[1];
  dx[t] = 0;
  rows::sums<T, 1>(n, others, [=](int64_t i, int lanes, Vec<T>* term) { term[0] = rows::get(dx + i, lanes); });
  dx[t] = T(-others[0]);
}

template <bool kStream, class T> static void rowGradient(const Call& call, const T* x, const T* w, double weightTotal, const T* stats, double k, int32_t t, T* dx) {
  const int64_t n = call.classes;
  const double own = k * (1 - call.smoothing) * (w ? double(w[t]) : 1);
  if (call.logProbs) {
    memset(dx, 0, size_t(n) * sizeof(T));
    dx[t] = T(-own);
    return;
  }
  const T top = stats[0], logSum = stats[1];
  const double spread = k * call.smoothing / double(n);
  const T scale = T(own + spread * weightTotal), shift = T(spread);
  auto p = [=](int64_t i, int lanes) { return expDown((rows::get(x + i, lanes) - top) - logSum); };
  if (spread == 0) fillRow<kStream>(dx, n, t, own, [=](int64_t i, int lanes) { return p(i, lanes) * scale; });
  else if (!w) fillRow<kStream>(dx, n, t, own, [=](int64_t i, int lanes) { return p(i, lanes) * scale - shift; });
  else fillRow<kStream>(dx, n, t, own, [=](int64_t i, int lanes) { return p(i, lanes) * scale - rows::get(w + i, lanes) * shift; });
}

// The gradients of a group of rows without smoothing, from the first one on; see fillRow for the entry at the label.
template <class T> static void lanesGradients(rows::Turned<T>& x, const Call& call, const T* stats, const int32_t* label, const double* own, int64_t count) {
  constexpr int L = kLanes<T>;
  T top[L] = {}, logSum[L] = {}, scales[L] = {}, atLabel[L] = {};
  for (int64_t lane = 0; lane < count; lane++) top[lane] = stats[2 * lane], logSum[lane] = stats[2 * lane + 1], scales[lane] = T(own[lane]);
  const Vec<T> tops = load(top), logs = load(logSum), scale = load(scales);
  for (int64_t c = 0; c < x.n; c++) x.put(c, expDown((x.get(c) - tops) - logs) * scale);
  const auto isCounted = [&](int64_t lane) { return label[lane] != call.ignored; };
  for (int64_t lane = 0; lane < count; lane++)
    if (isCounted(lane)) atLabel[lane] = x.at(label[lane], lane), x.at(label[lane], lane) = 0;
  rows::WideSum<T> others;
  for (int64_t c = 0; c < x.n; c++) others.add(x.get(c));
  for (int64_t lane = 0; lane < count; lane++) {
    if (isCounted(lane)) x.at(label[lane], lane) = __builtin_fabs(double(atLabel[lane])) < __builtin_fabs(own[lane]) * 0.5 ? atLabel[lane] - scales[lane] : T(-others.at(lane));
    else for (int64_t c = 0; c < x.n; c++) x.at(c, lane) = 0;
  }
}

template <class T> static int backward(const Step& step, const Context& context, const Call& call) {
  const T* x = static_cast<const T*>(step.in[0].data);
  const double weightSum = double(*static_cast<const T*>(step.in[2].data));
  const T* stats = static_cast<const T*>(step.in[3].data);
  const T* gradient = static_cast<const T*>(step.in[4].data);
  const T* w = step.inCount > 5 ? static_cast<const T*>(step.in[5].data) : nullptr;
  T* dx = static_cast<T*>(step.out[0].data);
  const int64_t n = call.classes;
  double total[1] = {double(n)};
  if (w) rows::sums<T, 1>(n, total, [=](int64_t i, int lanes, Vec<T>* term) { term[0] = rows::get(w + i, lanes); });
  const double weightTotal = total[0], scale = call.reduction == kMean ? 1 / weightSum : 1;
  const auto slope = [=, &call](int64_t r) { return double(gradient[call.reduction == kNone ? r : 0]) * scale; };
  if (goesByLanes<T>(call)) {
    const bool hadMemory = rows::eachTask<T>(context, call.slices, 1, [&](int64_t begin, int64_t end, char* memory) {
      rows::Turned<T> turned(call.slices, memory);
      call.slices.eachGroup<T>(begin, end, [&](int64_t r, int64_t count) {
        turned.read(x, r, count);
        rows::eachVector<T>(count, [&](int64_t first, int64_t some) {
          const int32_t* const label = call.label + r + first;
          double own[kLanes<T>];
          for (int64_t lane = 0; lane < some; lane++) own[lane] = label[lane] == call.ignored ? 0 : slope(r + first + lane) * (w ? double(w[label[lane]]) : 1);
          lanesGradients(turned, call, stats + 2 * (r + first), label, own, some);
        }, turned);
        turned.write(dx, r, count);
      });
    });
    return hadMemory ? 0 : noMemory(call, context);
  }
  const auto rowOf = isLarge(call.rowCount * n * int64_t(sizeof(T))) ? rowGradient<true, T> : rowGradient<false, T>;
  parallelFor(context, call.rowCount, rows::grain(n), [=, &call](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; r++) {
      const int32_t t = call.label[r];
      T* row = dx + r * n;
      if (t == call.ignored) memset(row, 0, size_t(n) * sizeof(T));
      else rowOf(call, x + r * n, w, weightTotal, stats + 2 * r, slope(r), t, row);
    }
    fenceStream();
  });
  return 0;
}

}  // namespace crossentropy

static int runCrossEntropy(const Step& step, const Context& context) {
  crossentropy::Call call;
  const bool fits = step.outCount == 3 && crossentropy::readCall(step, 2, call) && rows::isVector(step.out[0], step.in[0].dtype, crossentropy::lossCount(call)) &&
                    rows::isVector(step.out[1], step.in[0].dtype, 1) && rows::isMatrix(step.out[2], step.in[0].dtype, call.rowCount, 2);
  if (!fits) return rows::fail(context, "crossEntropy", "inputs, outputs or attributes do not fit together");
  if (crossentropy::checkLabels(call, step.in[1], context)) return 1;
  return step.in[0].dtype == DType::F32 ? crossentropy::forward<float>(step, context, call) : crossentropy::forward<double>(step, context, call);
}

static int runCrossEntropyBackward(const Step& step, const Context& context) {
  crossentropy::Call call;
  const DType dtype = step.in[0].dtype;
  const bool fits = step.inCount >= 5 && step.outCount == 1 && crossentropy::readCall(step, 5, call) && rows::isVector(step.in[2], dtype, 1) &&
                    rows::isMatrix(step.in[3], dtype, call.rowCount, 2) && rows::isVector(step.in[4], dtype, crossentropy::lossCount(call)) &&
                    call.slices.fit(step.out[0], dtype);
  if (!fits) return rows::fail(context, "crossEntropyBackward", "inputs, outputs or attributes do not fit together");
  if (crossentropy::checkLabels(call, step.in[1], context)) return 1;
  return dtype == DType::F32 ? crossentropy::backward<float>(step, context, call) : crossentropy::backward<double>(step, context, call);
}

}  // namespace GRAFT_ISA_NS
}  // namespace graft
