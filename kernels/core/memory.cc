#include "memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

namespace graft {
namespace {

constexpr size_t kHugePage = size_t(2) << 20;
constexpr size_t kSmallPage = 4096;
constexpr size_t kMapFrom = 2 * kHugePage;      // below this the trimming would cost more than huge pages gain
constexpr size_t kLimit = size_t(1) << 46;      // no machine has more; keeps the roundings below free of overflow

size_t roundUp(size_t value, size_t to) { return (value + to - 1) / to * to; }

void adviseHuge(void* memory, size_t bytes) {
#ifdef MADV_HUGEPAGE
  madvise(memory, bytes, MADV_HUGEPAGE);   // advice only: its failure changes nothing but speed
#endif
}

#ifdef MAP_NORESERVE
constexpr int kNoReserve = MAP_NORESERVE;
#else
constexpr int kNoReserve = 0;
#endif

void* mapAligned(size_t bytes, int protection, int flags) {
  const size_t wanted = roundUp(bytes, kHugePage);
  void* raw = mmap(nullptr, wanted + kHugePage, protection, MAP_PRIVATE | MAP_ANON | flags, -1, 0);
  if (raw == MAP_FAILED) return nullptr;
  const uintptr_t start = reinterpret_cast<uintptr_t>(raw);
  const uintptr_t aligned = roundUp(start, kHugePage);
  const size_t head = aligned - start, tail = kHugePage - head;
  if (head) munmap(raw, head);
  if (tail) munmap(reinterpret_cast<void*>(aligned + wanted), tail);
  return reinterpret_cast<void*>(aligned);
}

void* mapHuge(size_t bytes) {
  void* memory = mapAligned(bytes, PROT_READ | PROT_WRITE, 0);
  if (memory) adviseHuge(memory, roundUp(bytes, kHugePage));
  return memory;
}

}  // namespace

void* allocateAligned(size_t bytes) {
  if (bytes > kLimit) return nullptr;
  if (bytes >= kMapFrom) return mapHuge(bytes);
  const size_t wanted = roundUp(bytes ? bytes : 1, kAlignment);
  void* memory = nullptr;
  if (posix_memalign(&memory, kAlignment, wanted) != 0) return nullptr;
  memset(memory, 0, wanted);
  return memory;
}

void freeAligned(void* memory, size_t bytes) {
  if (!memory) return;
  if (bytes >= kMapFrom) munmap(memory, roundUp(bytes, kHugePage));
  else free(memory);
}

size_t resultBytes(size_t bytes) { return roundUp(bytes ? bytes : 1, bytes >= kMapFrom ? kHugePage : kSmallPage); }

void* allocateResult(size_t bytes) {
  if (bytes > kLimit) return nullptr;
  if (bytes >= kMapFrom) return mapHuge(bytes);
  void* memory = nullptr;
  return posix_memalign(&memory, kAlignment, roundUp(bytes ? bytes : 1, kAlignment)) == 0 ? memory : nullptr;
}

void freeResult(void* memory, size_t bytes) { freeAligned(memory, bytes); }

void* reserve(size_t bytes) { return mapAligned(bytes, PROT_NONE, kNoReserve); }

void unreserve(void* memory, size_t bytes) { munmap(memory, bytes); }

bool commit(void* memory, size_t bytes) {
  if (mmap(memory, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON | MAP_FIXED, -1, 0) == MAP_FAILED) return false;
  adviseHuge(memory, bytes);
  return true;
}

// Where even that fails the memory stays, which does no harm.
void decommit(void* memory, size_t bytes) { mmap(memory, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANON | MAP_FIXED | kNoReserve, -1, 0); }

}  // namespace graft
