// A decoded plan. Everything that can be checked without the run's own memory is checked here, once: kernels may trust that every view lies
// inside its buffer. What the shapes and attributes mean together is each kernel's own to check.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include <vector>

#include "kernel.h"

namespace graft {

struct PlanStep {
  Step step;
  KernelFn run;
  const char* name;             // the table entry's own, it outlives the plan
  double flops;
};

struct SlotNeed {
  int64_t bytes = 0;            // the end of the last byte that any view reaches
  int64_t alignment = 1;
};

}  // namespace graft

struct GraftPlan {
  int64_t arenaBytes = 0;
  std::vector<graft::SlotNeed> slots;
  std::vector<graft::PlanStep> steps;
  std::vector<graft::View> views;
  std::vector<double> code;     // attributes are read in place
  std::vector<graft::Program> programs;
  std::vector<graft::Instr> instrs;
  std::vector<int32_t> stores;
  std::vector<double> nanoseconds;   // per step, of the last profiled run
};

namespace graft {

// Returns nullptr and a message when the plan is malformed.
GraftPlan* decodePlan(const double* code, size_t length, const char* const* names, size_t nameCount, char* error, size_t errorLength);

int64_t elementSize(DType dtype);

}  // namespace graft
