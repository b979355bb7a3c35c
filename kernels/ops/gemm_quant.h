// A matrix operand stored in blocks of few bits, unpacked while it is packed: value e (row by row) is table[code e] * scale of block e / blockSize.
#pragma once
#include "gemm_kernel.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace gemm {

struct Quantised {
  const uint8_t* codes;
  const float* scales;            // one per block; or NULL where the scales are stored in 8 bits themselves:
  const uint8_t* scaleCodes;      // scale = second[0] + second[1 + block / 256] * (code - 128)
  const float* second;
  const void* table;              // of T: 256 values (8 bits), or the 256 pairs of values that a byte of two codes stands for (4 bits, the first in the upper half)
  int bits, shift;                // blockSize = 1 << shift
};

constexpr double kUnpackCycles = 0.8;  // per value, beside what packing costs anyhow (measured, Zen 3)

template <class T> static GRAFT_FORCE_INLINE T scaleOf(const Quantised& q, int64_t block) {
  return q.scales ? T(q.scales[block]) : T(q.second[0]) + T(q.second[1 + (block >> 8)]) * T(int(q.scaleCodes[block]) - 128);
}

// dst[i] = value e + i for i < n.
template <class T> static void unpack(T* dst, const Quantised& q, int64_t e, int64_t n) {
  const T* const table = static_cast<const T*>(q.table);
  while (n > 0) {
    const int64_t block = e >> q.shift, end = (block + 1) << q.shift, count = end - e < n ? end - e : n;
    const T scale = scaleOf<T>(q, block);
    int64_t i = 0;
    if (q.bits == 8) {
      for (; i < count; i++) dst[i] = table[q.codes[e + i]];
    } else {
      if (e & 1) dst[0] = table[2 * q.codes[e >> 1] + 1], i = 1;
      const uint8_t* code = q.codes + ((e + i) >> 1);
      for (; i + 2 <= count; i += 2) memcpy(dst + i, table + 2 * *code++, 2 * sizeof(T));
      if (i < count) dst[i] = table[2 * *code];
    }
    for (i = 0; i + kLanes<T> <= count; i += kLanes<T>) store(dst + i, load(dst + i) * broadcast(scale));
    for (; i < count; i++) dst[i] *= scale;
    dst += count, e += count, n -= count;
  }
}

}  // namespace gemm
}  // namespace GRAFT_ISA_NS
}  // namespace graft
