#include "pool.h"

#include <sched.h>
#include <time.h>

#include "cores.h"

namespace graft {
namespace {

// A thread that is woken needs about 50 microseconds to arrive; between two steps of a plan the next job usually comes sooner than that.
constexpr int64_t kSpinNanoseconds = 40000;

thread_local int insideWorker = -1;   // the worker that this thread is while it runs a chunk: a nested loop then runs in place

void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

int64_t now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return int64_t(t.tv_sec) * 1000000000 + t.tv_nsec;
}

}  // namespace

void Pool::start(int threads) {
  if (threads < 1) threads = 1;
  if (threads > kMaxThreads) threads = kMaxThreads;
  stopping_ = false;
  scratch_.push_back(std::make_unique<Block>());
  for (int i = 1; i < threads; i++) {
    auto worker = std::make_unique<Worker>(Worker{this, i, gate_.load() >> 16, {}});
    auto entry = [](void* argument) -> void* {
      Worker& self = *static_cast<Worker*>(argument);
      self.pool->serve(self);
      return nullptr;
    };
    // pthread_create rather than std::thread: where the system allows no more threads it says so, and the engine runs with fewer.
    if (pthread_create(&worker->thread, nullptr, entry, worker.get()) != 0) break;
    workers_.push_back(std::move(worker));
    scratch_.push_back(std::make_unique<Block>());
  }
  threads_ = int(scratch_.size());
}

void Pool::stop() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (auto& worker : workers_) pthread_join(worker->thread, nullptr);
  workers_.clear();
  scratch_.clear();
}

void Pool::setThreads(int threads) {
  if (threads == this->threads()) return;
  stop();
  start(threads);
}

void Pool::work(int worker) {
  const int64_t stride = grain_ * claim_;
  insideWorker = worker;
  for (;;) {
    const int64_t from = next_.fetch_add(stride, std::memory_order_relaxed);
    if (from >= count_) break;
    const int64_t to = count_ - from < stride ? count_ : from + stride;
    for (int64_t begin = from; begin < to; begin += grain_) body_(state_, begin, to - begin < grain_ ? to : begin + grain_, worker);
  }
  insideWorker = -1;
}

void Pool::parallelFor(int64_t count, int64_t grain, Body body, void* state) {
  if (count <= 0) return;
  if (grain < 1) grain = 1;
  if (workers_.empty() || insideWorker >= 0 || count <= grain) {
    const int self = insideWorker >= 0 ? insideWorker : 0;
    const int before = insideWorker;
    insideWorker = self;
    for (int64_t begin = 0; begin < count; begin += grain) body(state, begin, count - begin < grain ? count : begin + grain, self);
    insideWorker = before;
    return;
  }
  // Many tiny chunks are claimed several at a time, but every thread still gets about 16 turns, which evens out a busy machine.
  const int64_t chunks = (count - 1) / grain + 1;
  claim_ = chunks / (int64_t(threads()) * 16);
  if (claim_ < 1) claim_ = 1;
  count_ = count;
  grain_ = grain;
  body_ = body;
  state_ = state;
  next_.store(0, std::memory_order_relaxed);
  left_.store(0, std::memory_order_relaxed);
  const uint64_t job = (gate_.load(std::memory_order_relaxed) >> 16) + 1;
  gate_.store(job << 16 | kOpen);
  if (sleeping_.load() > 0) {
    { std::lock_guard<std::mutex> lock(mutex_); }   // a worker between its last look at the gate and its sleep would miss the call
    wake_.notify_all();
  }
  work(0);
  const int entered = int(gate_.fetch_and(~kOpen) & kEntered);
  for (int spins = 0; left_.load(std::memory_order_acquire) != entered; spins++) {
    if (spins < 20000) relax();
    else sched_yield();   // more threads than free cores: let the one that holds the last chunk run
  }
}

void Pool::serve(Worker& worker) {
  int64_t idleSince = now();
  auto jobIsNew = [&](uint64_t gate) { return (gate & kOpen) && gate >> 16 != worker.lastJob; };
  for (int spins = 0;; spins++) {
    uint64_t gate = gate_.load();
    if (jobIsNew(gate)) {
      if (!gate_.compare_exchange_weak(gate, gate + 1)) continue;
      worker.lastJob = gate >> 16;
      work(worker.index);
      left_.fetch_add(1, std::memory_order_release);
      idleSince = now();
      continue;
    }
    if (stopping_.load(std::memory_order_relaxed)) return;
    relax();
    if ((spins & 63) != 0 || now() - idleSince < kSpinNanoseconds) continue;
    std::unique_lock<std::mutex> lock(mutex_);
    sleeping_.fetch_add(1);
    wake_.wait(lock, [&] { return stopping_.load() || jobIsNew(gate_.load()); });
    sleeping_.fetch_sub(1);
    idleSince = now();
  }
}

}  // namespace graft
