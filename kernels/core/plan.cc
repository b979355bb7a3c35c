#include "plan.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <memory>

#include "isa.h"
#include "opcodes.h"

namespace graft {
namespace {

__extension__ typedef __int128 Wide;                 // products of a shape and a stride may pass 2^63

constexpr double kExact = 9007199254740992.0;        // 2^53: every integer up to here is exact in float64
constexpr int64_t kMaxElements = int64_t(1) << 53;
constexpr int64_t kMaxArena = int64_t(1) << 46;
constexpr int64_t kMaxSlots = int64_t(1) << 20;
constexpr int64_t kMaxRegisters = 1 << 15;
constexpr int64_t kStepNumbers = 6, kViewNumbers = 4, kInstrNumbers = 6;   // the fewest numbers that one takes; bounds every count

class Decoder {
 public:
  Decoder(GraftPlan& plan, const char* const* names, size_t nameCount, char* error, size_t errorLength)
      : plan_(plan), names_(names), nameCount_(int64_t(nameCount)), error_(error), errorLength_(errorLength) {}

  bool plan() {
    int64_t version = 0, slots = 0, steps = 0;
    if (!integer(&version, 0, kMaxElements, "version")) return false;
    if (version != 1) return fail("encoding version %lld is not 1", (long long)version);
    if (!integer(&plan_.arenaBytes, 0, kMaxArena, "arenaBytes") || !integer(&slots, 0, kMaxSlots, "slotCount") || !count(&steps, kStepNumbers, "stepCount")) return false;
    plan_.slots.resize(size_t(slots));
    plan_.steps.reserve(size_t(steps));
    for (step_ = 0; step_ < steps; step_++)
      if (!step()) return false;
    step_ = -1;
    if (at_ != size()) return fail("%lld numbers follow the last step", (long long)(size() - at_));
    link();
    return true;
  }

 private:
  int64_t size() const { return int64_t(plan_.code.size()); }

  bool fail(const char* format, ...) __attribute__((format(printf, 2, 3))) {
    char what[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    if (step_ >= 0) snprintf(error_, errorLength_, "plan: step %lld: %s (before number %lld)", (long long)step_, what, (long long)at_);
    else snprintf(error_, errorLength_, "plan: %s (before number %lld)", what, (long long)at_);
    return false;
  }

  bool number(double* value, const char* what) {
    if (at_ >= size()) return fail("the plan ends where %s should be", what);
    *value = plan_.code[size_t(at_++)];
    return true;
  }

  bool integer(int64_t* value, int64_t low, int64_t high, const char* what) {
    double x = 0;
    if (!number(&x, what)) return false;
    if (!(x >= -kExact && x <= kExact) || x != floor(x)) return fail("%s is %g, which is not an integer", what, x);
    *value = int64_t(x);
    if (*value < low || *value > high) return fail("%s is %lld, expected %lld to %lld", what, (long long)*value, (long long)low, (long long)high);
    return true;
  }

  // A count of things of which each takes at least `each` further numbers: so no count can ask for more memory than the plan has itself.
  bool count(int64_t* value, int64_t each, const char* what) {
    if (!integer(value, 0, kMaxElements, what)) return false;
    if (*value > (size() - at_) / each) return fail("%s is %lld, more than the plan has numbers for", what, (long long)*value);
    return true;
  }

  bool name(const char** value, const char* what) {
    int64_t index;
    if (!integer(&index, 0, kMaxElements, what)) return false;
    if (index >= nameCount_) return fail("%s is name %lld of a table of %lld", what, (long long)index, (long long)nameCount_);
    *value = names_[index];
    return true;
  }

  bool step() {
    const char* kernel;
    PlanStep entry{};
    int64_t programAt, in, out, attrs;
    if (!name(&kernel, "kernelName") || !number(&entry.flops, "flops")) return false;
    if (!(entry.flops >= 0) || isinf(entry.flops)) return fail("flops is %g", entry.flops);
    const KernelEntry* found = findKernel(kernel);
    if (!found) return fail("there is no kernel named '%.64s'", kernel);
    entry.run = found->run;
    entry.name = found->name;
    if (!integer(&programAt, -1, kMaxElements, "programAt")) return false;
    if (!count(&in, kViewNumbers, "inCount") || in > INT32_MAX) return false;
    for (int64_t i = 0; i < in; i++)
      if (!view(false)) return false;
    if (!count(&out, kViewNumbers, "outCount") || out > INT32_MAX) return false;
    for (int64_t i = 0; i < out; i++)
      if (!view(true)) return false;
    if (!count(&attrs, 1, "attrCount") || attrs > INT32_MAX) return false;
    entry.step.inCount = int32_t(in);
    entry.step.outCount = int32_t(out);
    entry.step.attrs = plan_.code.data() + at_;
    entry.step.attrCount = int32_t(attrs);
    const int64_t end = at_ + attrs;
    if (programAt > attrs) return fail("programAt is %lld with %lld attributes", (long long)programAt, (long long)attrs);
    if (programAt >= 0) {
      at_ += programAt;
      if (!program(end) || !checked(int32_t(in), int32_t(out), found->ownInputs)) return false;
      entry.step.program = &kHasProgram;   // the real address comes with link(), once the vectors no longer grow
    }
    at_ = end;
    plan_.steps.push_back(entry);
    return true;
  }

  bool view(bool written) {
    View v{};
    int64_t buffer, dtype, rank;
    if (!integer(&buffer, -2, int64_t(plan_.slots.size()) - 1, "buffer") || !integer(&v.offset, -kMaxElements, kMaxElements, "byteOffset")) return false;
    if (!integer(&dtype, 0, 6, "dtype") || !integer(&rank, 0, kMaxRank, "rank")) return false;
    v.buffer = int32_t(buffer);
    v.dtype = DType(dtype);
    v.rank = int32_t(rank);
    int64_t elements = 1;
    for (int64_t d = 0; d < rank; d++) {
      if (!integer(&v.shape[d], 0, kMaxElements, "shape")) return false;
      if (v.shape[d] != 0 && elements > kMaxElements / v.shape[d]) return fail("a view has more than 2^53 elements");
      elements *= v.shape[d];
    }
    Wide low = 0, high = 0;
    for (int64_t d = 0; d < rank; d++) {
      if (!integer(&v.stride[d], -kMaxElements, kMaxElements, "stride")) return false;
      if (v.shape[d] > 1) (v.stride[d] < 0 ? low : high) += Wide(v.shape[d] - 1) * v.stride[d];
    }
    if (!(v.buffer == -2 ? virtualView(v, elements, low, high, written) : memoryView(v, elements, low, high))) return false;
    plan_.views.push_back(v);
    return true;
  }

  bool virtualView(const View& v, int64_t elements, Wide low, Wide high, bool written) {
    if (written) return fail("a virtual index cannot be written");
    if (v.dtype != DType::I32) return fail("a virtual index must be i32");
    if (elements > 0 && (v.offset + low < INT32_MIN || v.offset + high > INT32_MAX)) return fail("a virtual index leaves the range of i32");
    return true;
  }

  bool memoryView(View& v, int64_t elements, Wide low, Wide high) {
    const int64_t size = elementSize(v.dtype);
    if (elements == 0) {   // touches nothing, but its address is still computed
      v.offset = 0;
      return true;
    }
    if (v.offset % size != 0) return fail("byteOffset %lld is not a multiple of the element size %lld", (long long)v.offset, (long long)size);
    const Wide begin = v.offset + low * size, end = v.offset + (high + 1) * size;
    if (begin < 0) return fail("a view begins before its buffer");
    if (v.buffer == -1) {
      if (end > plan_.arenaBytes) return fail("a view ends behind the arena of %lld bytes", (long long)plan_.arenaBytes);
      return true;
    }
    if (end > kMaxElements) return fail("a view ends behind any memory");
    SlotNeed& slot = plan_.slots[size_t(v.buffer)];
    if (slot.bytes < int64_t(end)) slot.bytes = int64_t(end);
    if (slot.alignment < size) slot.alignment = size;
    return true;
  }

  bool program(int64_t end) {
    int64_t inputs, registers, instrs, stores;
    if (!integer(&inputs, 0, kMaxRegisters, "inputCount") || !integer(&registers, inputs, kMaxRegisters, "regCount") || !count(&instrs, kInstrNumbers, "instrCount")) return false;
    written_.assign(size_t(registers), 0);
    for (int64_t i = 0; i < inputs; i++) written_[size_t(i)] = 1;
    for (int64_t i = 0; i < instrs; i++)
      if (!instr(registers)) return false;
    if (!count(&stores, 1, "storeCount")) return false;
    for (int64_t i = 0; i < stores; i++) {
      int32_t source;
      if (!operand(&source, registers, "a stored register") || (source < 0 && !fail("a stored register is -1"))) return false;
      plan_.stores.push_back(source);
    }
    if (at_ != end) return fail("the program takes %lld numbers more than its step has left", (long long)(at_ - end));
    plan_.programs.push_back(Program{int32_t(inputs), int32_t(registers), int32_t(instrs), int32_t(stores), nullptr, nullptr, DType::F32});
    return true;
  }

  // The program just read against the views just read. Afterwards kernels run it without a check.
  bool checked(int32_t in, int32_t out, int32_t ownInputs) {
    Program& program = plan_.programs.back();
    const View* const views = plan_.views.data() + plan_.views.size() - size_t(in) - size_t(out);
    std::vector<DType> types;
    for (int32_t i = 0; i < out; i++) types.push_back(views[in + i].dtype);
    const size_t inputsAt = types.size();
    program.productType = DType::F32;
    if (ownInputs >= 0) {
      if (in < ownInputs) return fail("the kernel needs %d inputs, the step has %d", ownInputs, in);
      for (int32_t i = 0; i < ownInputs; i++)
        if (views[i].dtype == DType::F64) program.productType = DType::F64;
      types.push_back(program.productType);
    }
    for (int32_t i = ownInputs > 0 ? ownInputs : 0; i < in; i++) types.push_back(views[i].dtype);
    Program now = program;   // the vectors still grow: the addresses hold for the check only
    now.instrs = plan_.instrs.data() + plan_.instrs.size() - size_t(now.instrCount);
    now.stores = plan_.stores.data() + plan_.stores.size() - size_t(now.storeCount);
    char why[256];
    return checkProgram(now, types.data() + inputsAt, int(types.size() - inputsAt), types.data(), out, why, sizeof why) || fail("%s", why);
  }

  bool instr(int64_t registers) {
    Instr entry{};
    const char* opcode;
    int64_t dst;
    if (!name(&opcode, "opcodeName")) return false;
    entry.opcode = lookupOpcode(opcode);
    if (entry.opcode < 0) return fail("there is no opcode named '%.64s'", opcode);
    if (!integer(&dst, 0, registers - 1, "dst")) return false;
    if (!operand(&entry.a, registers, "a") || !operand(&entry.b, registers, "b") || !operand(&entry.c, registers, "c")) return false;
    if (!number(&entry.immediate, "immediate")) return false;
    entry.dst = int32_t(dst);
    written_[size_t(dst)] = 1;
    plan_.instrs.push_back(entry);
    return true;
  }

  bool operand(int32_t* value, int64_t registers, const char* what) {
    int64_t index;
    if (!integer(&index, -1, registers - 1, what)) return false;
    if (index >= 0 && !written_[size_t(index)]) return fail("%s is register %lld, which nothing has written", what, (long long)index);
    *value = int32_t(index);
    return true;
  }

  void link() {
    const View* view = plan_.views.data();
    const Instr* instr = plan_.instrs.data();
    const int32_t* store = plan_.stores.data();
    Program* program = plan_.programs.data();
    for (PlanStep& entry : plan_.steps) {
      entry.step.in = view;
      entry.step.out = view + entry.step.inCount;
      view += entry.step.inCount + entry.step.outCount;
      if (!entry.step.program) continue;
      program->instrs = instr;
      program->stores = store;
      instr += program->instrCount;
      store += program->storeCount;
      entry.step.program = program++;
    }
  }

  static const Program kHasProgram;

  GraftPlan& plan_;
  const char* const* names_;
  int64_t nameCount_;
  char* error_;
  size_t errorLength_;
  int64_t at_ = 0, step_ = -1;
  std::vector<char> written_;   // registers of the current program that hold a value
};

const Program Decoder::kHasProgram{};

}  // namespace

int64_t elementSize(DType dtype) {
  constexpr int64_t kSizes[] = {4, 8, 4, 1, 1, 2, 2};
  return kSizes[int(dtype)];
}

GraftPlan* decodePlan(const double* code, size_t length, const char* const* names, size_t nameCount, char* error, size_t errorLength) {
  auto plan = std::make_unique<GraftPlan>();
  plan->code.assign(code, code + length);
  Decoder decoder(*plan, names, nameCount, error, errorLength);
  if (!decoder.plan()) return nullptr;
  plan->nanoseconds.assign(plan->steps.size(), 0);
  return plan.release();
}

}  // namespace graft
