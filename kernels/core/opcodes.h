// The scalar opcodes as numbers, and what each one takes and gives. Generated from ops/scalar.def.
#pragma once
#include "kernel.h"

namespace graft {

enum class RegisterClass : int8_t { F32, F64, I32, None };

static constexpr RegisterClass classOf(DType dtype) {
  return dtype == DType::F64 ? RegisterClass::F64
       : dtype == DType::F32 || dtype == DType::BF16 || dtype == DType::F16 ? RegisterClass::F32 : RegisterClass::I32;
}

static constexpr int elementBytes(DType dtype) {
  return dtype == DType::F64 ? 8 : dtype == DType::F32 || dtype == DType::I32 ? 4 : dtype == DType::BF16 || dtype == DType::F16 ? 2 : 1;
}

enum Opcode : int32_t {
#define GRAFT_OP(name, cls, kind, ...) Op_##name##_##cls,
#define GRAFT_CAST(from, to, ...) Op_cast_##from##_##to,
#include "../ops/scalar.def"
#undef GRAFT_OP
#undef GRAFT_CAST
  kOpcodeCount
};

struct OpcodeInfo {
  const char* name;
  int8_t operandCount;
  RegisterClass operand[3];
  RegisterClass result;
};

namespace opcode {

using R = RegisterClass;
constexpr R f32 = R::F32, f64 = R::F64, i32 = R::I32;

static constexpr OpcodeInfo Const(const char* name, R t) { return {name, 0, {R::None, R::None, R::None}, t}; }
static constexpr OpcodeInfo Unary(const char* name, R t) { return {name, 1, {t, R::None, R::None}, t}; }
static constexpr OpcodeInfo Test(const char* name, R t) { return {name, 1, {t, R::None, R::None}, R::I32}; }
static constexpr OpcodeInfo Binary(const char* name, R t) { return {name, 2, {t, t, R::None}, t}; }
static constexpr OpcodeInfo Compare(const char* name, R t) { return {name, 2, {t, t, R::None}, R::I32}; }
static constexpr OpcodeInfo Where(const char* name, R t) { return {name, 3, {R::I32, t, t}, t}; }
static constexpr OpcodeInfo Ternary(const char* name, R t) { return {name, 3, {t, t, t}, t}; }
static constexpr OpcodeInfo Cast(const char* name, R from, R to) { return {name, 1, {from, R::None, R::None}, to}; }

}  // namespace opcode

static constexpr OpcodeInfo kOpcodes[] = {
#define GRAFT_OP(name, cls, kind, ...) opcode::kind(#name "." #cls, opcode::cls),
#define GRAFT_CAST(from, to, ...) opcode::Cast("cast." #from "." #to, opcode::from, opcode::to),
#include "../ops/scalar.def"
#undef GRAFT_OP
#undef GRAFT_CAST
};

// Limits of one fused program, so that binding it needs no heap memory. The planner cuts longer chains.
constexpr int kMaxProgramViews = 128;       // inputs + stores
constexpr int kMaxProgramRegisters = 256;
constexpr int kMaxProgramInstrs = 256;

// The number of an opcode, -1 when there is none of this name.
int lookupOpcode(const char* name);

// Checks that a program stays within the limits, reads only registers that were written, and that every operand and store has the class
// it needs (a store's register must have the class of its view's dtype). Writes the reason to `error` and returns false otherwise.
bool checkProgram(const Program& program, const DType* inputTypes, int inputTypeCount, const DType* outTypes, int outTypeCount, char* error, size_t n);

}  // namespace graft
