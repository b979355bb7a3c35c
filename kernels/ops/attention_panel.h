// What a panel of queries sees of a tile of keys. Masks of causality, windows, padding and packed samples block whole tiles: nothing is computed for those, and
// of the others only the keys that some query of the panel sees.
#pragma once
#include "../simd/basic.h"
#include "attention.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace attention {

constexpr int64_t kQueries = 128, kKeys = 64;             // of a task, of a tile
template <class T> constexpr int64_t kPanel = gemm::kCols<T>;
template <class T> constexpr int64_t kWidth = (kQueries + kPanel<T> - 1) / kPanel<T> * kPanel<T>;   // of the panels of a task, side by side

// Queries [t, t + count) of head h of batch b, packed for the product with keys, with zeros up to whole vectors.
template <class T> struct Panel {
  int64_t b, h, t, count;
  const T* queries;
  int64_t width() const { return gemm::wholeVectors<T>(count); }
};

// Rows or columns [from, to) of a tile.
struct Span {
  int64_t from, to;
  int64_t count() const { return to - from; }
  bool isEmpty() const { return from >= to; }
  bool meets(const Span& x) const { return from < x.to && x.from < to; }
  bool operator==(const Span& x) const { return from == x.from && to == x.to; }
  Span with(const Span& x) const { return isEmpty() ? x : x.isEmpty() ? *this : Span{rows::smaller(from, x.from), rows::larger(to, x.to)}; }
};

// The first to the last key of a tile that some query of the panel sees; whole where the mask blocks none of those for any query.
struct Seen {
  Span keys;
  bool whole;
};

constexpr uint64_t kTopBits = 0x8080808080808080u;
typedef VecN<uint64_t, kKeys / 8> TileBytes;   // a byte for each key of a tile

// The top bit of each byte that is not 0.
template <class V> static inline V holds(V bytes) { return (((bytes & ~kTopBits) + ~kTopBits) | bytes) & kTopBits; }

// The mask of one query: n bytes `step` apart, then zeros.
template <class V> static inline V maskBytes(const uint8_t* allowed, int64_t step, int64_t n) {
  V bytes{};
  if (step == 1 && n >= int64_t(sizeof bytes)) { memcpy(&bytes, allowed, sizeof bytes); return bytes; }
  uint8_t each[sizeof bytes] = {};
  for (int64_t i = 0; i < rows::smaller(n, sizeof bytes); i++) each[i] = allowed[i * step];
  memcpy(&bytes, each, sizeof bytes);
  return bytes;
}

template <class T> static const uint8_t* maskOf(const Problem& p, const Panel<T>& panel, int64_t j) {
  const View& m = *p.mask;
  return static_cast<const uint8_t*>(m.data) + panel.b * m.stride[0] + panel.h * m.stride[1] + panel.t * m.stride[2] + j * m.stride[3];
}

// Of the n keys from j on. The first one is a multiple of 8.
template <class T> static inline Seen seenOf(const Problem& p, const Panel<T>& panel, int64_t j, int64_t n) {
  const int64_t visible = p.visible(panel.t + panel.count - 1, j, n);
  if (!p.mask || visible == 0) return {{0, visible}, true};
  const int64_t query = p.mask->stride[2], key = p.mask->stride[3], different = query == 0 ? 1 : panel.count;
  const uint8_t* allowed = maskOf(p, panel, j);
  TileBytes some{}, all = TileBytes{} + kTopBits;
  for (int64_t c = 0; c < different; c++, allowed += query) {
    const TileBytes bytes = holds(maskBytes<TileBytes>(allowed, key, visible));
    some |= bytes;
    all &= bytes;
  }
  int64_t low = 0, high = kKeys / 8 - 1;
  while (low <= high && some[low] == 0) low++;
  if (low > high) return {{0, 0}, true};
  while (some[high] == 0) high--;
  const int64_t from = 8 * low, to = 8 * high + 8 - __builtin_clzll(some[high]) / 8;
  bool whole = true;
  for (int64_t i = low; i <= high; i++) {
    const uint64_t wanted = to - 8 * i >= 8 ? kTopBits : kTopBits >> 8 * (8 - (to - 8 * i));
    whole = whole && (all[i] & wanted) == wanted;
  }
  return {{from, to}, whole};
}

// Byte c of word r and byte r of word c change places: blocks of 4x4 bytes, of 2x2, single ones.
static inline void transposeBytes(uint64_t (&w)[8]) {
  const auto exchange = [&](int apart, uint64_t low) {
    for (int i = 0; i < 8; i++) {
      if (i & apart) continue;
      const uint64_t moved = (w[i] >> 8 * apart ^ w[i + apart]) & low;
      w[i + apart] ^= moved;
      w[i] ^= moved << 8 * apart;
    }
  };
  exchange(4, 0x00000000ffffffffu);
  exchange(2, 0x0000ffff0000ffffu);
  exchange(1, 0x00ff00ff00ff00ffu);
}

static inline VecF allowedOr(VecF x, VecN<uint8_t, kLanes<float>> allowed, float other) { return convert<VecI>(allowed) != 0 ? x : broadcast(other); }
static inline VecD allowedOr(VecD x, VecN<uint8_t, kLanes<double>> allowed, double other) { return convert<VecL>(allowed) != 0 ? x : broadcast(other); }

// Minus infinity where the mask blocks one of n keys from j on for a query: s[key][query], rows `ld` apart. The mask has queries in its rows, so it is transposed.
template <class T> static void blockMasked(T* s, int64_t ld, int64_t n, const Problem& p, const Panel<T>& panel, int64_t j) {
  constexpr int L = kLanes<T>;
  const int64_t query = p.mask->stride[2], key = p.mask->stride[3];
  const uint8_t* const allowed = maskOf(p, panel, j);
  uint8_t across[8][(kPanel<T> + 7) / 8 * 8];
  for (int64_t i = 0; i < n; i += 8) {
    for (int64_t c = 0; c < panel.width(); c += 8) {
      uint64_t w[8];
      for (int r = 0; r < 8; r++) w[r] = c + r < panel.count ? maskBytes<uint64_t>(allowed + (c + r) * query + i * key, key, n - i) : 0;
      transposeBytes(w);
      for (int r = 0; r < 8; r++) memcpy(across[r] + c, &w[r], 8);
    }
    for (int64_t r = 0; r < rows::smaller(8, n - i); r++)
      for (int64_t c = 0; c < panel.width(); c += L) {
        VecN<uint8_t, L> keep;
        memcpy(&keep, across[r] + c, L);
        T* const row = s + (i + r) * ld + c;
        store(row, allowedOr(load(row), keep, -T(__builtin_inf())));
      }
  }
}

}  // namespace attention
}  // namespace GRAFT_ISA_NS
}  // namespace graft
