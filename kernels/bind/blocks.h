// Blocks of memory inside ArrayBuffers, for results.
//
// A large block is a part of a region: one ArrayBuffer over 4 GiB of addresses, of which only what is used has memory behind it. V8 does not count regions:
// it would collect the whole heap for every 64 MiB, and whatever a recorded graph points to would be old from then on and held until the next time.
// A small block, and one where no region can be had, has an ArrayBuffer to itself.
#pragma once
#define NAPI_VERSION 8
#include <node_api.h>
#include <stdint.h>

#include <iterator>
#include <map>
#include <vector>

#include "../core/memory.h"

namespace graft {

// An ArrayBuffer outside the JavaScript heap. Its memory ends with the process, with its thread of JavaScript, or with its only block.
struct Region {
  void* memory;                        // nullptr when it is V8's own, or has ended
  size_t bytes;
  bool shared;                         // cut into blocks
  napi_ref buffer = nullptr;           // strong
  int holders = 1;                     // the buffer's finaliser, and every block
  bool ended = false;
  std::map<size_t, size_t> free = {};  // of a shared one: offset and bytes of what no block has
};

struct ResultBlock {
  Region* region;
  size_t offset, bytes;
};

class Blocks {
 public:
  // A block of `bytes` as resultBytes() rounds them, or nullptr where there is no memory.
  ResultBlock* make(napi_env env, size_t bytes) {
    if (bytes >= kSharedFrom && bytes <= kRegionBytes)
      if (ResultBlock* block = part(env, bytes)) return block;
    Region* region = wrap(env, allocateResult(bytes), bytes, false);
    return region ? new ResultBlock{region, 0, bytes} : nullptr;
  }

  // Gives its memory back to the system.
  static void free(napi_env env, ResultBlock* block) {
    Region* region = block->region;
    if (region->shared && !region->ended) {
      decommit(static_cast<char*>(region->memory) + block->offset, block->bytes);
      unite(region->free, block->offset, block->bytes);
    } else if (!region->ended) {
      napi_value buffer = nullptr;
      if (region->memory && napi_get_reference_value(env, region->buffer, &buffer) == napi_ok && napi_detach_arraybuffer(env, buffer) == napi_ok) {
        freeResult(region->memory, region->bytes);
        region->memory = nullptr;
      }
      napi_delete_reference(env, region->buffer);
    }
    drop(block);
  }

  // Forgets it where its memory ends anyway.
  static void drop(ResultBlock* block) {
    release(block->region);
    delete block;
  }

 private:
  static constexpr size_t kSharedFrom = size_t(4) << 20;
  static constexpr size_t kRegionBytes = (size_t(4) << 30) - (size_t(2) << 20);   // below the longest buffer that Node 20 takes

  static void release(Region* region) {
    if (--region->holders == 0) delete region;
  }

  ResultBlock* part(napi_env env, size_t bytes) {
    for (Region* region : regions_)
      if (ResultBlock* block = cut(region, bytes)) return block;
    if (refused_) return nullptr;
    Region* region = wrap(env, reserve(kRegionBytes), kRegionBytes, true);
    refused_ = !region;
    if (refused_) return nullptr;
    int64_t counted;
    napi_adjust_external_memory(env, -int64_t(kRegionBytes), &counted);
    region->free[0] = kRegionBytes;
    regions_.push_back(region);
    return cut(region, bytes);
  }

  // The first part that is free and large enough.
  static ResultBlock* cut(Region* region, size_t bytes) {
    for (auto at = region->free.begin(); at != region->free.end(); ++at) {
      const size_t offset = at->first, length = at->second;
      if (length < bytes) continue;
      if (!commit(static_cast<char*>(region->memory) + offset, bytes)) return nullptr;
      region->free.erase(at);
      if (length > bytes) region->free[offset + bytes] = length - bytes;
      region->holders++;
      return new ResultBlock{region, offset, bytes};
    }
    return nullptr;
  }

  static void unite(std::map<size_t, size_t>& free, size_t offset, size_t bytes) {
    auto after = free.lower_bound(offset);
    if (after != free.end() && after->first == offset + bytes) {
      bytes += after->second;
      after = free.erase(after);
    }
    if (after != free.begin()) {
      const auto before = std::prev(after);
      if (before->first + before->second == offset) return void(before->second += bytes);
    }
    free[offset] = bytes;
  }

  // Takes the memory over; nullptr when there is none, or V8 takes none.
  Region* wrap(napi_env env, void* memory, size_t bytes, bool shared) {
    if (!memory) return nullptr;
    Region* region = new Region{memory, bytes, shared};
    napi_value buffer = nullptr;
    const napi_status status = napi_create_external_arraybuffer(env, memory, bytes, end, region, &buffer);
    bool made = status == napi_ok;
    if (!made) {   // hosts that keep all buffers inside V8's own cage (Electron) refuse external memory: then an ordinary buffer has to do
      void* own = nullptr;
      giveBack(region);
      made = !shared && status == napi_no_external_buffers_allowed && napi_create_arraybuffer(env, bytes, &own, &buffer) == napi_ok;
      if (!made) return release(region), nullptr;
    }
    if (napi_create_reference(env, buffer, 1, &region->buffer) != napi_ok) {
      if (status != napi_ok) release(region);
      return nullptr;
    }
    if (status == napi_ok && !shared) region->holders++;   // the block; parts of a shared one are counted when they are cut
    return region;
  }

  static void giveBack(Region* region) {
    if (!region->memory) return;
    if (region->shared) unreserve(region->memory, region->bytes);
    else freeResult(region->memory, region->bytes);
    region->memory = nullptr;
  }

  // The buffer's finaliser.
  static void end(napi_env, void*, void* data) {
    Region* region = static_cast<Region*>(data);
    giveBack(region);
    region->ended = true;
    release(region);
  }

  std::vector<Region*> regions_;
  bool refused_ = false;
};

}  // namespace graft
