// Which build of the kernels runs: they are compiled once per instruction set, and the best one that this machine has is chosen at start.
#pragma once
#include "kernel.h"

namespace graft {

struct KernelTable {
  const char* isa;
  const KernelEntry* entries;
  int count;
};

// Chosen once per process. GRAFT_ISA=scalar|avx2|avx512|neon picks another one that this machine can run.
const KernelTable& kernelTable();

const KernelEntry* findKernel(const char* name);   // nullptr when there is none

}  // namespace graft
