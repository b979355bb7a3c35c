#include "pool.h"

#include "cores.h"

namespace graft {
namespace {

// A thread that is woken needs about 50 microseconds to arrive; between two steps of a plan the next job usually comes sooner than that.
constexpr int64_t kSpinNanoseconds = 40000;

thread_local int insideWorker = -1;   // the worker that this thread is while it runs a chunk: a nested loop then runs in place

}  // namespace

void Pool::start(int threads) {
  if (threads < 1) threads = 1;
  if (threads > kMaxThreads) threads = kMaxThreads;
  scratch_.push_back(std::make_unique<Block>());
  for (int i = 1; i < threads; i++) {
    auto worker = std::make_unique<Worker>(this, i, gate_.load() >> 16);
    auto serve = [](void* argument) {
      Worker& self = *static_cast<Worker*>(argument);
      self.pool->serve(self);
    };
    if (!worker->thread.start(serve, worker.get())) break;
    workers_.push_back(std::move(worker));
    scratch_.push_back(std::make_unique<Block>());
  }
  threads_ = int(scratch_.size());
}

void Pool::stop() {
  for (auto& worker : workers_) worker->retired = true;
  bell_.ring();
  for (auto& worker : workers_) {
    worker->thread.join();
#if defined(__wasm__)
    (void)worker.release();   // a few bytes that a thread still on its way will look at
#endif
  }
  workers_.clear();
  scratch_.clear();
}

void Pool::setThreads(int threads) {
  if (threads == this->threads()) return;
  stop();
  start(threads);
}

void Pool::work(int worker) {
  insideWorker = worker;
  const int own = int(int64_t(worker) * shareCount_ / threads());
  for (int k = 0; k < shareCount_; k++) {
    Share& share = shares_[(own + k) % shareCount_];
    while (share.next.load(std::memory_order_relaxed) < share.end) {
      const int64_t from = share.next.fetch_add(claim_, std::memory_order_relaxed);
      for (int64_t chunk = from; chunk < from + claim_ && chunk < share.end; chunk++) {
        const int64_t begin = chunk * grain_;
        body_(state_, begin, count_ - begin < grain_ ? count_ : begin + grain_, worker);
      }
    }
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
  shareCount_ = threads() < kMaxShares ? threads() : kMaxShares;
  const int64_t share = chunks / shareCount_, longer = chunks % shareCount_;
  for (int64_t i = 0, begin = 0; i < shareCount_; i++) {
    shares_[i].next.store(begin, std::memory_order_relaxed);
    shares_[i].end = begin += share + (i < longer);
  }
  left_.store(0, std::memory_order_relaxed);
  const uint64_t job = (gate_.load(std::memory_order_relaxed) >> 16) + 1;
  gate_.store(job << 16 | kOpen);
  bell_.ring();
  work(0);
  const int entered = int(gate_.fetch_and(~kOpen) & kEntered);
  for (int spins = 0; left_.load(std::memory_order_acquire) != entered; spins++) {
    if (spins < 20000) relax();
    else yieldCore();   // more threads than free cores: let the one that holds the last chunk run
  }
}

void Pool::serve(Worker& worker) {
  int64_t idleSince = nowNanoseconds();
  auto jobIsNew = [&](uint64_t gate) { return (gate & kOpen) && gate >> 16 != worker.lastJob; };
  for (int spins = 0;; spins++) {
    uint64_t gate = gate_.load();
    if (worker.retired.load()) return;   // after the look at the gate: a retired worker never enters a job that was opened later
    if (jobIsNew(gate)) {
      if (!gate_.compare_exchange_weak(gate, gate + 1)) continue;
      worker.lastJob = gate >> 16;
      work(worker.index);
      left_.fetch_add(1, std::memory_order_release);
      idleSince = nowNanoseconds();
      continue;
    }
    relax();
    if ((spins & 63) != 0 || nowNanoseconds() - idleSince < kSpinNanoseconds) continue;
    bell_.waitUntil([&] { return worker.retired.load() || jobIsNew(gate_.load()); });
    idleSince = nowNanoseconds();
  }
}

}  // namespace graft
