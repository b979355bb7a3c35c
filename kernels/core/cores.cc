#include "cores.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <thread>

#if defined(__APPLE__)
#include <sys/sysctl.h>
#elif defined(__linux__)
#include <sched.h>
#endif

namespace graft {
namespace {

#if defined(__linux__)
// A core is counted at the lowest-numbered of its hyper-threads that this process may run on.
int coresOfThisProcess() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return 0;
  int cores = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    char path[96];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    FILE* file = fopen(path, "r");
    bool first = true;
    if (file) {
      int from, to;   // "0,64" or "0-1,8-9"
      while (first && fscanf(file, "%d", &from) == 1) {
        to = from;
        int separator = fgetc(file);
        if (separator == '-') {
          if (fscanf(file, "%d", &to) != 1) break;
          separator = fgetc(file);
        }
        for (int sibling = from; sibling <= to && sibling < cpu; sibling++)
          if (sibling >= 0 && CPU_ISSET(sibling, &allowed)) first = false;
        if (separator != ',') break;
      }
      fclose(file);
    }
    cores += first;
  }
  return cores;
}

// A container's CPU quota (cgroup 2): more threads than that would only be throttled.
int quota() {
  FILE* file = fopen("/sys/fs/cgroup/cpu.max", "r");
  if (!file) return kMaxThreads;
  double limit = 0, period = 0;
  const int read = fscanf(file, "%lf %lf", &limit, &period);   // "max 100000" where there is no quota
  fclose(file);
  if (read != 2 || !(limit > 0) || !(period > 0)) return kMaxThreads;
  const double cpus = limit / period + 0.5;
  return cpus < 1 ? 1 : cpus > kMaxThreads ? kMaxThreads : int(cpus);
}
#endif

int physicalCores() {
#if defined(__APPLE__)
  // On Apple silicon only the performance cores: equal shares of work would wait for the efficiency cores.
  for (const char* name : {"hw.perflevel0.physicalcpu", "hw.physicalcpu"}) {
    int cores = 0;
    size_t size = sizeof cores;
    if (sysctlbyname(name, &cores, &size, nullptr, 0) == 0 && cores > 0) return cores;
  }
#elif defined(__linux__)
  const int cores = coresOfThisProcess();
  if (cores > 0) return cores < quota() ? cores : quota();
#endif
  const int cpus = int(std::thread::hardware_concurrency());
  return cpus > 0 ? cpus : 1;
}

}  // namespace

int defaultThreads() {
  const char* wanted = getenv("GRAFT_THREADS");
  if (wanted && *wanted) {
    const long count = strtol(wanted, nullptr, 10);
    if (count >= 1) return count > kMaxThreads ? kMaxThreads : int(count);
  }
  const int cores = physicalCores();
  return cores > kMaxThreads ? kMaxThreads : cores;
}

}  // namespace graft
