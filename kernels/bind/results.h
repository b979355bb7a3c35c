// Memory of results: typed arrays on blocks outside the JavaScript heap, and how a block comes back.
//
// A result is a view on a block, and once nobody holds the view the block serves the next result of its size. That a view is dead is known when the garbage
// collector has seen it, for which a loop of steps would wait too long, while the system clears new pages for it (a millisecond for 10 MiB). So where no
// block is left, the young generation is collected (a fifth of a millisecond), and weak references tell at once which views have gone. Views that grew old
// need a full collection: V8's own, or one that takes place here when much memory is new.
#pragma once
#define NAPI_VERSION 8
#include <node_api.h>
#include <stdint.h>

#include <vector>

#include "blocks.h"

namespace graft {

class Results {
 public:
  static Results& ofThread() {
    static thread_local Results results;
    return results;
  }

  // A view of `length` elements whose content is anything, or nullptr where there is no memory. `collect`, a function or undefined, collects the young
  // generation, or called with true all garbage.
  napi_value allocate(napi_env env, napi_typedarray_type type, size_t length, size_t elementBytes, napi_value collect) {
    if (length > kMostBytes / elementBytes) return nullptr;
    const size_t bytes = resultBytes(length * elementBytes);
    since_ += bytes;
    const bool due = !looked_ && since_ >= patience_;
    // The block of a view that has just died may still be in a cache, which one that was kept from busier times is not.
    const bool collected = due && bytes <= kCached && collectYoung(env, collect);
    ResultBlock* block = take(bytes);
    if (!block && due && !collected) {
      const bool found = (bytes > kCached && collectYoung(env, collect)) || (made_ >= kCollectFrom && made_ >= floor_ / 2 && collectAll(env, collect));
      if (found) block = take(bytes);
    }
    if (!block) block = make(env, bytes);
    napi_value buffer = nullptr, view = nullptr;
    if (!block) return nullptr;
    if (napi_get_reference_value(env, block->region->buffer, &buffer) == napi_ok && napi_create_typedarray(env, type, length, buffer, block->offset, &view) == napi_ok &&
        lend(env, block, view))
      return view;
    give(env, block);
    return nullptr;
  }

  // A run takes place. Between two runs the young generation is collected once at most: what a second time finds alive is old, as the graph would be that
  // is about to be computed, and what is old and dead holds its results until the next full collection.
  void runs() { looked_ = false; }

  ~Results() {
    for (ResultBlock* block : kept_) Blocks::drop(block);
  }

 private:
  static constexpr size_t kMostBytes = size_t(1) << 46;
  static constexpr size_t kLeastPatience = size_t(16) << 20;     // bytes of results before a collection is worth its time
  static constexpr size_t kCached = size_t(16) << 20;            // bytes of a block that may still be in a cache when it comes back
  static constexpr size_t kMostPatience = size_t(64) << 20;      // where they find nothing because results are held
  static constexpr size_t kCollectFrom = size_t(256) << 20;      // bytes of new blocks before a full collection, and half of what the last one left
  static constexpr int kRounds = 2;                              // collections after which V8 takes an object for an old one
  static constexpr size_t kKeptBlocks = 128;
  static constexpr size_t kKeptBytes = size_t(256) << 20;

  struct Loan {
    ResultBlock* block;         // nullptr once it came back
    napi_ref view;              // weak
    std::vector<Loan*>* list;   // young_, old_, or nullptr once it came back
    size_t place;               // in the list
    int rounds;
  };

  ResultBlock* take(size_t bytes) {
    for (size_t i = kept_.size(); i-- > 0;) {
      ResultBlock* block = kept_[i];
      if (block->bytes != bytes) continue;
      kept_.erase(kept_.begin() + ptrdiff_t(i));
      keptBytes_ -= bytes;
      used_ += bytes;
      return block;
    }
    return nullptr;
  }

  // What is kept gives way to what is new: both together never are more than what was in use at once.
  ResultBlock* make(napi_env env, size_t bytes) {
    ResultBlock* block = blocks_.make(env, bytes);
    if (!block) return nullptr;
    used_ += bytes;
    made_ += bytes;
    if (used_ > most_) most_ = used_;
    shrink(env);
    return block;
  }

  bool lend(napi_env env, ResultBlock* block, napi_value view) {
    Loan* loan = new Loan{block, nullptr, nullptr, 0, 0};
    if (napi_add_finalizer(env, view, loan, endLoan, nullptr, &loan->view) != napi_ok) return delete loan, false;
    enlist(*loan, &young_);
    return true;
  }

  // The latest first: it may still be in a cache.
  void give(napi_env env, ResultBlock* block) {
    used_ -= block->bytes;
    kept_.push_back(block);
    keptBytes_ += block->bytes;
    shrink(env);
  }

  // Frees the blocks that have waited longest.
  void shrink(napi_env env) {
    size_t gone = 0;
    for (; gone < kept_.size() && (kept_.size() - gone > kKeptBlocks || keptBytes_ > kKeptBytes || used_ + keptBytes_ > most_); gone++) {
      keptBytes_ -= kept_[gone]->bytes;
      Blocks::free(env, kept_[gone]);
    }
    kept_.erase(kept_.begin(), kept_.begin() + ptrdiff_t(gone));
  }

  // Whether it found any block.
  bool collectYoung(napi_env env, napi_value collect) {
    since_ = 0;
    looked_ = true;
    const bool found = call(env, collect, false) && takeBack(env, young_);
    if (found) patience_ = kLeastPatience;
    else if (patience_ < kMostPatience) patience_ *= 2;
    return found;
  }

  bool collectAll(napi_env env, napi_value collect) {
    const bool called = call(env, collect, true), young = called && takeBack(env, young_), old = called && takeBack(env, old_);
    made_ = 0;
    floor_ = used_;
    return young || old;
  }

  static bool call(napi_env env, napi_value collect, bool all) {
    napi_valuetype type;
    napi_value receiver, argument;
    return napi_typeof(env, collect, &type) == napi_ok && type == napi_function && napi_get_undefined(env, &receiver) == napi_ok &&
           napi_get_boolean(env, all, &argument) == napi_ok && napi_call_function(env, receiver, collect, 1, &argument, nullptr) == napi_ok;
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

  ResultBlock* end(Loan& loan) {
    ResultBlock* block = loan.block;
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
    if (ResultBlock* block = ofThread().end(*loan)) ofThread().give(env, block);
    napi_delete_reference(env, loan->view);
    delete loan;
  }

  Blocks blocks_;
  std::vector<ResultBlock*> kept_;    // the latest last
  std::vector<Loan*> young_, old_;
  size_t keptBytes_ = 0;
  size_t used_ = 0, most_ = 0;        // bytes lent, now and at most
  size_t made_ = 0, floor_ = 0;       // bytes of new blocks since the last full collection, and lent when it ended
  bool looked_ = false;               // for dead young views, since the last run
  size_t since_ = 0, patience_ = kLeastPatience;   // bytes lent since the young generation was collected, and from how many on it is again
};

}  // namespace graft
