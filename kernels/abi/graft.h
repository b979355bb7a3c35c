// The C ABI between a host (Node-API, WebAssembly) and the kernels. It does not grow with ops:
// an op reaches the kernels as a name and numbers inside a plan.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct GraftPlan GraftPlan;

// Version of the plan encoding; the host refuses an addon whose version differs from its own.
int32_t graft_abi_version(void);

// Decodes and checks a plan (layout: kernels/abi/encoding.md). `names` holds every kernel and opcode name that `code` refers to by
// index. Returns NULL and writes a message to `error` when the plan is malformed or names a kernel that does not exist.
GraftPlan* graft_plan_load(const double* code, size_t length, const char* const* names, size_t nameCount, char* error, size_t errorLength);

// Runs a plan. `slots[i]` is the memory of external buffer i, `slotBytes[i]` its size. Returns 0, or nonzero with a message in `error`
// (an index out of range, memory that could not be had). Plans run one at a time; a second caller waits.
// When `checkFinite` is nonzero the run stops after the first step that wrote NaN or Inf and returns -(step + 1).
int32_t graft_plan_run(GraftPlan* plan, void* const* slots, const size_t* slotBytes, size_t slotCount, int32_t checkFinite, char* error, size_t errorLength);

// Nanoseconds spent in each step of the last run that was profiled (graft_set_profile(1)); returns the number of steps.
size_t graft_plan_times(GraftPlan* plan, double* nanoseconds, size_t capacity);
void graft_plan_free(GraftPlan* plan);

int32_t graft_has_kernel(const char* name);
const char* graft_isa(void);               // "avx512", "avx2", "neon", "scalar"
void graft_set_threads(int32_t count);     // results do not depend on it
int32_t graft_threads(void);
void graft_set_profile(int32_t on);

#ifdef __cplusplus
}
#endif
