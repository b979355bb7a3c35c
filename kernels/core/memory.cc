#include "memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <mutex>

namespace graft {
namespace {

constexpr size_t kHugePage = size_t(2) << 20;
constexpr size_t kMapFrom = 2 * kHugePage;      // below this the trimming would cost more than huge pages gain
constexpr size_t kLimit = size_t(1) << 46;      // no machine has more; keeps the roundings below free of overflow

size_t roundUp(size_t value, size_t to) { return (value + to - 1) / to * to; }

void* mapHuge(size_t bytes) {
  const size_t wanted = roundUp(bytes, kHugePage);
  void* raw = mmap(nullptr, wanted + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
  if (raw == MAP_FAILED) return nullptr;
  const uintptr_t start = reinterpret_cast<uintptr_t>(raw);
  const uintptr_t aligned = roundUp(start, kHugePage);
  const size_t head = aligned - start, tail = kHugePage - head;
  if (head) munmap(raw, head);
  if (tail) munmap(reinterpret_cast<void*>(aligned + wanted), tail);
#ifdef MADV_HUGEPAGE
  madvise(reinterpret_cast<void*>(aligned), wanted, MADV_HUGEPAGE);   // advice only: its failure changes nothing but speed
#endif
  return reinterpret_cast<void*>(aligned);
}

// Freed blocks of results, the latest first. A training step asks for the same few sizes again and again, and memory that is mapped already costs
// nothing, where the system would clear every page anew (a millisecond for 4 MiB).
struct Kept {
  void* memory;
  size_t bytes;   // as mapped: whole huge pages
};

constexpr size_t kKeptBlocks = 64;
constexpr size_t kKeptBytes = size_t(128) << 20;

std::mutex keptLock;
Kept kept[kKeptBlocks];
size_t keptCount = 0, keptBytes = 0;

void* takeKept(size_t bytes) {
  const std::lock_guard<std::mutex> guard(keptLock);
  for (size_t i = keptCount; i-- > 0;) {
    if (kept[i].bytes != bytes) continue;
    void* memory = kept[i].memory;
    memmove(kept + i, kept + i + 1, (--keptCount - i) * sizeof(Kept));
    keptBytes -= bytes;
    return memory;
  }
  return nullptr;
}

// Room is made by unmapping the blocks that have waited longest.
void keep(void* memory, size_t bytes) {
  const std::lock_guard<std::mutex> guard(keptLock);
  size_t gone = 0;
  for (; gone < keptCount && (keptCount - gone == kKeptBlocks || keptBytes + bytes > kKeptBytes); gone++) {
    munmap(kept[gone].memory, kept[gone].bytes);
    keptBytes -= kept[gone].bytes;
  }
  memmove(kept, kept + gone, (keptCount -= gone) * sizeof(Kept));
  kept[keptCount++] = {memory, bytes};
  keptBytes += bytes;
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

void* allocateResult(size_t bytes) {
  if (bytes > kLimit) return nullptr;
  if (bytes >= kMapFrom) {
    void* memory = takeKept(roundUp(bytes, kHugePage));
    return memory ? memory : mapHuge(bytes);
  }
  void* memory = nullptr;
  return posix_memalign(&memory, kAlignment, roundUp(bytes ? bytes : 1, kAlignment)) == 0 ? memory : nullptr;
}

void freeResult(void* memory, size_t bytes) {
  const size_t mapped = roundUp(bytes, kHugePage);
  if (memory && bytes >= kMapFrom && mapped <= kKeptBytes) keep(memory, mapped);
  else freeAligned(memory, bytes);
}

}  // namespace graft
