#pragma once

namespace graft {

constexpr int kMaxThreads = 512;

// How many threads compute by default: GRAFT_THREADS when it is set, otherwise the physical cores that this process may use. Two
// hyper-threads of one core share its vector units, so a second one costs more in cache than it gives.
int defaultThreads();

}  // namespace graft
