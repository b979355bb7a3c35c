// What of a fused program can be settled once per step: which values are uniform, where each value lives, how long a tile is.
#pragma once
#include "binding.h"

namespace graft {
namespace GRAFT_ISA_NS {

namespace bind {

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
  for (int v = 0; v < b.valueCount; v++) f.lastUse[v] = -1;
  for (int s = 0; s < p.storeCount; s++) {
    const int v = b.storeValue[s] = held[p.stores[s]];
    f.lastUse[v] = int16_t(p.instrCount);
  }
  for (int k = p.instrCount - 1; k >= 0; k--) {
    const int v = b.inputCount + k;
    if (f.lastUse[v] < 0) continue;
    for (int j = 0; j < 3; j++) {
      const int o = f.operand[k][j];
      if (o < 0) continue;
      if (f.lastUse[o] < k) f.lastUse[o] = int16_t(k);
    }
  }
}

static inline bool overlap(const Binding& b, int o, int e) {
  const Bytes x = extent(b, o), y = extent(b, e);
  return x.begin < y.end && y.begin < x.end;
}

// Results that are larger than the caches and lie on no input go past them.
static inline void chooseStreams(Binding& b) {
  for (int o = 0; o < b.inputCount + b.storeCount; o++) {
    Binding::Operand& x = b.operand[o];
    x.streams = o >= b.inputCount && !b.isEpilogue && x.alwaysPacked && mayStream(x.base, b.rows * b.cols * x.bytes / kLanes<char>, kLanes<char>);
    for (int i = 0; i < b.inputCount && x.streams; i++) x.streams = b.operand[i].isVirtual || !overlap(b, i, o);
  }
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
    bool may = b.operand[o].inPlace && !b.operand[o].streams && !f.uniform[v] && !(b.isEpilogue && v == 0);
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
  const auto isStored = [&](int v) { return f.lastUse[v] == p.instrCount; };
  // Slots that keep their content from tile to tile come first and are never given back.
  for (int i = 0; i < b.inputCount; i++) {
    loaded[i] = f.lastUse[i] < 0;
    if (loaded[i]) continue;
    if (f.uniform[i]) {
      b.cellValue[b.cellCount++] = int16_t(i);
      loaded[i] = true;
    }
    if (f.uniform[i] ? isStored(i) : b.operand[i].isRowInvariant && !b.loadsDirectly[i] && !b.operand[i].alwaysPacked) {
      slots.take(i);
      mayReuse[i] = false;
    }
  }
  for (int k = 0; k < p.instrCount; k++) {
    const int v = b.inputCount + k;
    if (!f.uniform[v] || f.lastUse[v] < 0) continue;
    b.cellCode[b.cellCount] = int16_t(b.uniformCount);
    b.cellValue[b.cellCount++] = int16_t(v);
    const int16_t* operand = f.operand[k];
    b.uniformCode[b.uniformCount++] = {scalar_ops::kTable[p.instrs[k].opcode], p.instrs[k].immediate, operand[0], operand[1], operand[2], int16_t(v)};
    if (!isStored(v)) continue;
    slots.take(v);
    mayReuse[v] = false;
  }
  b.uniformCells = b.cellCount;
  for (int o = 0; o < b.inputCount + b.storeCount; o++) b.operand[o].rowCell = -1;
  for (int i = b.isEpilogue; i < b.inputCount; i++) {
    Binding::Operand& x = b.operand[i];
    if (!loaded[i] && x.colStride == 0 && b.cols > 1 && !isStored(i)) x.rowCell = int16_t(b.cellCount++);
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
  bool wide = false, streams = false;
  for (int v = 0; v < b.valueCount; v++) wide |= b.valueClass[v] == RegisterClass::F64;
  for (int s = 0; s < b.storeCount; s++) streams |= b.operand[b.inputCount + s].streams;
  const int64_t element = wide ? 8 : 4;
  int arrays = 0;                                   // that are read
  for (int i = b.isEpilogue; i < b.inputCount; i++) arrays += !b.operand[i].isUniform && b.operand[i].rowCell < 0;
  const bool isChain = arrays < 2 && b.storeCount == 1 && !b.isEpilogue;
  // A single instruction between views goes through memory once whatever the tile; otherwise registers and what is streamed past them share L1, and a pass costs
  // as much as some 15 vectors before its first one. A tile that is written past the caches is shorter where passes are few: reading and writing memory in longer
  // turns is slower than both at once.
  const bool isLong = b.codeCount > 4;
  int64_t length = b.codeCount <= 2 && b.slotCount == 0 ? 8192 : streams ? (isLong ? 1024 : 512) : isChain ? 2048 : 1024;
  while (length > 128 && length * element * b.slotCount > Binding::kTileBudget) length /= 2;
  b.tileLength = length;
  // Transposed views are read along their columns, one cache line (16 rows of floats) each: the tile is that high and as wide as it can be.
  b.tileCols = b.transposed ? length / 16 : length;
  b.slotBytes = length * element;
  b.spreadLength = b.rows * b.cols < length ? b.rows * b.cols : length;
  b.prefetches = isLong && !isChain && b.rows * b.cols * element > Binding::kPrefetchFrom;   // one stream the processor sees itself
  for (int o = 0; o < b.inputCount + b.storeCount; o++) {
    Binding::Operand& x = b.operand[o];
    x.comesAhead = x.isMatrix() && !x.streams;
    for (int i = 0; i < o && x.comesAhead; i++) x.comesAhead = !b.operand[i].comesAhead || b.operand[i].base != x.base;   // updated in place: once is enough
  }
  b.memoryBytes = int64_t(b.cellCount) * Binding::kCellBytes + b.slotCount * b.slotBytes + 64;
}

static inline void settle(Binding& b, const Program& p) {
  describe(b);
  Flow flow;
  trace(b, p, flow);
  chooseStreams(b);
  keepStoredInputs(b, flow, p.instrCount);
  chooseDirect(b, flow);
  place(b, p, flow);
  size(b);
}

}  // namespace bind
}  // namespace GRAFT_ISA_NS
}  // namespace graft
