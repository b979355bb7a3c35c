// From the views of a step to a Binding, for each kind of step that has a program.
#pragma once
#include "program_place.h"

namespace graft {
namespace GRAFT_ISA_NS {

// Map: the out views say what the iteration space is.
static inline bool bindProgram(Binding& b, const Program* program, const View* in, int inCount, const View* out, int outCount, const Context& context) {
  if (!program) return bind::say(context, "map: the step has no program");
  if (outCount < 1 || program->inputCount != inCount || program->storeCount != outCount)
    return bind::say(context, "map: the program's inputs and stores are not the step's views");
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
  if (!program || inCount < 1 || program->inputCount != inCount || program->storeCount != 1)
    return bind::say(context, "reduce: the program's inputs are not the step's views, or it has not one store");
  const View* views[kMaxProgramViews];
  for (int o = 0; o < inCount; o++) {
    if (!bind::sameShape(in[o], in[0])) return bind::say(context, "reduce: all inputs must have the shape of the iteration space");
    bind::setOperand(b, o, in[o]);
    views[o] = &in[o];
  }
  View target = out;
  if (target.rank != in[0].rank || reducedMask >> target.rank)
    return bind::say(context, "reduce: the rank of the output or the mask of reduced dimensions does not fit the input");
  for (int d = 0; d < target.rank; d++) {
    const bool reduced = reducedMask >> d & 1;
    if (target.shape[d] != (reduced ? 1 : in[0].shape[d]))
      return bind::say(context, "reduce: the output must have the input's shape with reduced dimensions at 1");
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
static inline bool bindEpilogue(Binding& b, const Program* program, RegisterClass product, const View* in, int inCount, const View* out, int outCount,
                                const Context& context) {
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
