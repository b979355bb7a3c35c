// The thread pool. One job at a time: a job is a range cut into chunks of `grain` items. Every thread has a share of them, so that what it wrote in one step of
// a plan it mostly reads in the next, and takes from the others' shares when its own is done. Which thread runs a chunk is left to chance, where a chunk
// begins and ends is not: so results depend on sizes only.
#pragma once
#include <stdint.h>

#include <atomic>
#include <memory>
#include <vector>

#include "memory.h"
#include "threads.h"

namespace graft {

class Pool {
 public:
  using Body = void (*)(void* state, int64_t begin, int64_t end, int worker);

  explicit Pool(int threads) { start(threads); }
  ~Pool() { stop(); }

  // Call these two only while no job runs (graft.cc holds the run lock).
  void setThreads(int threads);
  int threads() const { return threads_.load(std::memory_order_relaxed); }

  void parallelFor(int64_t count, int64_t grain, Body body, void* state);
  void* scratch(int worker, uint64_t bytes) { return scratch_[size_t(worker)]->ensure(bytes); }

 private:
  struct Worker {
    Pool* pool;
    int index;
    uint64_t lastJob;
    std::atomic<bool> retired{false};   // looked at before a job is entered: in WebAssembly nobody waits for the thread's end
    Thread thread;
    Worker(Pool* pool_, int index_, uint64_t lastJob_) : pool(pool_), index(index_), lastJob(lastJob_) {}
  };

  void start(int threads);
  void stop();
  void work(int worker);
  void serve(Worker& worker);

  // The gate of the current job: number << 16 | open << 15 | workers that entered. A worker that wakes late finds the gate shut and can
  // never touch a job that is over, so the caller need not wait for sleepers.
  static constexpr uint64_t kOpen = uint64_t(1) << 15, kEntered = kOpen - 1;
  alignas(64) std::atomic<uint64_t> gate_{0};
  struct alignas(64) Share {
    std::atomic<int64_t> next{0};   // the first chunk that nobody has claimed
    int64_t end = 0;
  };
  static constexpr int kMaxShares = 16;   // looking at more of them would cost more than sharing one costs
  Share shares_[kMaxShares];
  int shareCount_ = 1;
  alignas(64) std::atomic<int> left_{0};
  alignas(64) int64_t count_ = 0;
  int64_t grain_ = 1, claim_ = 1;
  Body body_ = nullptr;
  void* state_ = nullptr;

  std::atomic<int> threads_{1};   // may be asked at any time, unlike the rest
  Doorbell bell_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::unique_ptr<Block>> scratch_;
};

}  // namespace graft
