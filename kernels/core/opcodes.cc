// Opcode look-up and the check of a fused program: done once when a plan is loaded, so that running it needs no checks.
#include "opcodes.h"

#include <stdio.h>

#include <string>
#include <unordered_map>

namespace graft {

int lookupOpcode(const char* name) {
  static const std::unordered_map<std::string, int> table = [] {
    std::unordered_map<std::string, int> t;
    for (int i = 0; i < kOpcodeCount; i++) t.emplace(kOpcodes[i].name, i);
    return t;
  }();
  auto found = table.find(name);
  return found == table.end() ? -1 : found->second;
}

static const char* className(RegisterClass c) {
  return c == RegisterClass::F32 ? "f32" : c == RegisterClass::F64 ? "f64" : c == RegisterClass::I32 ? "i32" : "unset";
}

bool checkProgram(const Program& p, const DType* inputTypes, int inputTypeCount, const DType* outTypes, int outTypeCount, char* error, size_t n) {
  if (p.inputCount < 0 || p.instrCount < 0 || p.storeCount < 0 || p.registerCount < p.inputCount || p.registerCount > kMaxProgramRegisters ||
      p.instrCount > kMaxProgramInstrs || int64_t(p.inputCount) + p.storeCount > kMaxProgramViews) {
    snprintf(error, n, "program: %d inputs, %d stores, %d registers and %d instructions are outside the limits (%d views, %d registers, %d instructions)",
             p.inputCount, p.storeCount, p.registerCount, p.instrCount, kMaxProgramViews, kMaxProgramRegisters, kMaxProgramInstrs);
    return false;
  }
  if (p.inputCount != inputTypeCount || p.storeCount != outTypeCount) {
    snprintf(error, n, "program: has %d inputs and %d stores, the step has %d and %d views", p.inputCount, p.storeCount, inputTypeCount, outTypeCount);
    return false;
  }
  RegisterClass held[kMaxProgramRegisters];
  for (int r = 0; r < p.registerCount; r++) held[r] = r < p.inputCount ? classOf(inputTypes[r]) : RegisterClass::None;
  for (int i = 0; i < p.instrCount; i++) {
    const Instr& instr = p.instrs[i];
    if (instr.opcode < 0 || instr.opcode >= kOpcodeCount) {
      snprintf(error, n, "program: instruction %d has unknown opcode %d", i, instr.opcode);
      return false;
    }
    const OpcodeInfo& info = kOpcodes[instr.opcode];
    const int32_t operands[3] = {instr.a, instr.b, instr.c};
    for (int k = 0; k < info.operandCount; k++) {
      const int32_t r = operands[k];
      if (r < 0 || r >= p.registerCount || held[r] != info.operand[k]) {
        snprintf(error, n, "program: instruction %d (%s): operand %d is register %d (%s), it needs class %s", i, info.name, k, r,
                 r < 0 || r >= p.registerCount ? "out of range" : className(held[r]), className(info.operand[k]));
        return false;
      }
    }
    if (instr.dst < 0 || instr.dst >= p.registerCount) {
      snprintf(error, n, "program: instruction %d (%s) writes register %d of %d", i, info.name, instr.dst, p.registerCount);
      return false;
    }
    held[instr.dst] = info.result;
  }
  for (int s = 0; s < p.storeCount; s++) {
    const int32_t r = p.stores[s];
    if (r < 0 || r >= p.registerCount || held[r] != classOf(outTypes[s])) {
      snprintf(error, n, "program: store %d takes register %d (%s), its view needs class %s", s, r,
               r < 0 || r >= p.registerCount ? "out of range" : className(held[r]), className(classOf(outTypes[s])));
      return false;
    }
  }
  return true;
}

}  // namespace graft
