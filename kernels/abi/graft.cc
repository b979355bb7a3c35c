#include "graft.h"

#include <stdio.h>

#include "../core/engine.h"
#include "../core/finite.h"
#include "../core/isa.h"
#include "../core/plan.h"

using namespace graft;

namespace {

bool slotsFit(const GraftPlan& plan, void* const* slots, const size_t* slotBytes, size_t slotCount, char* error, size_t errorLength) {
  if (slotCount != plan.slots.size()) {
    snprintf(error, errorLength, "run: the plan has %zu slots, %zu were given", plan.slots.size(), slotCount);
    return false;
  }
  for (size_t i = 0; i < slotCount; i++) {
    const SlotNeed& need = plan.slots[i];
    if (need.bytes == 0) continue;
    if (uint64_t(need.bytes) > slotBytes[i] || !slots[i]) {
      snprintf(error, errorLength, "run: slot %zu has %zu bytes, the plan needs %lld", i, slots[i] ? slotBytes[i] : 0, (long long)need.bytes);
      return false;
    }
    if (reinterpret_cast<uintptr_t>(slots[i]) % uintptr_t(need.alignment) != 0) {
      snprintf(error, errorLength, "run: slot %zu is not aligned to %lld bytes", i, (long long)need.alignment);
      return false;
    }
  }
  return true;
}

void resolve(GraftPlan& plan, char* arena, void* const* slots) {
  for (View& view : plan.views) {
    if (view.buffer == -2) continue;
    char* base = view.buffer == -1 ? arena : static_cast<char*>(slots[view.buffer]);
    view.data = base ? base + view.offset : nullptr;   // a slot may be empty where every view of it is
  }
}

bool outputsAreFinite(const Step& step) {
  for (int i = 0; i < step.outCount; i++)
    if (!isFinite(step.out[i])) return false;
  return true;
}

}  // namespace

int32_t graft_abi_version(void) { return 1; }

GraftPlan* graft_plan_load(const double* code, size_t length, const char* const* names, size_t nameCount, char* error, size_t errorLength) {
  return decodePlan(code, length, names, nameCount, error, errorLength);
}

int32_t graft_plan_run(GraftPlan* plan, void* const* slots, const size_t* slotBytes, size_t slotCount, int32_t checkFinite, char* error, size_t errorLength) {
  if (!slotsFit(*plan, slots, slotBytes, slotCount, error, errorLength)) return 1;
  Engine& shared = engine();
  const Guard guard(shared.runLock);
  char* arena = static_cast<char*>(shared.arena.ensure(uint64_t(plan->arenaBytes)));
  if (!arena) {
    snprintf(error, errorLength, "run: the plan needs %.1f MiB of working memory, which could not be had", double(plan->arenaBytes) / 1048576.0);
    return 1;
  }
  resolve(*plan, arena, slots);
  Context context;
  context.parallelFor = [](void* pool, int64_t count, int64_t grain, void (*body)(void*, int64_t, int64_t, int), void* state) {
    static_cast<Pool*>(pool)->parallelFor(count, grain, body, state);
  };
  context.scratch = [](void* pool, int worker, uint64_t bytes) { return static_cast<Pool*>(pool)->scratch(worker, bytes); };
  context.pool = &shared.pool;
  context.threads = shared.pool.threads();
  context.error = error;
  context.errorLength = errorLength;
  const bool profile = shared.profile.load(std::memory_order_relaxed);
  int64_t before = profile ? nowNanoseconds() : 0;
  if (errorLength) error[0] = 0;
  for (size_t i = 0; i < plan->steps.size(); i++) {
    const PlanStep& entry = plan->steps[i];
    if (entry.run(entry.step, context) != 0) {
      if (errorLength && !error[0]) snprintf(error, errorLength, "%s: step %zu failed", entry.name, i);
      return 1;
    }
    if (profile) {
      const int64_t after = nowNanoseconds();
      plan->nanoseconds[i] = double(after - before);
      before = after;
    }
    if (checkFinite) {
      if (!outputsAreFinite(entry.step)) return -int32_t(i) - 1;
      if (profile) before = nowNanoseconds();
    }
  }
  return 0;
}

size_t graft_plan_times(GraftPlan* plan, double* nanoseconds, size_t capacity) {
  const Guard guard(engine().runLock);
  for (size_t i = 0; i < plan->nanoseconds.size() && i < capacity; i++) nanoseconds[i] = plan->nanoseconds[i];
  return plan->nanoseconds.size();
}

void graft_plan_free(GraftPlan* plan) { delete plan; }

int32_t graft_has_kernel(const char* name) { return findKernel(name) != nullptr; }

const char* graft_isa(void) { return kernelTable().isa; }

void graft_set_threads(int32_t count) {
  const Guard guard(engine().runLock);
  engine().pool.setThreads(count);
}

int32_t graft_threads(void) { return engine().pool.threads(); }

void graft_set_profile(int32_t on) { engine().profile = on != 0; }
