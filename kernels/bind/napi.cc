// The C ABI for Node.js. Every mistake in an argument becomes a JavaScript exception.
#define NAPI_VERSION 8
#include <node_api.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <memory>
#include <string>
#include <vector>

#include "../abi/graft.h"
#include "queue.h"
#include "results.h"

namespace {

constexpr size_t kErrorBytes = 512;
constexpr uint32_t kMaxSlots = 1u << 20;
constexpr uint64_t kPlanMark = 0x67726166742d706cu;   // tells a plan's handle from another addon's external

graft::RunQueue& queue() {
  static graft::RunQueue* const shared = new graft::RunQueue;   // never destroyed: a worker may still hold a ticket at exit
  return *shared;
}

struct Handle {
  uint64_t mark;
  GraftPlan* plan;
};

napi_value undefined(napi_env env) {
  napi_value value = nullptr;
  napi_get_undefined(env, &value);
  return value;
}

napi_value raise(napi_env env, const char* message) {
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (!pending) napi_throw_error(env, "GRAFT_NATIVE", message);
  return nullptr;
}

napi_value raiseType(napi_env env, const char* message) {
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (!pending) napi_throw_type_error(env, "GRAFT_NATIVE", message);
  return nullptr;
}

napi_value number(napi_env env, double value) {
  napi_value result = nullptr;
  napi_create_double(env, value, &result);
  return result;
}

// Missing arguments arrive as undefined and fail the check of their type.
template <size_t N>
void arguments(napi_env env, napi_callback_info info, napi_value (&values)[N]) {
  size_t count = N;
  napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
}

struct Memory {
  void* data = nullptr;
  size_t bytes = 0;
};

bool memoryOf(napi_env env, napi_value value, Memory* memory) {
  static const uint8_t kElementBytes[] = {1, 1, 1, 2, 2, 4, 4, 4, 8, 8, 8};   // by napi_typedarray_type
  napi_typedarray_type type;
  size_t length;
  if (napi_get_typedarray_info(env, value, &type, &length, &memory->data, nullptr, nullptr) == napi_ok) {
    if (size_t(type) >= sizeof kElementBytes) return false;
    memory->bytes = length * kElementBytes[type];
    return true;
  }
  if (napi_get_dataview_info(env, value, &memory->bytes, &memory->data, nullptr, nullptr) == napi_ok) return true;
  return napi_get_arraybuffer_info(env, value, &memory->data, &memory->bytes) == napi_ok;
}

GraftPlan* planOf(napi_env env, napi_value value) {
  void* data = nullptr;
  napi_valuetype type;
  if (napi_typeof(env, value, &type) != napi_ok || type != napi_external || napi_get_value_external(env, value, &data) != napi_ok || !data) return nullptr;
  const Handle* handle = static_cast<const Handle*>(data);
  return handle->mark == kPlanMark ? handle->plan : nullptr;
}

struct Slots {
  std::vector<void*> data;
  std::vector<size_t> bytes;

  // Keeps its capacity from run to run: a small plan must not pay for allocations.
  bool read(napi_env env, napi_value list) {
    uint32_t count;
    if (napi_get_array_length(env, list, &count) != napi_ok) return raiseType(env, "run: the slots must be an array of typed arrays"), false;
    if (count > kMaxSlots) return raiseType(env, "run: too many slots"), false;
    data.resize(count);
    bytes.resize(count);
    napi_handle_scope scope;
    if (napi_open_handle_scope(env, &scope) != napi_ok) return raise(env, "run: no handle scope"), false;
    uint32_t i = 0;
    for (; i < count; i++) {
      napi_value element;
      Memory memory;
      if (napi_get_element(env, list, i, &element) != napi_ok || !memoryOf(env, element, &memory)) break;
      data[i] = memory.data;
      bytes[i] = memory.bytes;
    }
    napi_close_handle_scope(env, scope);
    if (i == count) return true;
    char message[96];
    snprintf(message, sizeof message, "run: slot %u is not a typed array, DataView or ArrayBuffer", i);
    return raiseType(env, message), false;
  }
};

bool flag(napi_env env, napi_value value) {
  napi_value boolean;
  bool result = false;
  if (napi_coerce_to_bool(env, value, &boolean) == napi_ok) napi_get_value_bool(env, boolean, &result);
  return result;
}

bool text(napi_env env, napi_value value, std::string* result) {
  size_t length;
  if (napi_get_value_string_utf8(env, value, nullptr, 0, &length) != napi_ok) return false;
  result->resize(length + 1);
  if (napi_get_value_string_utf8(env, value, &(*result)[0], length + 1, &length) != napi_ok) return false;
  result->resize(length);
  return true;
}

napi_value abiVersion(napi_env env, napi_callback_info) { return number(env, graft_abi_version()); }

napi_value isa(napi_env env, napi_callback_info) {
  napi_value result = nullptr;
  napi_create_string_utf8(env, graft_isa(), NAPI_AUTO_LENGTH, &result);
  return result;
}

napi_value threads(napi_env env, napi_callback_info) { return number(env, graft_threads()); }

napi_value setThreads(napi_env env, napi_callback_info info) {
  napi_value values[1];
  arguments(env, info, values);
  double count;
  if (napi_get_value_double(env, values[0], &count) != napi_ok || !(count >= 1 && count <= 1e6)) return raiseType(env, "setThreads: expected a number of threads from 1 on");
  queue().awaitIdle();
  graft_set_threads(int32_t(count));
  return undefined(env);
}

napi_value setProfile(napi_env env, napi_callback_info info) {
  napi_value values[1];
  arguments(env, info, values);
  graft_set_profile(flag(env, values[0]));
  return undefined(env);
}

napi_value hasKernel(napi_env env, napi_callback_info info) {
  napi_value values[1], result = nullptr;
  arguments(env, info, values);
  std::string name;
  if (!text(env, values[0], &name)) return raiseType(env, "hasKernel: expected a name");
  napi_get_boolean(env, graft_has_kernel(name.c_str()), &result);
  return result;
}

napi_value loadPlan(napi_env env, napi_callback_info info) {
  napi_value values[2];
  arguments(env, info, values);
  napi_typedarray_type type;
  size_t length;
  void* code = nullptr;
  if (napi_get_typedarray_info(env, values[0], &type, &length, &code, nullptr, nullptr) != napi_ok || type != napi_float64_array)
    return raiseType(env, "loadPlan: expected the plan as a Float64Array");
  uint32_t count;
  if (napi_get_array_length(env, values[1], &count) != napi_ok) return raiseType(env, "loadPlan: expected the names as an array of strings");
  std::vector<std::string> names;
  for (uint32_t i = 0; i < count; i++) {
    napi_value element;
    std::string name;
    if (napi_get_element(env, values[1], i, &element) != napi_ok || !text(env, element, &name)) return raiseType(env, "loadPlan: expected the names as an array of strings");
    names.push_back(std::move(name));
  }
  std::vector<const char*> pointers;
  for (const std::string& name : names) pointers.push_back(name.c_str());
  char error[kErrorBytes] = "";
  GraftPlan* plan = graft_plan_load(static_cast<const double*>(code), length, pointers.data(), count, error, sizeof error);
  if (!plan) return raise(env, error);
  Handle* handle = new Handle{kPlanMark, plan};
  auto finalize = [](napi_env, void* data, void*) {
    Handle* self = static_cast<Handle*>(data);
    graft_plan_free(self->plan);
    self->mark = 0;
    delete self;
  };
  napi_value result = nullptr;
  if (napi_create_external(env, handle, finalize, nullptr, &result) != napi_ok) {
    finalize(env, handle, nullptr);
    return raise(env, "loadPlan: the handle could not be made");
  }
  return result;
}

napi_value runSync(napi_env env, napi_callback_info info) {
  napi_value values[3];
  arguments(env, info, values);
  GraftPlan* plan = planOf(env, values[0]);
  if (!plan) return raiseType(env, "run: expected a plan that loadPlan made");
  static thread_local Slots slots;
  if (!slots.read(env, values[1])) return nullptr;
  const bool checkFinite = flag(env, values[2]);
  graft::Results::ofThread().runs();
  char error[kErrorBytes] = "";
  const uint64_t ticket = queue().enter();
  queue().awaitTurn(ticket);
  const int32_t result = graft_plan_run(plan, slots.data.data(), slots.bytes.data(), slots.data.size(), checkFinite, error, sizeof error);
  queue().leave(ticket);
  if (result > 0) return raise(env, error);
  return number(env, result);
}

// One asynchronous run. `kept` holds the plan's handle and every slot's view, so that none is collected while it is in use.
struct AsyncRun {
  GraftPlan* plan = nullptr;
  Slots slots;
  bool checkFinite = false;
  bool done = false;
  uint64_t ticket = 0;
  int32_t result = 0;
  char error[kErrorBytes] = "";
  napi_ref kept = nullptr;
  napi_deferred deferred = nullptr;
  napi_async_work work = nullptr;
};

void executeRun(napi_env, void* data) {
  AsyncRun& run = *static_cast<AsyncRun*>(data);
  queue().awaitTurn(run.ticket);
  run.result = graft_plan_run(run.plan, run.slots.data.data(), run.slots.bytes.data(), run.slots.data.size(), run.checkFinite, run.error, sizeof run.error);
  run.done = true;
  queue().leave(run.ticket);
}

napi_value makeError(napi_env env, const char* message) {
  napi_value code = nullptr, string = nullptr, error = nullptr;
  napi_create_string_utf8(env, "GRAFT_NATIVE", NAPI_AUTO_LENGTH, &code);
  napi_create_string_utf8(env, message, NAPI_AUTO_LENGTH, &string);
  napi_create_error(env, code, string, &error);
  return error;
}

void completeRun(napi_env env, napi_status status, void* data) {
  std::unique_ptr<AsyncRun> run(static_cast<AsyncRun*>(data));
  if (!run->done) {
    queue().leave(run->ticket);   // cancelled before its turn
    snprintf(run->error, sizeof run->error, "run: the run was cancelled");
  }
  if (!run->done || status != napi_ok || run->result > 0) napi_reject_deferred(env, run->deferred, makeError(env, run->error));
  else napi_resolve_deferred(env, run->deferred, number(env, run->result));
  napi_delete_reference(env, run->kept);
  napi_delete_async_work(env, run->work);
}

bool keepAlive(napi_env env, napi_value handle, napi_value list, uint32_t count, napi_ref* kept) {
  napi_value copy, element;
  if (napi_create_array_with_length(env, size_t(count) + 1, &copy) != napi_ok || napi_set_element(env, copy, count, handle) != napi_ok) return false;
  for (uint32_t i = 0; i < count; i++) {
    napi_handle_scope scope;
    if (napi_open_handle_scope(env, &scope) != napi_ok) return false;
    const bool ok = napi_get_element(env, list, i, &element) == napi_ok && napi_set_element(env, copy, i, element) == napi_ok;
    napi_close_handle_scope(env, scope);
    if (!ok) return false;
  }
  return napi_create_reference(env, copy, 1, kept) == napi_ok;
}

napi_value run(napi_env env, napi_callback_info info) {
  napi_value values[3], promise = nullptr, name = nullptr;
  arguments(env, info, values);
  auto run = std::make_unique<AsyncRun>();
  run->plan = planOf(env, values[0]);
  if (!run->plan) return raiseType(env, "run: expected a plan that loadPlan made");
  if (!run->slots.read(env, values[1])) return nullptr;
  run->checkFinite = flag(env, values[2]);
  graft::Results::ofThread().runs();
  if (!keepAlive(env, values[0], values[1], uint32_t(run->slots.data.size()), &run->kept)) return raise(env, "run: the slots could not be kept alive");
  if (napi_create_string_utf8(env, "graft.run", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_create_async_work(env, nullptr, name, executeRun, completeRun, run.get(), &run->work) != napi_ok) {
    napi_delete_reference(env, run->kept);
    return raise(env, "run: no asynchronous work could be made");
  }
  napi_create_promise(env, &run->deferred, &promise);
  run->ticket = queue().enter();
  if (napi_queue_async_work(env, run->work) != napi_ok) {
    completeRun(env, napi_cancelled, run.release());
    return promise;
  }
  run.release();   // completeRun owns it now
  return promise;
}

napi_value waitIdle(napi_env env, napi_callback_info) {
  queue().awaitIdle();
  return undefined(env);
}

napi_value planTimes(napi_env env, napi_callback_info info) {
  napi_value values[1], buffer = nullptr, result = nullptr;
  arguments(env, info, values);
  GraftPlan* plan = planOf(env, values[0]);
  if (!plan) return raiseType(env, "planTimes: expected a plan that loadPlan made");
  const size_t steps = graft_plan_times(plan, nullptr, 0);
  void* data = nullptr;
  if (napi_create_arraybuffer(env, steps * sizeof(double), &data, &buffer) != napi_ok) return raise(env, "planTimes: no memory");
  if (steps) graft_plan_times(plan, static_cast<double*>(data), steps);
  napi_create_typedarray(env, napi_float64_array, steps, buffer, 0, &result);
  return result;
}

// allocate(dtype, length, collect): a typed array whose content is anything; `dtype` as in plans; `collect`: see results.h.
napi_value allocate(napi_env env, napi_callback_info info) {
  static const struct { napi_typedarray_type type; size_t bytes; } kArrays[] = {{napi_float32_array, 4}, {napi_float64_array, 8}, {napi_int32_array, 4}, {napi_uint8_array, 1},
                                                                               {napi_uint8_array, 1}, {napi_uint16_array, 2}, {napi_uint16_array, 2}};
  napi_value values[3];
  arguments(env, info, values);
  uint32_t dtype;
  double length;
  if (napi_get_value_uint32(env, values[0], &dtype) != napi_ok || dtype >= sizeof kArrays / sizeof *kArrays) return raiseType(env, "allocate: expected a dtype");
  if (napi_get_value_double(env, values[1], &length) != napi_ok || !(length >= 0 && length <= 9007199254740991.0)) return raiseType(env, "allocate: expected a number of elements");
  napi_value result = graft::Results::ofThread().allocate(env, kArrays[dtype].type, size_t(length), kArrays[dtype].bytes, values[2]);
  if (result) return result;
  char message[96];
  snprintf(message, sizeof message, "allocate: %.0f bytes could not be had", length * double(kArrays[dtype].bytes));
  return raise(env, message);
}

}  // namespace

NAPI_MODULE_INIT() {
  const struct { const char* name; napi_callback call; } kExports[] = {
      {"abiVersion", abiVersion}, {"isa", isa}, {"threads", threads}, {"setThreads", setThreads}, {"setProfile", setProfile},
      {"hasKernel", hasKernel}, {"loadPlan", loadPlan}, {"runSync", runSync}, {"run", run}, {"waitIdle", waitIdle},
      {"planTimes", planTimes}, {"allocate", allocate},
  };
  for (const auto& entry : kExports) {
    napi_value function;
    if (napi_create_function(env, entry.name, NAPI_AUTO_LENGTH, entry.call, nullptr, &function) != napi_ok ||
        napi_set_named_property(env, exports, entry.name, function) != napi_ok)
      return nullptr;
  }
  return exports;
}
