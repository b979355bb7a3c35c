// quantLinear: x [..., K] times a matrix stored in blocks of few bits, followed by a fused program where the plan has one. The matrix is unpacked block by
// block as the product packs it, so that it never exists as a whole.
// in: x, codes (u8, flat), scale of each block (f32, or u8 with a second level), second level (f32: [0] or [middle, steps...]), values of the codes (f32);
// then the epilogue's further inputs. attrs: rows, columns, bits, block size, 1 for x W and 0 for x W^T; then an optional program.
#include "gemm.h"
#include "matvec.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace gemm {

static inline bool isFlat(const View& x, DType dtype, int64_t count) { return x.dtype == dtype && x.rank == 1 && x.shape[0] == count && (x.stride[0] == 1 || count <= 1); }

static bool isContiguous(const View& x) {
  int64_t size = 1;
  for (int d = x.rank - 1; d >= 0; size *= x.shape[d], d--)
    if (x.shape[d] != 1 && x.stride[d] != size) return false;
  return x.buffer != -2;
}

// Fills in what the step says; returns what is wrong, or NULL.
static const char* describeQuantised(const Step& step, Product& p, Quantised& q) {
  if (step.inCount < 5 || step.outCount < 1 || step.attrCount < 5) return "needs five inputs, an output and five attributes";
  if (!step.program && (step.inCount != 5 || step.outCount != 1)) return "further views need a program";
  const View &x = step.in[0], &codes = step.in[1], &scales = step.in[2], &second = step.in[3], &out = step.out[0];
  for (int i = 0; i < 4; i++) if (!(step.attrs[i] >= 0 && step.attrs[i] < 0x1p52)) return "sizes must be whole numbers";
  const int64_t rows = int64_t(step.attrs[0]), columns = int64_t(step.attrs[1]), block = int64_t(step.attrs[3]);
  const bool transposed = step.attrs[4] != 0;
  q.bits = int(step.attrs[2]);
  if (q.bits != 4 && q.bits != 8) return "codes have 4 or 8 bits";
  if (block < 2 || (block & (block - 1)) != 0) return "the block size must be a power of two";
  if (columns > 0 && rows > (int64_t(1) << 46) / columns) return "the matrix is too large";
  q.shift = __builtin_ctzll(uint64_t(block));
  const int64_t values = rows * columns, blocks = (values + block - 1) / block;
  if (!isFlat(codes, DType::U8, q.bits == 8 ? values : (values + 1) / 2)) return "the number of codes does not fit the matrix";
  const bool twoLevels = scales.dtype == DType::U8;
  if (!isFlat(scales, twoLevels ? DType::U8 : DType::F32, blocks)) return "there must be one scale per block";
  if (!isFlat(second, DType::F32, twoLevels ? 1 + (blocks + 255) / 256 : 1)) return "the second level does not fit the scales";
  if (!isFlat(step.in[4], DType::F32, int64_t(1) << q.bits)) return "there must be one value per code";
  if (x.rank < 1 || out.rank != x.rank || !isContiguous(x)) return "x must be contiguous, with as many dims as the output";
  p.K = transposed ? rows : columns, p.N = transposed ? columns : rows, p.M = 1;
  if (x.shape[x.rank - 1] != p.K || out.shape[out.rank - 1] != p.N) return "the sizes of x, the matrix and the output do not fit";
  for (int d = 0; d < x.rank - 1; d++) {
    if (x.shape[d] != out.shape[d]) return "the sizes of x and the output do not fit";
    p.M *= x.shape[d];
  }
  if (!step.program && (!isContiguous(out) || out.dtype != x.dtype)) return "the output must be contiguous, of x's dtype";
  q.codes = static_cast<const uint8_t*>(codes.data);
  q.scales = twoLevels ? nullptr : static_cast<const float*>(scales.data);
  q.scaleCodes = twoLevels ? static_cast<const uint8_t*>(scales.data) : nullptr;
  q.second = static_cast<const float*>(second.data);
  p.batch = 1, p.batchRank = 0;
  p.a = {x.data, x.dtype, p.K, 1, nullptr};
  p.b = {codes.data, DType::U8, transposed ? 1 : columns, transposed ? columns : 1, &q};
  p.out = static_cast<char*>(out.data), p.outRow = out.rank > 1 ? out.stride[out.rank - 2] : p.N, p.outCol = out.stride[out.rank - 1];
  if (isContiguous(out)) p.outRow = p.N, p.outCol = 1;
  return nullptr;
}

constexpr int64_t kFewRows = 4;        // of x: up to here a value is used so seldom that packing it costs more than it gives
constexpr int64_t kChunk = 256;        // values unpacked at once, into the first-level cache

// x W^T for few rows: every column of the result is a dot product with an unpacked row of W.
template <class T> static void fewDots(T* c, int64_t ldc, const Product& p, int64_t col, int64_t cols, T* values) {
  for (int64_t n = 0; n < cols; n++) {
    T sum[kFewRows] = {};
    for (int64_t k = 0; k < p.K; k += kChunk) {
      const int64_t count = p.K - k < kChunk ? p.K - k : kChunk;
      unpack(values, *p.b.quant, (col + n) * p.b.row + k, count);
      for (int64_t m = 0; m < p.M; m++) {
        T part;
        dotBlock<1, T, T, Wide<T>>(&part, static_cast<const T*>(p.a.data) + m * p.K + k, values, count, count);
        sum[m] += part;
      }
    }
    for (int64_t m = 0; m < p.M; m++) c[m * ldc + n] = sum[m];
  }
}

// x W for few rows: rows of W are added up, a run of columns at a time.
template <class T> static void fewSums(T* c, int64_t ldc, const Product& p, int64_t col, int64_t cols, T* values) {
  constexpr int L = kLanes<T>;
  for (int64_t m = 0; m < p.M; m++) for (int64_t n = 0; n < cols; n++) c[m * ldc + n] = 0;
  for (int64_t k = 0; k < p.K; k++) {
    unpack(values, *p.b.quant, k * p.b.step + col, cols);
    for (int64_t m = 0; m < p.M; m++) {
      const T x = static_cast<const T*>(p.a.data)[m * p.K + k];
      T* to = c + m * ldc;
      int64_t n = 0;
      for (; n + L <= cols; n += L) store(to + n, load(to + n) + load(values + n) * broadcast(x));
      for (; n < cols; n++) to[n] += values[n] * x;
    }
  }
}

template <class T> static int multiplyFewRows(const Product& p, const Output& out, const Context& context) {
  const int64_t width = p.b.step == 1 ? 32 : 64, tiles = (p.N + width - 1) / width, work = p.M * width * p.K + 1;
  const int64_t own = roundUp64((kFewRows * width + kChunk) * int64_t(sizeof(T))), bytes = own + roundUp64(out.memoryBytes);
  bool failed = false;
  parallelFor(context, tiles, work * tiles <= kInlineWork ? tiles : work >= kInlineWork ? 1 : kInlineWork / work, [&](int64_t begin, int64_t end, int worker) {
    char* memory = static_cast<char*>(context.scratch(context.pool, worker, uint64_t(bytes)));
    if (!memory) return __atomic_store_n(&failed, true, __ATOMIC_RELAXED);
    T *const tile = reinterpret_cast<T*>(memory), *const values = tile + kFewRows * width;
    out.withRunner(memory + own, [&](ProgramRunner* runner) {
      for (int64_t t = begin; t < end; t++) {
        const int64_t col = t * width, cols = p.N - col < width ? p.N - col : width;
        if (p.b.step == 1) fewDots(tile, cols, p, col, cols, values);
        else fewSums(tile, cols, p, col, cols, values);
        out.write(runner, 0, 0, p.M, col, cols, tile, cols);
      }
    });
  });
  return failed ? memoryShort(context) : 0;
}

template <class T> static int multiplyQuantised(const Product& p, Quantised& q, const Step& step, const Context& context) {
  const float* book = static_cast<const float*>(step.in[4].data);
  T table[256];
  for (int i = 0; i < 1 << q.bits; i++) table[i] = T(book[i]);
  q.step = q.bits == 8 ? book[129] - book[128] : 0;
  for (int i = 0; i < 1 << q.bits; i++) if (!(__builtin_fabsf(book[i] - float(i - 128) * q.step) <= 0x1p-22f * __builtin_fabsf(book[i]))) q.step = 0;
  q.table = table;
  Output out(p, sizeof(T) == 4 ? DType::F32 : DType::F64, step.out[0], step.program != nullptr);
  Binding binding;
  if (step.program) {
    const RegisterClass product = sizeof(T) == 4 ? RegisterClass::F32 : RegisterClass::F64;
    if (!bindEpilogue(binding, step.program, product, step.in + 5, step.inCount - 5, step.out, step.outCount, context)) return 1;
    out.bind(binding);
  }
  return p.M <= kFewRows ? multiplyFewRows<T>(p, out, context) : Gemm<T>(p, out, context).run();
}

}  // namespace gemm

static int runQuantLinear(const Step& step, const Context& context) {
  gemm::Product p;
  gemm::Quantised q;
  const char* wrong = gemm::describeQuantised(step, p, q);
  const DType dtype = wrong ? DType::F32 : step.in[0].dtype;
  if (!wrong && dtype != DType::F32 && dtype != DType::F64) wrong = "x must be f32 or f64";
  if (wrong) {
    __builtin_snprintf(context.error, context.errorLength, "quantLinear: %s", wrong);
    return 1;
  }
  if (p.M == 0 || p.N == 0) return 0;
  return dtype == DType::F32 ? gemm::multiplyQuantised<float>(p, q, step, context) : gemm::multiplyQuantised<double>(p, q, step, context);
}

}  // namespace GRAFT_ISA_NS
}  // namespace graft
