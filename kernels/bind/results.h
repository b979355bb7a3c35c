// Memory of results: typed arrays on blocks outside the JavaScript heap, and how a block comes back.
//
// Each block is an ArrayBuffer that stays with this file; a result is a view on it, and once nobody holds the view the block serves the next result of
// its size. So V8 sees memory grow only where it does: a buffer for every result of 64 MiB would have it collect the whole heap for each of them.
// That a view is dead is known when the garbage collector has seen it, for which a loop of steps would wait too long, while the system clears new pages
// for it (a millisecond for 10 MiB). So where no block is left, the young generation is collected (a fifth of a millisecond), and weak references tell
// at once which views have gone. Views that grew old wait for V8's own full collections, and are looked at where the young
// ones give nothing.
#pragma once
#define NAPI_VERSION 8
#include <node_api.h>
#include <stdint.h>

#include <vector>

#include "../core/memory.h"

namespace graft {

class Results {
 public:
  static Results& ofThread() {
    static thread_local Results results;
    return results;
  }

  // A view of `length` elements whose content is anything, or nullptr where there is no memory. `collect`, a function or undefined, collects the young
  // generation.
  napi_value allocate(napi_env env, napi_typedarray_type type, size_t length, size_t elementBytes, napi_value collect) {
    if (length > kMostBytes / elementBytes) return nullptr;
    const size_t bytes = resultBytes(length * elementBytes);
    Block* block = take(bytes);
    since_ += bytes;
    if (!block && since_ >= patience_ && lookForDead(env, collect)) block = take(bytes);
    if (!block) block = make(env, bytes);
    napi_value buffer = nullptr, view = nullptr;
    if (!block) return nullptr;
    if (napi_get_reference_value(env, block->buffer, &buffer) == napi_ok && napi_create_typedarray(env, type, length, buffer, 0, &view) == napi_ok && lend(env, block, view)) return view;
    give(env, block);
    return nullptr;
  }

  ~Results() {
    for (Block* block : kept_) release(block);
  }

 private:
  static constexpr size_t kMostBytes = size_t(1) << 46;
  static constexpr size_t kLeastPatience = size_t(16) << 20;     // bytes of results before a collection is worth its time
  static constexpr size_t kMostPatience = size_t(64) << 20;      // where they find nothing because results are held
  static constexpr int kRounds = 2;                              // collections after which V8 takes an object for an old one
  static constexpr size_t kKeptBlocks = 128;
  static constexpr size_t kKeptBytes = size_t(256) << 20;

  struct Block {
    void* memory;          // nullptr when it is V8's own, or was freed
    size_t bytes;
    napi_ref buffer;       // strong
    int holders;           // the buffer's finaliser, and who may lend it
  };

  struct Loan {
    Block* block;          // nullptr once it came back
    napi_ref view;         // weak
    std::vector<Loan*>* list;   // young_, old_, or nullptr once it came back
    size_t place;          // in the list
    int rounds;
  };

  static void release(Block* block) {
    if (--block->holders == 0) delete block;
  }

  Block* take(size_t bytes) {
    for (size_t i = kept_.size(); i-- > 0;) {
      Block* block = kept_[i];
      if (block->bytes != bytes) continue;
      kept_.erase(kept_.begin() + ptrdiff_t(i));
      keptBytes_ -= bytes;
      used_ += bytes;
      return block;
    }
    return nullptr;
  }

  // What is kept gives way to what is new: both together never are more than what was in use at once.
  Block* make(napi_env env, size_t bytes) {
    void* memory = allocateResult(bytes);
    if (!memory) return nullptr;
    Block* block = new Block{memory, bytes, nullptr, 2};
    napi_value buffer = nullptr;
    const napi_status status = napi_create_external_arraybuffer(env, memory, bytes, freeBuffer, block, &buffer);
    bool made = status == napi_ok;
    if (!made) {   // hosts that keep all buffers inside V8's own cage (Electron) refuse external memory: then an ordinary buffer has to do
      void* own = nullptr;
      freeResult(memory, bytes);
      block->memory = nullptr;
      release(block);
      made = status == napi_no_external_buffers_allowed && napi_create_arraybuffer(env, bytes, &own, &buffer) == napi_ok;
    }
    if (!made || napi_create_reference(env, buffer, 1, &block->buffer) != napi_ok) return release(block), nullptr;
    used_ += bytes;
    if (used_ > most_) most_ = used_;
    shrink(env, kKeptBlocks);
    return block;
  }

  bool lend(napi_env env, Block* block, napi_value view) {
    Loan* loan = new Loan{block, nullptr, nullptr, 0, 0};
    if (napi_add_finalizer(env, view, loan, endLoan, nullptr, &loan->view) != napi_ok) return delete loan, false;
    enlist(*loan, &young_);
    return true;
  }

  // The latest first: it may still be in a cache.
  void give(napi_env env, Block* block) {
    used_ -= block->bytes;
    kept_.push_back(block);
    keptBytes_ += block->bytes;
    shrink(env, kKeptBlocks);
  }

  // Frees the blocks that have waited longest.
  void shrink(napi_env env, size_t blocks) {
    size_t gone = 0;
    for (; gone < kept_.size() && (kept_.size() - gone > blocks || keptBytes_ > kKeptBytes || used_ + keptBytes_ > most_); gone++) {
      Block* block = kept_[gone];
      napi_value buffer = nullptr;
      keptBytes_ -= block->bytes;
      if (block->memory && napi_get_reference_value(env, block->buffer, &buffer) == napi_ok && napi_detach_arraybuffer(env, buffer) == napi_ok) {
        freeResult(block->memory, block->bytes);
        block->memory = nullptr;
      }
      napi_delete_reference(env, block->buffer);
      release(block);
    }
    kept_.erase(kept_.begin(), kept_.begin() + ptrdiff_t(gone));
  }

  // Whether it found any block.
  bool lookForDead(napi_env env, napi_value collect) {
    napi_valuetype type;
    napi_value receiver;
    since_ = 0;
    const bool collected = napi_typeof(env, collect, &type) == napi_ok && type == napi_function && napi_get_undefined(env, &receiver) == napi_ok &&
                           napi_call_function(env, receiver, collect, 0, nullptr, nullptr) == napi_ok;
    const bool found = collected && (takeBack(env, young_) || takeBack(env, old_));
    if (found) patience_ = kLeastPatience;
    else if (patience_ < kMostPatience) patience_ *= 2;
    return found;
  }

  bool takeBack(napi_env env, std::vector<Loan*>& loans) {
    napi_handle_scope scope;
    if (napi_open_handle_scope(env, &scope) != napi_ok) return false;
    bool found = false;
    for (size_t i = loans.size(); i-- > 0;) {
      Loan& loan = *loans[i];
      napi_value view = nullptr;
      if (napi_get_reference_value(env, loan.view, &view) != napi_ok) continue;
      if (!view) found = true, give(env, end(loan));
      else if (++loan.rounds == kRounds) enlist(loan, &old_);
    }
    napi_close_handle_scope(env, scope);
    return found;
  }

  Block* end(Loan& loan) {
    Block* block = loan.block;
    loan.block = nullptr;
    enlist(loan, nullptr);
    return block;
  }

  static void enlist(Loan& loan, std::vector<Loan*>* list) {
    if (loan.list) {
      Loan* last = loan.list->back();
      (*loan.list)[last->place = loan.place] = last;
      loan.list->pop_back();
    }
    loan.list = list;
    if (!list) return;
    loan.place = list->size();
    list->push_back(&loan);
  }

  static void endLoan(napi_env env, void* data, void*) {
    Loan* loan = static_cast<Loan*>(data);
    if (Block* block = ofThread().end(*loan)) ofThread().give(env, block);
    napi_delete_reference(env, loan->view);
    delete loan;
  }

  // When the process or its thread of JavaScript ends, and after shrink().
  static void freeBuffer(napi_env, void*, void* data) {
    Block* block = static_cast<Block*>(data);
    if (block->memory) freeResult(block->memory, block->bytes);
    block->memory = nullptr;
    release(block);
  }

  std::vector<Block*> kept_;          // the latest last
  std::vector<Loan*> young_, old_;
  size_t keptBytes_ = 0;
  size_t used_ = 0, most_ = 0;        // bytes lent, now and at most
  size_t since_ = 0, patience_ = kLeastPatience;   // bytes lent since the young generation was collected
};

}  // namespace graft
