// The tile interpreter: runs a fused program over an iteration space, a tile that fits in L1 at a time.
//
// The space is seen as `rows` x `cols`: cols is the (collapsed) last dimension, rows the flattened rest. A tile is a rectangle of rows and columns,
// packed row after row into registers of up to `tileLength` elements. An input that is already packed like this in memory is used in place, what is the
// same everywhere, or in a tile of one row, is one vector in a cell, anything else is filled per tile; a result whose memory is packed is computed straight into it.
//
// How map, reduce and the GEMM and convolution epilogues use it:
//   Binding binding;                                                  // on the stack, built once per step, shared by all workers
//   if (!bindEpilogue(binding, step.program, RegisterClass::F32,      // class of the product (F64 for a double product)
//                     step.in + 2, step.inCount - 2, step.out, step.outCount, context)) return 1;
//   // per worker (inside parallelFor): memory of binding.memoryBytes, 64-byte aligned, the worker's own
//   ProgramRunner runner(binding, memory);
//   runner.run(row, rowCount, col, colCount, product, productStride); // row counts through [batch..., M], col through N;
//                                                                     // product: element (row, col), rows productStride elements apart
// run() stores to the out views. It accepts a rectangle of any size; whole multiples of a vector in width are fastest.
// step.program may be NULL: then the product itself is stored (converted to the out view's dtype).
#pragma once
#include "program_bind.h"

namespace graft {
namespace GRAFT_ISA_NS {

// One worker's registers. Building it computes everything uniform, so keep it for as many tiles as possible.
class ProgramRunner {
 public:
  ProgramRunner(const Binding& binding, void* memory) : b_(binding) {
    cells_ = static_cast<char*>(memory);
    slots_ = cells_ + int64_t(b_.cellCount) * Binding::kCellBytes;
    for (int v = 0; v < b_.valueCount; v++) where_[v] = b_.slot[v] >= 0 ? slotAt(b_.slot[v]) : nullptr, same_[v] = false;
    for (int i = 0; i < b_.inputCount; i++) filled_[i].cols = -1;
    spread();
  }

  void run(int64_t row, int64_t rowCount, int64_t col, int64_t colCount, const void* product = nullptr, int64_t productStride = 0) {
    if (rowCount <= 0 || colCount <= 0) return;
    int64_t width = colCount < b_.tileCols ? colCount : b_.tileCols, height = 1;
    if (width < colCount) height = b_.transposed ? b_.tileLength / width : 1;
    else if (!rowByRow(width, product ? productStride : width)) height = b_.tileLength / width;
    const int64_t bytes = b_.productBytes;
    for (int64_t r = 0; r < rowCount; r += height) {
      const int64_t h = rowCount - r < height ? rowCount - r : height;
      for (int64_t c = 0; c < colCount; c += width) {
        const int64_t w = colCount - c < width ? colCount - c : width;
        tile(row + r, h, col + c, w, static_cast<const char*>(product) + (r * productStride + c) * bytes, productStride);
        for (int s = 0; s < b_.storeCount; s++)
          if (!direct_[s]) move(b_.operand[b_.inputCount + s], h, w, where_[b_.storeValue[s]], true);
      }
    }
  }

  // For reductions: the packed rows x cols values of the first store's register; rows * cols is at most tileLength. Nothing is stored.
  const void* evaluate(int64_t row, int64_t rowCount, int64_t col, int64_t colCount) {
    tile(row, rowCount, col, colCount, nullptr, 0);
    return where_[b_.storeValue[0]];
  }

 private:
  char* slotAt(int slot) const { return slots_ + int64_t(slot) * b_.slotBytes; }

  void* cellAt(int cell) const { return cells_ + int64_t(cell) * Binding::kCellBytes; }

  // What is the same everywhere is computed once, as one vector, and spread over a register where it is stored.
  void spread() {
    void* cell[Binding::kMaxValues];
    for (int u = 0; u < b_.uniformCells; u++) {
      const int v = b_.cellValue[u];
      cell[v] = cellAt(u);
      if (v < b_.inputCount) {
        const Binding::Operand& from = b_.operand[v];
        if (from.isVirtual) storage::indexRectangle(from.first, 1, Binding::kCell, 0, 0, static_cast<int32_t*>(cell[v]));
        else storage::kLoad[int(from.dtype)](from.base, 1, Binding::kCell, 0, 0, cell[v]);
      } else {
        const Binding::Code& code = b_.uniformCode[b_.cellCode[u]];
        code.fn(code.a < 0 ? nullptr : cell[code.a], code.b < 0 ? nullptr : cell[code.b], code.c < 0 ? nullptr : cell[code.c], cell[v], Binding::kCell, 0, code.immediate);
      }
      if (b_.slot[v] < 0) {
        where_[v] = cell[v], same_[v] = true;
        continue;
      }
      const bool wide = b_.valueClass[v] == RegisterClass::F64;
      storage::kLoad[int(wide ? DType::F64 : DType::I32)](cell[v], 1, b_.spreadLength, 0, 0, where_[v]);   // i32 and f32 are the same bits to a copy
    }
  }

  // One row at a time where rows as long as this can be used in place, or have operands that one vector stands for, and several of them cannot.
  bool rowByRow(int64_t width, int64_t productStride) const {
    if (width < Binding::kRowByRow) return width * 2 > b_.tileLength;
    if (b_.isEpilogue && productStride != width) return true;
    for (int o = 0; o < b_.inputCount + b_.storeCount; o++) {
      const Binding::Operand& x = b_.operand[o];
      if (x.rowCell >= 0 && width >= Binding::kRowByCell) return true;
      if (x.inPlace && !x.isUniform && !x.isRowInvariant && !(x.isFlat && x.rowStride == width)) return true;
    }
    return false;
  }

  void tile(int64_t row, int64_t rows, int64_t col, int64_t cols, const void* product, int64_t productStride) {
    locate(row, col);
    for (int s = 0; s < b_.storeCount; s++) {
      const Binding::Operand& to = b_.operand[b_.inputCount + s];
      direct_[s] = b_.mayStoreDirectly[s] && isPacked(to, rows, cols);
      if (b_.mayStoreDirectly[s]) {
        const int v = b_.storeValue[s];
        where_[v] = direct_[s] ? to.base + offset_[b_.inputCount + s] * to.bytes : slotAt(b_.slot[v]);
      }
    }
    const int64_t n = rows * cols;
    const int64_t share = b_.prefetches ? (findAhead(rows, cols) - 1) / b_.codeCount + 1 : 0;
    for (int k = 0; k < b_.codeCount; k++) {
      const Binding::Code& code = b_.code[k];
      if (share) fetchAhead(share);
      if (code.fn) code.fn(operand(code.a), operand(code.b), operand(code.c), where_[code.dst], n, isSame(code.a) | isSame(code.b) << 1 | isSame(code.c) << 2, code.immediate);
      else if (code.a == 0 && b_.isEpilogue) loadProduct(rows, cols, product, productStride);
      else load(code.a, rows, col, cols);
    }
  }

  const void* operand(int value) const { return value < 0 ? nullptr : where_[value]; }
  unsigned isSame(int value) const { return value >= 0 && same_[value]; }

  // What this tile computes on comes from L1; meanwhile the memory of the next tile is on its way, a share of it with every instruction: asked for at once
  // it would only fill the queue of misses and hold up everything behind it. Returns the number of lines.
  int64_t findAhead(int64_t rows, int64_t cols) {
    int64_t lines = 0;
    aheadCount_ = 0;
    for (int o = 0; o < b_.inputCount + b_.storeCount; o++) {
      const Binding::Operand& x = b_.operand[o];
      if (!x.comesAhead || !isPacked(x, rows, cols)) continue;
      const int64_t bytes = rows * cols * x.bytes;
      const char* const next = x.base + offset_[o] * x.bytes + bytes;
      ahead_[aheadCount_++] = {next, next + bytes};
      lines += (bytes - 1) / 64 + 1;
    }
    return lines;
  }

  void fetchAhead(int64_t lines) {
    while (aheadCount_ > 0 && lines > 0) {
      Ahead& ahead = ahead_[aheadCount_ - 1];
      for (; lines > 0 && ahead.at < ahead.end; lines--, ahead.at += 64) __builtin_prefetch(ahead.at);
      if (ahead.at >= ahead.end) aheadCount_--;
    }
  }

  // The offset of element (row, col) in every operand.
  void locate(int64_t row, int64_t col) {
    const Space& s = b_.space;
    const int outer = s.rank - 1;
    if (b_.needsIndex) {
      int64_t rest = row;
      for (int d = outer - 1; d > 0; d--) {
        index_[d] = rest % s.shape[d];
        rest /= s.shape[d];
      }
      index_[0] = rest;
    }
    for (int o = 0; o < b_.inputCount + b_.storeCount; o++) {
      const Binding::Operand& x = b_.operand[o];
      int64_t at = col * x.colStride;
      if (x.isFlat) at += row * x.rowStride;
      else
        for (int d = 0; d < outer; d++) at += index_[d] * s.stride[o][d];
      offset_[o] = at;
    }
  }

  bool isPacked(const Binding::Operand& x, int64_t rows, int64_t cols) const { return x.inPlace && (rows == 1 || (x.isFlat && x.rowStride == cols)); }

  void loadProduct(int64_t rows, int64_t cols, const void* product, int64_t stride) {
    if (rows == 1 || stride == cols) where_[0] = const_cast<void*>(product);
    else storage::kLoad[int(b_.productType)](product, rows, cols, stride, 1, where_[0] = slotAt(b_.slot[0]));
  }

  void load(int v, int64_t rows, int64_t col, int64_t cols) {
    const Binding::Operand& from = b_.operand[v];
    if (b_.loadsDirectly[v] && isDirect(v)) return move(from, rows, cols, where_[v], false);   // tile() has set where it goes
    if (isPacked(from, rows, cols)) {
      where_[v] = from.base + offset_[v] * from.bytes;
      return;
    }
    if (from.rowCell >= 0) {
      same_[v] = rows == 1;
      if (rows == 1) return moveRun(from, 1, Binding::kCell, offset_[v], where_[v] = cellAt(from.rowCell), false);
    }
    where_[v] = slotAt(b_.slot[v]);
    if (from.isRowInvariant && !b_.loadsDirectly[v]) {   // the slot is its own: what it held for the last tile may still be right
      Filled& filled = filled_[v];
      if (filled.col == col && filled.cols == cols && filled.rows >= rows) return;
      filled = {col, cols, rows};
    }
    move(from, rows, cols, where_[v], false);
  }

  bool isDirect(int v) const {
    for (int s = 0; s < b_.storeCount; s++)
      if (direct_[s] && b_.storeValue[s] == v) return true;
    return false;
  }

  // Between a view and a packed register, one run of evenly spaced rows after another.
  void move(const Binding::Operand& x, int64_t rows, int64_t cols, void* packed, bool storing) {
    int64_t at = offset_[x.number];
    if (x.isFlat) return moveRun(x, rows, cols, at, packed, storing);
    const Space& s = b_.space;
    const int last = s.rank - 2;
    int64_t index[kMaxRank];
    for (int d = 0; d <= last; d++) index[d] = index_[d];
    const int64_t* stride = s.stride[x.number];
    for (;;) {
      const int64_t left = s.shape[last] - index[last], run = rows < left ? rows : left;
      moveRun(x, run, cols, at, packed, storing);
      rows -= run;
      if (rows == 0) return;
      packed = static_cast<char*>(packed) + run * cols * x.registerBytes;
      at -= index[last] * stride[last];
      index[last] = 0;
      for (int d = last - 1; d >= 0; d--) {
        at += stride[d];
        if (++index[d] < s.shape[d]) break;
        at -= index[d] * stride[d];
        index[d] = 0;
      }
    }
  }

  void moveRun(const Binding::Operand& x, int64_t rows, int64_t cols, int64_t at, void* packed, bool storing) {
    if (x.isVirtual) return storage::indexRectangle(x.first + at, rows, cols, x.rowStride, x.colStride, static_cast<int32_t*>(packed));
    char* const memory = x.base + at * x.bytes;
    if (x.colStride == 1 && x.rowStride == cols) cols *= rows, rows = 1;
    if (storing && x.streams && rows == 1 && stream(memory, packed, cols * x.bytes)) return;
    if (storing) storage::kStore[int(x.dtype)](memory, rows, cols, x.rowStride, x.colStride, packed);
    else storage::kLoad[int(x.dtype)](memory, rows, cols, x.rowStride, x.colStride, packed);
  }

  // A whole number of aligned vectors, or false.
  static bool stream(char* memory, const void* packed, int64_t bytes) {
    constexpr int64_t kVector = kLanes<float> * int64_t(sizeof(float));
    if (bytes % kVector != 0 || reinterpret_cast<uintptr_t>(memory) % kVector != 0) return false;
    const float* const from = static_cast<const float*>(packed);
    float* const to = reinterpret_cast<float*>(memory);
    for (int64_t i = 0; i < bytes / 4; i += kLanes<float>) storeStream(to + i, GRAFT_ISA_NS::load(from + i));
    return true;
  }

  struct Filled { int64_t col, cols, rows; };
  struct Ahead { const char *at, *end; };

  const Binding& b_;
  char *cells_, *slots_;
  void* where_[Binding::kMaxValues];
  bool same_[Binding::kMaxValues];
  int64_t offset_[kMaxProgramViews];
  int64_t index_[kMaxRank];
  Filled filled_[kMaxProgramViews];
  Ahead ahead_[kMaxProgramViews];
  int aheadCount_ = 0;
  bool direct_[kMaxProgramViews];
};

}  // namespace GRAFT_ISA_NS
}  // namespace graft
