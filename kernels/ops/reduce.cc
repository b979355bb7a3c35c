// Kernel "reduce": folds the values of a fused program over some dimensions of its iteration space.
//
// The space is [kept rows][reduced rows][columns]. Where the columns are reduced, one result comes from a stretch of consecutive elements ("span");
// where they are kept, a vector of results is folded row by row ("columns"). Long folds are cut into pieces by size; each piece leaves an
// accumulator and these are merged in order.
#include "../core/kernel.h"
#include "fold.h"
#include "program.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace reduce {

constexpr int64_t kPiece = 32768;     // elements that one task folds at least where there is more than one
constexpr int64_t kPieces = 256;      // about the most pieces that a step is cut into
constexpr int64_t kOutside = 16;      // the most pieces of rows that lie around the kept ones,
constexpr int64_t kOutsidePiece = 512;   // and about the fewest elements in one: to begin it costs as much as to fold some hundred
constexpr int64_t kMaxWidth = 1024;   // columns folded together; their accumulators stay in L1
constexpr int64_t kBatch = 128;       // results stored together

static inline int64_t ceilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }
static inline int64_t atMost(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t atLeast(int64_t a, int64_t b) { return a > b ? a : b; }

struct Job {
  Job(const Binding& b, const fold::Folder& folder, const View& out) : b(b), folder(folder), out(out) {}

  const Binding& b;
  const fold::Folder& folder;
  const View& out;
  int keptDims;
  bool columnsKept;
  int64_t kept, reducedRows;          // rows of the space = kept * reducedRows
  int64_t width, acrossCount;         // columns folded together, and how many such strips there are (span: 1 strip)
  int64_t pieceRows, pieceCols, downPieces, colPieces;   // how one result's elements are cut
  char* partials;                     // [kept][strip][piece][width] accumulators, NULL where nothing is cut
  char* memory;                       // per worker: runner, values, accumulators
  int64_t workerBytes;
  bool outside;                       // the reduced rows lie around the kept ones in memory: images around channels
  bool plain;                         // the program is one input in memory order: read in place at any width

  int64_t pieces() const { return downPieces * colPieces; }
  ProgramRunner runner(int worker) const { return ProgramRunner(b, memory + workerBytes * worker); }
  void* values(int worker) const { return memory + workerBytes * worker + (b.memoryBytes + 63) / 64 * 64; }
  void* accumulators(int worker) const { return static_cast<char*>(values(worker)) + kMaxWidth * 8; }

  int64_t outOffset(int64_t k) const {
    const int64_t* stride = b.space.stride[b.inputCount];
    int64_t at = 0;
    for (int d = keptDims - 1; d >= 0; d--) {
      at += k % b.space.shape[d] * stride[d];
      k /= b.space.shape[d];
    }
    return at;
  }
  // Whether all results lie equally far apart, one after another.
  bool areEven() const {
    for (int d = keptDims - 1; d > 0; d--)
      if (b.space.stride[b.inputCount][d - 1] != b.space.stride[b.inputCount][d] * b.space.shape[d]) return false;
    return true;
  }
  int64_t colStride() const { return b.space.stride[b.inputCount][b.space.rank - 1]; }

  void write(int64_t at, int64_t stride, int64_t n, const void* values) const {
    storage::kStore[int(out.dtype)](static_cast<char*>(out.data) + at * elementBytes(out.dtype), 1, n, 0, stride, values);
  }

  // Elements [row, row + rows) x [col, col + cols) of result k into one accumulator.
  void foldSpan(ProgramRunner& runner, int64_t row, int64_t rows, int64_t col, int64_t cols, void* acc) const {
    const int64_t w = atMost(cols, b.tileCols), h = w == b.cols || b.transposed ? b.tileLength / w : 1;
    for (int64_t r = 0; r < rows; r += h)
      for (int64_t c = 0; c < cols; c += w) {
        const int64_t height = atMost(rows - r, h), n = atMost(cols - c, w);
        folder.span(acc, runner.evaluate(row + r, height, col + c, n), height * n);
      }
  }

  // Rows [row, row + rows) of a strip of columns into its accumulators.
  void foldColumns(ProgramRunner& runner, int64_t row, int64_t rows, int64_t col, int64_t cols, void* values, void* acc) const {
    if (plain) {
      const Binding::Operand& x = b.operand[b.code[0].a];
      for (int64_t r = 0; r < rows; r += fold::kFlush) {
        folder.columns(values, x.base + ((row + r) * x.rowStride + col) * x.bytes, atMost(rows - r, fold::kFlush), cols, x.rowStride);
        folder.flush(acc, values, cols);
      }
      return;
    }
    const int64_t h = atMost(fold::kFlush, cols == b.cols || b.transposed ? atLeast(1, b.tileLength / cols) : 1);
    int64_t since = 0;
    for (int64_t r = 0; r < rows; r += h) {
      const int64_t height = atMost(rows - r, h);
      folder.columns(values, runner.evaluate(row + r, height, col, cols), height, cols, cols);
      since += height;
      if (since + h <= fold::kFlush && r + h < rows) continue;
      folder.flush(acc, values, cols);
      since = 0;
    }
  }

  // Results that are not cut: several short ones share a tile.
  void wholeSpans(int64_t begin, int64_t end, int worker) const {
    ProgramRunner run = runner(worker);
    const int64_t count = reducedRows * b.cols;
    const bool even = areEven(), fitsTile = count > 0 && count <= b.tileLength, isShort = fitsTile && count < folder.lanes;
    const int64_t together = fitsTile ? atMost(kBatch, b.tileLength / count) : 1;
    alignas(8) char acc[kBatch * 8], result[kBatch * 8];
    const int64_t step = keptDims ? b.space.stride[b.inputCount][keptDims - 1] : 0;
    for (int64_t k = begin; k < end; k += together) {
      const int64_t n = atMost(end - k, together);
      if (!isShort) folder.start(acc, n);
      if (fitsTile) {
        const char* p = static_cast<const char*>(run.evaluate(k * reducedRows, n * reducedRows, 0, b.cols));
        if (isShort) folder.spans(result, p, n, count);
        else for (int64_t i = 0; i < n; i++) folder.span(acc + i * folder.accBytes, p + i * count * folder.elementBytes, count);
      } else if (count > 0) {
        foldSpan(run, k * reducedRows, reducedRows, 0, b.cols, acc);
      }
      if (!isShort) folder.finish(result, acc, n);
      if (even) write(outOffset(k), step, n, result);
      else
        for (int64_t i = 0; i < n; i++) write(outOffset(k + i), 0, 1, result + i * folder.elementBytes);
    }
  }

  void wholeColumns(int64_t begin, int64_t end, int worker) const {
    ProgramRunner run = runner(worker);
    void* const v = values(worker);
    void* const acc = accumulators(worker);
    folder.startValues(v, width);
    const int64_t count = reducedRows * b.cols;
    const int64_t together = acrossCount == 1 && !plain && count > 0 && reducedRows <= fold::kFlush && count <= b.tileLength ? b.tileLength / count : 1;
    for (int64_t i = begin; i < end; i += together) {
      if (together > 1) {
        const int64_t n = atMost(end - i, together);
        const char* p = static_cast<const char*>(run.evaluate(i * reducedRows, n * reducedRows, 0, b.cols));
        for (int64_t j = 0; j < n; j++) {
          folder.start(acc, b.cols);
          folder.columns(v, p + j * count * folder.elementBytes, reducedRows, b.cols, b.cols);
          folder.flush(acc, v, b.cols);
          finishColumns(i + j, 0, b.cols, v, acc);
        }
        continue;
      }
      const int64_t k = i / acrossCount, col = i % acrossCount * width, cols = atMost(b.cols - col, width);
      folder.start(acc, cols);
      foldColumns(run, k * reducedRows, reducedRows, col, cols, v, acc);
      finishColumns(k, col, cols, v, acc);
    }
  }

  void finishColumns(int64_t k, int64_t col, int64_t cols, void* values, const void* acc) const {
    folder.finish(values, acc, cols);
    write(outOffset(k) + col * colStride(), colStride(), cols, values);
    folder.startValues(values, cols);
  }

  void piece(int64_t strip, int64_t part, int worker) const {
    ProgramRunner run = runner(worker);
    char* const acc = partials + (strip * pieces() + part) * width * folder.accBytes;
    const int64_t k = strip / acrossCount, row = part / colPieces * pieceRows, rows = atMost(reducedRows - row, pieceRows);
    folder.start(acc, width);
    if (columnsKept) {
      const int64_t col = strip % acrossCount * width;
      folder.startValues(values(worker), width);
      foldColumns(run, k * reducedRows + row, rows, col, atMost(b.cols - col, width), values(worker), acc);
    } else {
      const int64_t col = part % colPieces * pieceCols;
      foldSpan(run, k * reducedRows + row, rows, col, atMost(b.cols - col, pieceCols), acc);
    }
  }

  void mergePieces(int64_t strip, int worker) const {
    char* const first = partials + strip * pieces() * width * folder.accBytes;
    const int64_t k = strip / acrossCount, col = columnsKept ? strip % acrossCount * width : 0;
    const int64_t n = columnsKept ? atMost(b.cols - col, width) : 1;
    for (int64_t p = 1; p < pieces(); p++) folder.merge(first, first + p * width * folder.accBytes, n);
    folder.finish(values(worker), first, n);
    write(outOffset(k) + col * colStride(), columnsKept ? colStride() : 0, n, values(worker));
  }

  int run(const Context& context) {
    const int64_t strips = kept * acrossCount, each = reducedRows * (columnsKept ? width : b.cols);
    if (strips == 0 || (columnsKept && b.cols == 0)) return 0;
    // Cut only what is long, and only as far as the number of results leaves workers idle.
    const int64_t target = atLeast(kPiece, ceilDivide(each, atLeast(1, kPieces / strips)));
    pieceRows = reducedRows, pieceCols = b.cols, downPieces = colPieces = 1;
    if (each > 2 * target) {
      if (!columnsKept && b.cols >= 2 * target) pieceCols = ceilDivide(target, fold::kSpan) * fold::kSpan, pieceRows = 1;
      else pieceRows = ceilDivide(target, columnsKept ? width : b.cols);
      downPieces = ceilDivide(reducedRows, pieceRows);
      colPieces = columnsKept ? 1 : ceilDivide(b.cols, pieceCols);
    } else if (outside && strips * each > 2 * kPiece) {
      const int64_t most = atMost(atMost(kOutside, each / kOutsidePiece), ceilDivide(strips * each, kPiece));
      pieceRows = ceilDivide(reducedRows, atLeast(1, most));
      downPieces = ceilDivide(reducedRows, pieceRows);
    }
    const int64_t partialBytes = pieces() > 1 ? (strips * pieces() * width * folder.accBytes + 63) / 64 * 64 : 0;
    workerBytes = (b.memoryBytes + 63) / 64 * 64 + kMaxWidth * 16;
    partials = static_cast<char*>(context.scratch(context.pool, 0, uint64_t(partialBytes + workerBytes * context.threads)));
    if (!partials) return !bind::say(context, "reduce: no memory for the accumulators");
    memory = partials + partialBytes;
    if (pieces() > 1) {
      // In memory's order, so that a thread mostly reads what it has written.
      const int64_t together = outside ? atLeast(1, kPiece / (pieceRows * pieceCols)) : 1;
      parallelFor(context, strips * pieces(), together, [&](int64_t begin, int64_t end, int worker) {
        for (int64_t i = begin; i < end; i++) outside ? piece(i % strips, i / strips, worker) : piece(i / pieces(), i % pieces(), worker);
      });
      parallelFor(context, strips, ceilDivide(kPiece, pieces() * width), [&](int64_t begin, int64_t end, int worker) {
        for (int64_t i = begin; i < end; i++) mergePieces(i, worker);
      });
      return 0;
    }
    parallelFor(context, strips, atLeast(1, kPiece / atLeast(1, each)), [&](int64_t begin, int64_t end, int worker) {
      if (columnsKept) wholeColumns(begin, end, worker);
      else wholeSpans(begin, end, worker);
    });
    return 0;
  }
};

}  // namespace reduce

static int runReduce(const Step& step, const Context& context) {
  if (step.outCount != 1 || step.attrCount < 2 || !step.program) return !bind::say(context, "reduce: expected one output, a kind, a mask and a program");
  const double kind = step.attrs[0], mask = step.attrs[1];
  if (!(kind == 0 || kind == 1 || kind == 2 || kind == 3) || !(mask >= 0 && mask < 1 << kMaxRank))
    return !bind::say(context, "reduce: the kind or the mask is out of range");
  Binding b;
  if (!bindReduce(b, step.program, step.in, step.inCount, step.out[0], uint32_t(mask), context)) return 1;
  const Space& s = b.space;
  const int last = s.rank - 1;
  reduce::Job job(b, fold::kFolders[int(classOf(step.out[0].dtype))][int(kind)], step.out[0]);
  job.columnsKept = !s.group[last];
  job.keptDims = 0;
  job.kept = job.reducedRows = 1;
  for (int d = 0; d < last; d++) {
    if (s.group[d]) job.reducedRows *= s.shape[d];
    else job.kept *= s.shape[d], job.keptDims++;
  }
  job.width = job.columnsKept ? reduce::atLeast(1, reduce::atMost(b.cols, b.transposed ? b.tileCols : reduce::atMost(b.tileLength, reduce::kMaxWidth))) : 1;
  job.acrossCount = job.columnsKept ? reduce::ceilDivide(b.cols, job.width) : 1;
  job.outside = !job.columnsKept && job.kept > 1 && job.reducedRows > 1 && s.stride[0][job.keptDims - 1] < s.stride[0][job.keptDims];
  const Binding::Code& only = b.code[0];
  job.plain = job.columnsKept && b.codeCount == 1 && !only.fn && b.operand[only.a].inPlace && b.operand[only.a].isFlat;
  return job.run(context);
}

}  // namespace GRAFT_ISA_NS
}  // namespace graft
