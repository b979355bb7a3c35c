// Runs start in the order in which JavaScript asked for them, whichever thread they land on: a plan may read what an earlier one wrote.
#pragma once
#include <stdint.h>

#include <condition_variable>
#include <mutex>
#include <set>

namespace graft {

class RunQueue {
 public:
  uint64_t enter() {
    std::lock_guard<std::mutex> lock(mutex_);
    return last_++;
  }

  void awaitTurn(uint64_t ticket) {
    std::unique_lock<std::mutex> lock(mutex_);
    turn_.wait(lock, [&] { return current_ == ticket; });
  }

  // Also for a ticket whose turn never came because its run was cancelled.
  void leave(uint64_t ticket) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (ticket != current_) {
      early_.insert(ticket);
      return;
    }
    current_++;
    while (!early_.empty() && *early_.begin() == current_) {
      early_.erase(early_.begin());
      current_++;
    }
    turn_.notify_all();
  }

  void awaitIdle() {
    std::unique_lock<std::mutex> lock(mutex_);
    turn_.wait(lock, [&] { return current_ == last_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable turn_;
  uint64_t last_ = 0, current_ = 0;
  std::set<uint64_t> early_;
};

}  // namespace graft
