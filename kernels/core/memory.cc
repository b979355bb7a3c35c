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

}  // namespace graft
