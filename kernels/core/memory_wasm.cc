// memory.h for WebAssembly (in place of memory.cc): no pages to choose, and an allocator that knows nothing of threads.
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "threads.h"

namespace graft {
namespace {

constexpr size_t kMost = SIZE_MAX - (size_t(1) << 20);   // keeps the rounding and the allocator's own additions free of overflow

Lock lock;

void* allocate(size_t bytes) {
  if (bytes > kMost) return nullptr;
  const Guard guard(lock);
  return aligned_alloc(kAlignment, ((bytes ? bytes : 1) + kAlignment - 1) / kAlignment * kAlignment);
}

}  // namespace

void* allocateAligned(size_t bytes) {
  void* memory = allocate(bytes);
  if (memory) memset(memory, 0, bytes);
  return memory;
}

void freeAligned(void* memory, size_t) {
  const Guard guard(lock);
  free(memory);
}

void* allocateResult(size_t bytes) { return allocate(bytes); }

void freeResult(void* memory, size_t bytes) { freeAligned(memory, bytes); }

}  // namespace graft
