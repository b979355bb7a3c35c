// What the engine needs of threads, on a system that has them and in WebAssembly, where the host starts them (bind/wasm.cc) and a thread waits at an
// address of the memory that all of them share.
#pragma once
#include <stdint.h>

#include <atomic>

#if !defined(__wasm__)
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include <condition_variable>
#include <mutex>
#endif

namespace graft {

#if defined(__wasm__)

extern "C" __attribute__((import_module("graft"), import_name("now"))) double graft_now(void);   // nanoseconds
inline int64_t nowNanoseconds() { return int64_t(graft_now()); }

class Lock {
 public:
  void lock() {
    while (held_.exchange(1)) __builtin_wasm_memory_atomic_wait32(address(), 1, -1);
  }
  void unlock() {
    held_.store(0);
    __builtin_wasm_memory_atomic_notify(address(), 1);
  }

 private:
  int* address() { return reinterpret_cast<int*>(&held_); }
  std::atomic<int> held_{0};
};

// Threads sleep here until `ready` holds; whoever makes it true rings afterwards.
class Doorbell {
 public:
  template <class F> void waitUntil(const F& ready) {
    sleeping_.fetch_add(1);
    for (int before = rings_.load(); !ready(); before = rings_.load()) __builtin_wasm_memory_atomic_wait32(reinterpret_cast<int*>(&rings_), before, -1);
    sleeping_.fetch_sub(1);
  }
  void ring() {
    if (sleeping_.load() == 0) return;
    rings_.fetch_add(1);
    __builtin_wasm_memory_atomic_notify(reinterpret_cast<int*>(&rings_), UINT32_MAX);
  }

 private:
  std::atomic<int> rings_{0}, sleeping_{0};
};

// A thread that the host started runs body(argument). Nobody waits for its end: the host may not even have begun to start it when it is to go.
class Thread {
 public:
  bool start(void (*body)(void*), void* argument);
  void join() {}
};

inline void relax() {}

extern std::atomic<bool> threadFailed;   // a thread trapped in the middle of its work, which will never be done

// Lets another thread run, where there are more of them than cores.
inline void yieldCore() {
  if (threadFailed.load(std::memory_order_relaxed)) __builtin_trap();
  int nobody = 0;
  __builtin_wasm_memory_atomic_wait32(&nobody, 0, 20000);   // nanoseconds
}

#else

using Lock = std::mutex;

class Doorbell {
 public:
  template <class F> void waitUntil(const F& ready) {
    std::unique_lock<std::mutex> lock(mutex_);
    sleeping_.fetch_add(1);
    wake_.wait(lock, ready);
    sleeping_.fetch_sub(1);
  }
  void ring() {
    if (sleeping_.load() == 0) return;
    { std::lock_guard<std::mutex> lock(mutex_); }   // a thread between its last look and its sleep would miss the call
    wake_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<int> sleeping_{0};
};

class Thread {
 public:
  // pthread_create rather than std::thread: where the system allows no more threads it says so, and the engine runs with fewer.
  bool start(void (*body)(void*), void* argument) {
    body_ = body;
    argument_ = argument;
    auto entry = [](void* self) -> void* {
      Thread& thread = *static_cast<Thread*>(self);
      thread.body_(thread.argument_);
      return nullptr;
    };
    return pthread_create(&thread_, nullptr, entry, this) == 0;
  }
  void join() { pthread_join(thread_, nullptr); }

 private:
  void (*body_)(void*) = nullptr;
  void* argument_ = nullptr;
  pthread_t thread_;
};

inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

inline void yieldCore() { sched_yield(); }

inline int64_t nowNanoseconds() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return int64_t(t.tv_sec) * 1000000000 + t.tv_nsec;
}

#endif

// std::lock_guard is not there in a C++ library without threads.
class Guard {
 public:
  explicit Guard(Lock& lock) : lock_(lock) { lock_.lock(); }
  ~Guard() { lock_.unlock(); }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

 private:
  Lock& lock_;
};

}  // namespace graft
