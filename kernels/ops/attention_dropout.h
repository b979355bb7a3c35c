// Dropout of attention weights, made again from its key wherever a tile needs it: nothing of the size [T, S] is stored between the passes.
// The weight of key k for query row r = (b H + h) T + t is word k % 4 of block r ceil(S / 4) + k / 4 (philox.h): kept where it is at least p, times 1 / (1 - p).
#pragma once
#include "attention_tile.h"
#include "philox.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace attention {

// The factors of one tile: row i for key j + i, kWide apart, with the panel's queries in its lanes.
template <class T> class Dropout {
 public:
  static constexpr int64_t kWide = (kPanel<T> + philox::L - 1) / philox::L * philox::L;

  explicit Dropout(const Problem& p) : p_(p), threshold_(float(p.dropout)), scale_(p.dropout < 1 ? float(1 / (1 - p.dropout)) : 0) {}

  // For keys [j, j + n), j a multiple of 4.
  void fill(const Panel<T>& panel, int64_t j, int64_t n) {
    const int64_t row = (panel.b * p_.H + panel.h) * p_.T + panel.t;
    for (int64_t i = 0; i < n; i += 4 * kBlocks) {
      uint64_t first[kSide];
      VecU c[4][kSide];
      for (int s = 0; s < kSide; s++) first[s] = uint64_t((row + s % kVectors * philox::L) * p_.randomBlocks + (j + i) / 4 + s / kVectors);
      philox::rounds<kSide>(first, uint32_t(p_.randomBlocks), p_.key, c);
      for (int s = 0; s < kSide; s++)
        for (int w = 0; w < 4; w++) write(factor_ + (i + s / kVectors * 4 + w) * kWide + s % kVectors * philox::L, philox::upperBits(c[w][s]) * 0x1p-24f);
    }
  }
  const T* row(int64_t i) const { return factor_ + i * kWide; }

 private:
  static constexpr int kVectors = int(kWide) / philox::L, kBlocks = kVectors >= 4 || GRAFT_VEC_BYTES == 16 ? 1 : 4 / kVectors, kSide = kVectors * kBlocks;   // side by side: see philox::rounds
  static_assert(kKeys % (4 * kBlocks) == 0, "blocks are whole");

  void write(T* to, VecF uniform) const {
    const VecF factor = uniform >= threshold_ ? VecF{} + scale_ : VecF{};
    for (int l = 0; l < philox::L; l++) to[l] = T(factor[l]);
  }

  const Problem& p_;
  const float threshold_, scale_;
  alignas(64) T factor_[kKeys * kWide];
};

}  // namespace attention
}  // namespace GRAFT_ISA_NS
}  // namespace graft
