#include "engine.h"

#include "cores.h"

namespace graft {

Engine::Engine() : pool(defaultThreads()) {}

Engine& engine() {
  static Engine* const shared = new Engine;
  return *shared;
}

}  // namespace graft
