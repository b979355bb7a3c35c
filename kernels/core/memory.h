// Memory of the engine: the arena, scratch and tensors all come from here, so that every buffer is 64-byte aligned (one cache line, one
// AVX-512 vector) and large ones use huge pages (a training step touches gigabytes; 4 KiB pages would spend its time in TLB misses).
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace graft {

constexpr size_t kAlignment = 64;

// Returns zeroed memory, or nullptr when there is none. `bytes` may be 0.
void* allocateAligned(size_t bytes);
void freeAligned(void* memory, size_t bytes);   // `bytes` as it was given to allocateAligned

// Memory for what a run writes whole: its content is anything.
size_t resultBytes(size_t bytes);               // what a block for that many bytes really takes
void* allocateResult(size_t bytes);
void freeResult(void* memory, size_t bytes);

// Addresses without memory, a whole number of huge pages and aligned to them; nullptr where there are none. Parts of them get memory, and give it back.
void* reserve(size_t bytes);
void unreserve(void* memory, size_t bytes);
bool commit(void* memory, size_t bytes);
void decommit(void* memory, size_t bytes);

// One block that only grows. Its content is lost when it grows.
class Block {
 public:
  Block() = default;
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  ~Block() { freeAligned(memory_, bytes_); }
  void* ensure(uint64_t bytes) {                // nullptr when memory is short, and where a 32-bit machine has no such number
    if (memory_ && bytes <= bytes_) return memory_;
    freeAligned(memory_, bytes_);
    memory_ = bytes <= SIZE_MAX ? allocateAligned(size_t(bytes)) : nullptr;
    bytes_ = memory_ ? size_t(bytes) : 0;
    return memory_;
  }

 private:
  void* memory_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace graft
