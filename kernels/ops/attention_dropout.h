// Dropout of attention weights, made again from its key wherever a tile needs it: nothing of the size [T, S] is stored between the passes.
// The weight of key k for query row r = (b H + h) T + t is word k % 4 of block r ceil(S / 4) + k / 4 (philox.h): kept where it is at least p, times 1 / (1 - p).
#pragma once
#include "../simd/transpose.h"
#include "attention.h"
#include "philox.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace attention {

// The factors of the keys of one tile for some query rows at a time.
template <class T> class Dropout {
 public:
  explicit Dropout(const Problem& p) : p_(p), threshold_(float(p.dropout)), scale_(p.dropout < 1 ? float(1 / (1 - p.dropout)) : 0) {}

  // Factors of keys [j, j + kKeys) for query t of head h of batch b. Called for queries in order; `i` counts them from 0.
  const T* factors(int64_t b, int64_t h, int64_t t, int64_t i, int64_t j) {
    if (i % kRowsAtOnce == 0) fill(uint64_t(((b * p_.H + h) * p_.T + t) * p_.randomBlocks + j / 4));
    return factor_ + i % kRowsAtOnce * kKeys;
  }

 private:
  static constexpr int kBlocks = kKeys / 4, kSide = GRAFT_VEC_BYTES == 64 ? 4 : GRAFT_VEC_BYTES == 32 ? 2 : 1;   // blocks of a row; vectors side by side
  static constexpr int kRowsAtOnce = kSide * philox::L > kBlocks ? kSide * philox::L / kBlocks : 1;
  static_assert(kBlocks % philox::L == 0 && kRowsAtOnce * kBlocks % (kSide * philox::L) == 0, "vectors are whole");

  void fill(uint64_t block) {
    float value[4][kRowsAtOnce * kBlocks];
    for (int at = 0; at < kRowsAtOnce * kBlocks; at += kSide * philox::L) {
      uint64_t first[kSide];
      VecU c[4][kSide];
      for (int s = 0; s < kSide; s++) {
        const int place = at + s * philox::L;
        first[s] = block + uint64_t(place / kBlocks * p_.randomBlocks + place % kBlocks);
      }
      philox::rounds<kSide>(first, p_.key, c);
      for (int w = 0; w < 4; w++)
        for (int s = 0; s < kSide; s++) {
          const VecF uniform = philox::upperBits(c[w][s]) * 0x1p-24f;
          store(value[w] + at + s * philox::L, uniform >= threshold_ ? VecF{} + scale_ : VecF{});
        }
    }
    const float* words[4] = {value[0], value[1], value[2], value[3]};
    if (sizeof(T) == sizeof(float)) return interleave4(words, kRowsAtOnce * kBlocks, reinterpret_cast<float*>(factor_));
    for (int i = 0; i < kRowsAtOnce * kBlocks; i++)
      for (int w = 0; w < 4; w++) factor_[4 * i + w] = T(value[w][i]);
  }

  const Problem& p_;
  const float threshold_, scale_;
  alignas(64) T factor_[kRowsAtOnce * kKeys];
};

}  // namespace attention
}  // namespace GRAFT_ISA_NS
}  // namespace graft
