// What all plans of the process share: one arena, one thread pool, and the lock that lets one plan run at a time.
#pragma once
#include <atomic>

#include "memory.h"
#include "pool.h"
#include "threads.h"

namespace graft {

struct Engine {
  Lock runLock;
  Block arena;
  Pool pool;
  std::atomic<bool> profile{false};
  Engine();
};

// Made on first use and never destroyed: at exit the workers may still be asleep inside it.
Engine& engine();

}  // namespace graft
