// What the C ABI needs besides itself in WebAssembly (scripts/build-wasm.mjs exports it with graft.h): memory for the host, and threads from the host.
#include "../abi/graft.h"
#include "../core/cores.h"
#include "../core/memory.h"
#include "../core/threads.h"

extern "C" {

// Asks the host for a thread: one more instance of this module on the same memory, with a stack of its own, that calls graft_thread(start).
__attribute__((import_module("graft"), import_name("start_thread"))) int32_t graft_start_thread(void* start);

__attribute__((export_name("graft_thread"))) void graft_thread(void* start);
__attribute__((export_name("graft_thread_failed"))) void graft_thread_failed(void) { graft::threadFailed = true; }   // called by a host whose thread trapped
__attribute__((export_name("graft_allocate"))) void* graft_allocate(size_t bytes) { return graft::allocateResult(bytes); }
__attribute__((export_name("graft_free"))) void graft_free(void* memory, size_t bytes) { graft::freeResult(memory, bytes); }

}  // extern "C"

namespace graft {
namespace {

struct Start {
  void (*body)(void*);
  void* argument;
};

}  // namespace

std::atomic<bool> threadFailed{false};

// The host knows how many cores there are (graft_set_threads).
int defaultThreads() { return 1; }

bool Thread::start(void (*body)(void*), void* argument) {
  Start* const start = new Start{body, argument};   // the thread's own from here on, see Thread::join
  if (graft_start_thread(start)) return true;
  delete start;
  return false;
}

}  // namespace graft

void graft_thread(void* start) {
  const graft::Start& own = *static_cast<graft::Start*>(start);
  own.body(own.argument);
}
