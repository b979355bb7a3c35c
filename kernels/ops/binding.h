// The iteration space of a fused program and how each view lies in it.
#pragma once
#include "../simd/stream.h"
#include "convert.h"
#include "scalar_ops.h"
#include "space.h"

namespace graft {
namespace GRAFT_ISA_NS {

// A *value* is an input (number = its register) or the result of an instruction (inputCount + its position): registers may be written again,
// values may not. Operands are the views: inputs, then stores; the product of an epilogue is input 0 and has no view.
struct Binding {
  static constexpr int kMaxValues = kMaxProgramViews + kMaxProgramInstrs;
  static constexpr int kCell = kLanes<float>;       // elements of a value that is the same for a whole tile: a vector of any type
  static constexpr int kCellBytes = kCell * 8;
  static constexpr int64_t kRowByRow = 192;         // rows from this length on are worth a dispatch of their own
  static constexpr int64_t kRowByCell = 512;        // and from this length on where a cell saves filling a register
  static constexpr int64_t kPrefetchFrom = 256 << 10;   // bytes of one operand from which on a step comes from beyond L2
  static constexpr int64_t kTileBudget = 24 << 10;  // bytes of registers: L1 without the room for what is streamed through

  struct Operand {
    char* base;
    int64_t first;                                  // of a virtual index
    int64_t rowStride, colStride;                   // in elements; rowStride holds within the innermost outer dimension, everywhere if isFlat
    DType dtype;
    int16_t bytes, registerBytes, number;
    bool isVirtual, isFlat, isUniform, isRowInvariant;
    int16_t rowCell;                                // of an input that does not change along a row: its cell, -1: none
    bool inPlace;                                   // memory format = register format and consecutive columns are neighbours
    bool alwaysPacked;                              // every tile of it is packed in memory: needs no register
    bool streams;                                   // a result that goes past the caches
    bool comesAhead;                                // the memory of its next tile is fetched while this one is computed
    bool isMatrix() const { return !isVirtual && !isUniform && !isRowInvariant; }   // every tile has memory of its own in it
  };
  struct Code {                                     // fn(a, b, c) -> dst; no fn: load input a
    ScalarFn fn;
    double immediate;
    int16_t a, b, c, dst;
  };

  Space space;                                      // operands as above; a reduction adds its out view behind them
  int64_t rows, cols;
  int inputCount, storeCount, valueCount;
  bool isEpilogue, needsIndex, transposed, prefetches;
  DType productType;
  int64_t productBytes;
  Operand operand[kMaxProgramViews + 1];

  int codeCount, uniformCount, uniformCells, cellCount, slotCount;   // cells of uniform values come first
  Code code[kMaxValues], uniformCode[kMaxProgramInstrs];
  int16_t cellValue[kMaxValues], cellCode[kMaxValues];
  int16_t slot[kMaxValues];                         // of a value, -1: none
  RegisterClass valueClass[kMaxValues];
  bool loadsDirectly[kMaxProgramViews];             // inputs that are copied or converted straight into an out view
  int16_t storeValue[kMaxProgramViews];
  bool mayStoreDirectly[kMaxProgramViews];

  int64_t tileLength, tileCols, slotBytes, spreadLength;
  int64_t memoryBytes;                              // what a ProgramRunner needs
};

namespace bind {

static inline int say(const Context& context, const char* message) {
  if (context.errorLength) __builtin_snprintf(context.error, context.errorLength, "%s", message);
  return 0;
}

static inline bool sameShape(const View& a, const View& b) {
  if (a.rank != b.rank) return false;
  for (int d = 0; d < a.rank; d++)
    if (a.shape[d] != b.shape[d]) return false;
  return true;
}

static inline void setOperand(Binding& b, int number, const View& view) {
  Binding::Operand& x = b.operand[number];
  x.number = int16_t(number);
  x.base = static_cast<char*>(view.data);
  x.first = view.offset;
  x.dtype = view.dtype;
  x.bytes = int16_t(elementBytes(view.dtype));
  x.registerBytes = classOf(view.dtype) == RegisterClass::F64 ? 8 : 4;
  x.isVirtual = view.buffer == -2;
}

// The dimensions of the first view that are not 1, with every view's strides in them.
static inline void setSpace(Binding& b, const View* const* views, int count, const View& shape, uint32_t groupMask) {
  Space& s = b.space;
  s.rank = 0;
  s.operandCount = count;
  for (int d = 0; d < shape.rank; d++) {
    if (shape.shape[d] == 1) continue;
    for (int o = 0; o < count; o++) s.stride[o][s.rank] = views[o] ? views[o]->stride[d] : 0;
    space::addDimension(s, shape.shape[d], groupMask >> d & 1);
  }
}

static inline void addUnit(Space& s, int group) {
  for (int o = 0; o < s.operandCount; o++) s.stride[o][s.rank] = 0;
  space::addDimension(s, 1, group);
}

// Rows, columns and what each operand looks like in them. The space is final.
static inline void describe(Binding& b) {
  const Space& s = b.space;
  const int last = s.rank - 1;
  b.cols = s.shape[last];
  b.rows = 1;
  for (int d = 0; d < last; d++) b.rows *= s.shape[d];
  b.needsIndex = b.transposed = false;
  for (int o = 0; o < b.inputCount + b.storeCount; o++) {
    Binding::Operand& x = b.operand[o];
    if (b.isEpilogue && o == 0) {
      x = Binding::Operand{};
      x.isFlat = true;
      continue;
    }
    const int64_t* stride = s.stride[o];
    x.colStride = stride[last];
    x.rowStride = last > 0 ? stride[last - 1] : 0;
    x.isFlat = x.isRowInvariant = true;
    for (int d = 0; d + 1 < last; d++) x.isFlat &= stride[d] == stride[d + 1] * s.shape[d + 1];
    for (int d = 0; d < last; d++) x.isRowInvariant &= stride[d] == 0;
    x.isUniform = x.isRowInvariant && x.colStride == 0;
    x.isRowInvariant &= b.rows > 1;
    x.inPlace = !x.isVirtual && x.colStride == 1 && (x.dtype == DType::F32 || x.dtype == DType::F64 || x.dtype == DType::I32);
    b.needsIndex |= !x.isFlat;
    b.transposed |= !x.isVirtual && x.rowStride != 0 && space::magnitude(x.rowStride) < space::magnitude(x.colStride);
  }
  b.transposed &= !b.isEpilogue && b.cols > 64;
  for (int o = 0; o < b.inputCount + b.storeCount; o++) {
    Binding::Operand& x = b.operand[o];
    x.alwaysPacked = x.inPlace && !x.isUniform && !b.isEpilogue && (b.rows == 1 || (!b.transposed && x.isFlat && x.rowStride == b.cols));
  }
}

}  // namespace bind
}  // namespace GRAFT_ISA_NS
}  // namespace graft
