// What of a fused program can be settled once per step: the iteration space, which values are uniform, and where each value lives.
#pragma once
#include "convert.h"
#include "scalar_ops.h"
#include "space.h"

namespace graft {
namespace GRAFT_ISA_NS {

// A *value* is an input (number = its register) or the result of an instruction (inputCount + its position): registers may be written again,
// values may not. Operands are the views: inputs, then stores; the product of an epilogue is input 0 and has no view.
struct Binding {
  static constexpr int kMaxValues = kMaxProgramViews + kMaxProgramInstrs;
  static constexpr int kCellBytes = 64;             // one uniform value, with room for a whole vector
  static constexpr int64_t kRowByRow = 192;         // rows from this length on are worth a dispatch of their own
  static constexpr int64_t kPrefetchFrom = 256 << 10;   // bytes of one operand from which on a step comes from beyond L2
  static constexpr int64_t kTileBudget = 24 << 10;  // bytes of registers: L1 without the room for what is streamed through

  struct Operand {
    char* base;
    int64_t first;                                  // of a virtual index
    int64_t rowStride, colStride;                   // in elements; rowStride holds within the innermost outer dimension, everywhere if isFlat
    DType dtype;
    int16_t bytes, registerBytes, number;
    bool isVirtual, isFlat, isUniform, isRowInvariant;
    bool inPlace;                                   // memory format = register format and consecutive columns are neighbours
    bool alwaysPacked;                              // every tile of it is packed in memory: needs no register
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

  int codeCount, uniformCount, cellCount, slotCount;
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

struct Bytes { const char* begin; const char* end; };
static inline Bytes extent(const Binding& b, int o) {
  const Binding::Operand& x = b.operand[o];
  int64_t low = 0, high = 0;
  for (int d = 0; d < b.space.rank; d++) {
    const int64_t reach = (b.space.shape[d] - 1) * b.space.stride[o][d];
    (reach < 0 ? low : high) += reach;
  }
  return {x.base + low * x.bytes, x.base + (high + 1) * x.bytes};
}

// Instructions as values, from the last backwards which are needed and where each is used last.
struct Flow {
  int16_t operand[kMaxProgramInstrs][3];
  int16_t lastUse[Binding::kMaxValues];             // instruction, instrCount: a store, -1: nowhere
  bool uniform[Binding::kMaxValues];
  bool vectorUse[Binding::kMaxValues];              // used by something that is not uniform
};

static inline void trace(Binding& b, const Program& p, Flow& f) {
  int16_t held[kMaxProgramRegisters];
  b.valueCount = b.inputCount + p.instrCount;
  for (int i = 0; i < b.inputCount; i++) {
    held[i] = int16_t(i);
    f.uniform[i] = b.operand[i].isUniform;
    b.valueClass[i] = b.isEpilogue && i == 0 ? classOf(b.productType) : classOf(b.operand[i].dtype);
  }
  for (int k = 0; k < p.instrCount; k++) {
    const Instr& instr = p.instrs[k];
    const OpcodeInfo& info = kOpcodes[instr.opcode];
    const int32_t registers[3] = {instr.a, instr.b, instr.c};
    const int v = b.inputCount + k;
    f.uniform[v] = true;
    for (int j = 0; j < 3; j++) {
      f.operand[k][j] = j < info.operandCount ? held[registers[j]] : int16_t(-1);
      if (j < info.operandCount) f.uniform[v] &= f.uniform[f.operand[k][j]];
    }
    b.valueClass[v] = info.result;
    held[instr.dst] = int16_t(v);
  }
  for (int v = 0; v < b.valueCount; v++) f.lastUse[v] = -1, f.vectorUse[v] = false;
  for (int s = 0; s < p.storeCount; s++) {
    const int v = b.storeValue[s] = held[p.stores[s]];
    f.lastUse[v] = int16_t(p.instrCount);
    f.vectorUse[v] = true;
  }
  for (int k = p.instrCount - 1; k >= 0; k--) {
    const int v = b.inputCount + k;
    if (f.lastUse[v] < 0) continue;
    for (int j = 0; j < 3; j++) {
      const int o = f.operand[k][j];
      if (o < 0) continue;
      if (f.lastUse[o] < k) f.lastUse[o] = int16_t(k);
      f.vectorUse[o] |= !f.uniform[v];
    }
  }
}

static inline bool overlap(const Binding& b, int o, int e) {
  const Bytes x = extent(b, o), y = extent(b, e);
  return x.begin < y.end && y.begin < x.end;
}

// An input that is itself stored is read at the very end of a tile. Where an out view lies on it, another store may have come first: take a copy.
static inline void keepStoredInputs(Binding& b, const Flow& f, int instrCount) {
  for (int i = b.isEpilogue; i < b.inputCount; i++) {
    Binding::Operand& x = b.operand[i];
    if (f.lastUse[i] != instrCount || !x.inPlace) continue;
    for (int s = 0; s < b.storeCount; s++)
      if (overlap(b, i, b.inputCount + s)) x.inPlace = x.alwaysPacked = false;
  }
}

// Which stores may be computed straight into the out view: nothing may still be read from that memory once the value has been written.
static inline void chooseDirect(Binding& b, const Flow& f) {
  for (int i = 0; i < b.inputCount; i++) b.loadsDirectly[i] = false;
  for (int s = 0; s < b.storeCount; s++) {
    const int v = b.storeValue[s], o = b.inputCount + s;
    const bool isInput = v < b.inputCount;
    bool may = b.operand[o].inPlace && !f.uniform[v] && !(b.isEpilogue && v == 0);
    for (int e = 0; e < s; e++) may &= b.storeValue[e] != v || !b.mayStoreDirectly[e];
    if (may) {
      const int written = isInput ? -1 : v - b.inputCount;
      for (int i = b.isEpilogue; i < b.inputCount && may; i++) may = f.lastUse[i] <= written || b.operand[i].isVirtual || !overlap(b, i, o);
    }
    b.mayStoreDirectly[s] = may;
    if (may && isInput) b.loadsDirectly[v] = true;
  }
}

class Slots {
 public:
  explicit Slots(Binding& b) : b_(b) { b.slotCount = 0; }
  void take(int v) { b_.slot[v] = free_ > 0 ? list_[--free_] : int16_t(b_.slotCount++); }
  void give(int v) { list_[free_++] = b_.slot[v]; }

 private:
  Binding& b_;
  int16_t list_[Binding::kMaxValues];
  int free_ = 0;
};

// Emits the code and gives every value that needs one a slot; a slot is used again once its value is dead.
static inline void place(Binding& b, const Program& p, const Flow& f) {
  Slots slots(b);
  bool loaded[kMaxProgramViews], alwaysDirect[Binding::kMaxValues], mayReuse[Binding::kMaxValues];
  for (int v = 0; v < b.valueCount; v++) b.slot[v] = -1, alwaysDirect[v] = false, mayReuse[v] = true;
  for (int s = 0; s < b.storeCount; s++)
    if (b.mayStoreDirectly[s] && b.operand[b.inputCount + s].alwaysPacked) alwaysDirect[b.storeValue[s]] = true;
  b.codeCount = b.uniformCount = b.cellCount = 0;
  // Slots that keep their content from tile to tile come first and are never given back.
  for (int i = 0; i < b.inputCount; i++) {
    loaded[i] = f.lastUse[i] < 0;
    if (loaded[i]) continue;
    if (f.uniform[i]) {
      b.cellValue[b.cellCount++] = int16_t(i);
      loaded[i] = true;
    }
    if (f.uniform[i] ? f.vectorUse[i] : b.operand[i].isRowInvariant && !b.loadsDirectly[i] && !b.operand[i].alwaysPacked) {
      slots.take(i);
      mayReuse[i] = false;
    }
  }
  for (int k = 0; k < p.instrCount; k++) {
    const int v = b.inputCount + k;
    if (!f.uniform[v] || f.lastUse[v] < 0) continue;
    b.cellCode[b.cellCount] = int16_t(b.uniformCount);
    b.cellValue[b.cellCount++] = int16_t(v);
    b.uniformCode[b.uniformCount++] = {scalar_ops::kTable[p.instrs[k].opcode], p.instrs[k].immediate, f.operand[k][0], f.operand[k][1], f.operand[k][2], int16_t(v)};
    if (!f.vectorUse[v]) continue;
    slots.take(v);
    mayReuse[v] = false;
  }
  auto load = [&](int i) {
    if (loaded[i]) return;
    loaded[i] = true;
    if (b.slot[i] < 0 && !b.operand[i].alwaysPacked && !alwaysDirect[i]) slots.take(i);
    b.code[b.codeCount++] = {nullptr, 0, int16_t(i), -1, -1, int16_t(i)};
  };
  for (int k = 0; k < p.instrCount; k++) {
    const int v = b.inputCount + k;
    if (f.uniform[v] || f.lastUse[v] < 0) continue;
    const int16_t* operand = f.operand[k];
    bool sameSize = true;
    for (int j = 0; j < 3; j++) {
      if (operand[j] < 0) continue;
      if (operand[j] < b.inputCount) load(operand[j]);
      sameSize &= (b.valueClass[operand[j]] == RegisterClass::F64) == (b.valueClass[v] == RegisterClass::F64);
    }
    if (!sameSize && !alwaysDirect[v]) slots.take(v);
    for (int j = 0; j < 3; j++) {
      const int o = operand[j];
      if (o < 0 || f.lastUse[o] != k || b.slot[o] < 0 || !mayReuse[o]) continue;
      slots.give(o);
      mayReuse[o] = false;
    }
    if (sameSize && !alwaysDirect[v]) slots.take(v);
    b.code[b.codeCount++] = {scalar_ops::kTable[p.instrs[k].opcode], p.instrs[k].immediate, operand[0], operand[1], operand[2], int16_t(v)};
  }
  for (int s = 0; s < p.storeCount; s++)
    if (b.storeValue[s] < b.inputCount) load(b.storeValue[s]);
}

static inline void size(Binding& b) {
  bool wide = false;
  for (int v = 0; v < b.valueCount; v++) wide |= b.valueClass[v] == RegisterClass::F64;
  const int64_t element = wide ? 8 : 4;
  // A single instruction between views goes through memory once whatever the tile; otherwise registers and what is streamed past them share L1.
  int64_t length = b.codeCount <= 2 && b.slotCount == 0 ? 8192 : 1024;
  while (length > 128 && length * element * b.slotCount > Binding::kTileBudget) length /= 2;
  b.tileLength = length;
  // Transposed views are read along their columns, one cache line (16 rows of floats) each: the tile is that high and as wide as it can be.
  b.tileCols = b.transposed ? length / 16 : length;
  b.slotBytes = length * element;
  b.spreadLength = b.rows * b.cols < length ? b.rows * b.cols : length;
  b.prefetches = b.codeCount > 4 && b.rows * b.cols * element > Binding::kPrefetchFrom;
  b.memoryBytes = int64_t(b.cellCount) * Binding::kCellBytes + b.slotCount * b.slotBytes + 64;
}

static inline void settle(Binding& b, const Program& p) {
  describe(b);
  Flow flow;
  trace(b, p, flow);
  keepStoredInputs(b, flow, p.instrCount);
  chooseDirect(b, flow);
  place(b, p, flow);
  size(b);
}

}  // namespace bind

// Map: the out views say what the iteration space is.
static inline bool bindProgram(Binding& b, const Program* program, const View* in, int inCount, const View* out, int outCount, const Context& context) {
  if (!program) return bind::say(context, "map: the step has no program");
  if (outCount < 1 || program->inputCount != inCount || program->storeCount != outCount) return bind::say(context, "map: the program's inputs and stores are not the step's views");
  const View* views[kMaxProgramViews];
  for (int o = 0; o < inCount + outCount; o++) {
    views[o] = o < inCount ? &in[o] : &out[o - inCount];
    if (!bind::sameShape(*views[o], out[0])) return bind::say(context, "map: all views must have the shape of the iteration space");
    bind::setOperand(b, o, *views[o]);
  }
  b.inputCount = inCount;
  b.storeCount = outCount;
  b.isEpilogue = false;
  b.productType = DType::F32;
  b.productBytes = 0;
  bind::setSpace(b, views, inCount + outCount, out[0], 0);
  space::sortByStride(b.space, inCount);
  space::merge(b.space);
  if (b.space.rank == 0) bind::addUnit(b.space, 0);
  bind::settle(b, *program);
  return true;
}

// Reduction: the in views say what the iteration space is. Its dimensions are ordered: kept ones, reduced ones, then the one that is walked
// innermost (of either kind). The out view takes part as an operand behind the inputs; results are left to the caller.
static inline bool bindReduce(Binding& b, const Program* program, const View* in, int inCount, const View& out, uint32_t reducedMask, const Context& context) {
  if (!program || inCount < 1 || program->inputCount != inCount || program->storeCount != 1) return bind::say(context, "reduce: the program's inputs are not the step's views, or it has not one store");
  const View* views[kMaxProgramViews];
  for (int o = 0; o < inCount; o++) {
    if (!bind::sameShape(in[o], in[0])) return bind::say(context, "reduce: all inputs must have the shape of the iteration space");
    bind::setOperand(b, o, in[o]);
    views[o] = &in[o];
  }
  View target = out;
  if (target.rank != in[0].rank || reducedMask >> target.rank) return bind::say(context, "reduce: the rank of the output or the mask of reduced dimensions does not fit the input");
  for (int d = 0; d < target.rank; d++) {
    const bool reduced = reducedMask >> d & 1;
    if (target.shape[d] != (reduced ? 1 : in[0].shape[d])) return bind::say(context, "reduce: the output must have the input's shape with reduced dimensions at 1");
    if (reduced) target.stride[d] = 0;
  }
  bind::setOperand(b, inCount, target);
  views[inCount] = &target;
  b.inputCount = inCount;
  b.storeCount = 0;
  b.isEpilogue = false;
  b.productType = DType::F32;
  b.productBytes = 0;
  bind::setSpace(b, views, inCount + 1, in[0], reducedMask);
  Space& s = b.space;
  space::sortByStride(s, 0);
  space::merge(s);
  if (s.rank == 0) bind::addUnit(s, 1);
  const int last = s.rank - 1;
  for (int pass = 0; pass < last; pass++)
    for (int d = 0; d + 1 < last; d++)
      if (s.group[d] && !s.group[d + 1]) space::swapDimensions(s, d, d + 1);
  bind::settle(b, *program);
  return true;
}

// The program behind a kernel's own product: register 0 is the product, the others are `in`. Without a program the product is stored as it is.
static inline bool bindEpilogue(Binding& b, const Program* program, RegisterClass product, const View* in, int inCount, const View* out, int outCount, const Context& context) {
  static constexpr int32_t kFirst[] = {0};
  static constexpr Program kStore{1, 1, 0, 1, nullptr, kFirst, DType::F32};
  if (outCount < 1) return bind::say(context, "epilogue: there is no out view");
  if (!program) {
    if (inCount != 0 || outCount != 1) return bind::say(context, "epilogue: more views than a kernel without a program can use");
    if (classOf(out[0].dtype) != product) return bind::say(context, "epilogue: the out view does not have the product's class");
    program = &kStore;
  } else if (classOf(program->productType) != product || program->inputCount != inCount + 1 || program->storeCount != outCount) {
    return bind::say(context, "epilogue: the program's inputs and stores are not the step's views");
  }
  const View* views[kMaxProgramViews];
  views[0] = nullptr;
  for (int o = 1; o < 1 + inCount + outCount; o++) {
    views[o] = o <= inCount ? &in[o - 1] : &out[o - 1 - inCount];
    if (!bind::sameShape(*views[o], out[0])) return bind::say(context, "epilogue: all views must have the product's shape");
    bind::setOperand(b, o, *views[o]);
  }
  b.inputCount = inCount + 1;
  b.storeCount = outCount;
  b.isEpilogue = true;
  b.productType = product == RegisterClass::F64 ? DType::F64 : DType::F32;
  b.productBytes = product == RegisterClass::F64 ? 8 : 4;
  // Rows and columns are the caller's: the last dimension stays apart and nothing is sorted.
  Space& s = b.space;
  bind::setSpace(b, views, 1 + inCount + outCount, out[0], 0);
  const int rank = out[0].rank;
  if (rank == 0 || out[0].shape[rank - 1] == 1) bind::addUnit(s, 1);
  else s.group[s.rank - 1] = 1;
  space::merge(s);
  bind::settle(b, *program);
  return true;
}

}  // namespace GRAFT_ISA_NS
}  // namespace graft
