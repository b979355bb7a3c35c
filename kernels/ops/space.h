// The iteration space of a step and the strides of its views in it, brought to as few dimensions as possible, the best one for the inner loop last.
#pragma once
#include "../core/kernel.h"
#include "../core/opcodes.h"
#include "../simd/vec.h"

namespace graft {
namespace GRAFT_ISA_NS {

struct Space {
  int rank = 0;
  int operandCount = 0;
  int64_t shape[kMaxRank];
  int8_t group[kMaxRank];                              // dimensions of different groups are never merged
  int64_t stride[kMaxProgramViews][kMaxRank];          // in elements
};

namespace space {

static inline int64_t magnitude(int64_t x) { return x < 0 ? -x : x; }

// Dimension d of every view becomes a dimension of the space unless its size is 1.
static inline void addDimension(Space& s, int64_t size, int group) {
  s.shape[s.rank] = size;
  s.group[s.rank] = int8_t(group);
  s.rank++;
}

static inline void swapDimensions(Space& s, int d, int e) {
  const int64_t n = s.shape[d];
  s.shape[d] = s.shape[e], s.shape[e] = n;
  const int8_t g = s.group[d];
  s.group[d] = s.group[e], s.group[e] = g;
  for (int o = 0; o < s.operandCount; o++) {
    const int64_t t = s.stride[o][d];
    s.stride[o][d] = s.stride[o][e], s.stride[o][e] = t;
  }
}

// Larger strides outside. The operands vote in the order first, first + 1, ... (cyclic); one that is broadcast along either dimension abstains.
static inline void sortByStride(Space& s, int first) {
  for (int i = 1; i < s.rank; i++)
    for (int d = i; d > 0; d--) {
      int vote = 0;
      for (int k = 0; k < s.operandCount && vote == 0; k++) {
        const int64_t* stride = s.stride[(first + k) % s.operandCount];
        const int64_t outer = magnitude(stride[d - 1]), inner = magnitude(stride[d]);
        if (outer != 0 && inner != 0 && outer != inner) vote = outer < inner ? 1 : -1;
      }
      if (vote <= 0) break;
      swapDimensions(s, d - 1, d);
    }
}

// Merges neighbours of one group that every operand walks as one dimension.
static inline void merge(Space& s) {
  int kept = 0;
  for (int d = 1; d < s.rank; d++) {
    bool joined = s.group[d] == s.group[kept];
    for (int o = 0; o < s.operandCount && joined; o++) joined = s.stride[o][kept] == s.stride[o][d] * s.shape[d];
    if (joined) {
      s.shape[kept] *= s.shape[d];
      for (int o = 0; o < s.operandCount; o++) s.stride[o][kept] = s.stride[o][d];
    } else if (++kept != d) {
      s.shape[kept] = s.shape[d];
      s.group[kept] = s.group[d];
      for (int o = 0; o < s.operandCount; o++) s.stride[o][kept] = s.stride[o][d];
    }
  }
  if (s.rank > 0) s.rank = kept + 1;
}

}  // namespace space
}  // namespace GRAFT_ISA_NS
}  // namespace graft
