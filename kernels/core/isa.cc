#include "isa.h"

#include <stdlib.h>
#include <string.h>

namespace graft {

// Each is defined by one compilation of ops/all.cc.
#if defined(__x86_64__)
const KernelEntry* kernels_scalar(int* count);
const KernelEntry* kernels_avx2(int* count);
const KernelEntry* kernels_avx512(int* count);
#elif defined(__aarch64__)
const KernelEntry* kernels_neon(int* count);
#elif defined(__wasm_relaxed_simd__)
const KernelEntry* kernels_wasm_relaxed(int* count);
#elif defined(__wasm_simd128__)
const KernelEntry* kernels_wasm_simd(int* count);
#else
const KernelEntry* kernels_scalar(int* count);
#endif

namespace {

struct Isa {
  const char* name;
  const KernelEntry* (*kernels)(int* count);
  bool (*available)();
};

bool always() { return true; }

// Best first. __builtin_cpu_supports also asks whether the operating system saves the wide registers.
constexpr Isa kIsas[] = {
#if defined(__x86_64__)
    {"avx512", kernels_avx512,
     [] {
       return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
              __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
     }},
    {"avx2", kernels_avx2, [] { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }},
    {"scalar", kernels_scalar, always},
#elif defined(__aarch64__)
    {"neon", kernels_neon, always},
#elif defined(__wasm_relaxed_simd__)   // the host chooses between the two modules: one that a machine cannot run does not even load
    {"relaxed", kernels_wasm_relaxed, always},
#elif defined(__wasm_simd128__)
    {"simd128", kernels_wasm_simd, always},
#else
    {"scalar", kernels_scalar, always},
#endif
};

KernelTable choose() {
#if defined(__x86_64__)
  __builtin_cpu_init();
#endif
#if defined(__wasm__)
  const char* const forced = nullptr;   // no environment there, and one build per module
#else
  const char* const forced = getenv("GRAFT_ISA");
#endif
  const Isa* chosen = nullptr;
  for (const Isa& isa : kIsas) {
    if (!isa.available()) continue;
    if (!chosen) chosen = &isa;
    if (forced && strcmp(forced, isa.name) == 0) chosen = &isa;
  }
  KernelTable table{chosen->name, nullptr, 0};
  table.entries = chosen->kernels(&table.count);
  return table;
}

}  // namespace

const KernelTable& kernelTable() {
  static const KernelTable table = choose();
  return table;
}

const KernelEntry* findKernel(const char* name) {
  const KernelTable& table = kernelTable();
  for (int i = 0; i < table.count; i++)
    if (strcmp(table.entries[i].name, name) == 0) return &table.entries[i];
  return nullptr;
}

}  // namespace graft
