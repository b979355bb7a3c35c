// The scores of a tile. They exist only as tiles, so memory grows with the length, not with its square (Dao et al., "FlashAttention", 2022). A tile has a row for
// each of up to kKeys keys, and its queries lie in the lanes, a panel of up to kPanel at a time: maxima, sums and factors of queries are then whole vectors.
#pragma once
#include "attention_panel.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace attention {

// c[rows, cols] (+)= a b. Columns are whole vectors, or b is packed.
template <class T> static inline void product(T* c, int64_t ldc, int64_t rows, int64_t cols, const gemm::Side<T>& a, const gemm::Side<T>& b, int64_t steps, bool add) {
  gemm::multiply<T>(c, ldc, rows, cols, a, b, steps, add, static_cast<T*>(nullptr), gemm::Ahead{});
}

// Panel g of queries [r0, r0 + n), whose panels were packed at `queries`; and packing n rows of x as panels, for queries and what else has a row for each.
template <class T> static inline Panel<T> panelOf(const Problem& p, const T* queries, int64_t b, int64_t h, int64_t r0, int64_t n, int64_t g) {
  const int64_t first = g * kPanel<T>;
  return {b, h, r0 + first, rows::smaller(kPanel<T>, n - first), queries + first * p.E};
}
template <class T> static inline void packPanels(T* to, const Rows<T>& x, DType dtype, int64_t r0, int64_t n, int64_t cols) {
  for (int64_t i = 0; i < n; i += kPanel<T>) gemm::packB(to + i * cols, cols, 0, x.byColumns(dtype), r0 + i, rows::smaller(kPanel<T>, n - i), 0, cols);
}

// body(count) with the number of vectors of a panel as a constant, so that what it keeps for each stays in registers.
template <int most, class F> static inline void withVectors(int64_t vectors, const F& body) {
  if (vectors == most) return body(rows::Count<most>());
  if constexpr (most > 1) withVectors<most - 1>(vectors, body);
}

// s[key][query] for keys [j, j + n), rows `ld` apart; minus infinity where blocked. They stay unscaled: e^(scale s - x) costs no more than e^(s - x).
template <class T> static inline void scores(T* s, int64_t ld, int64_t n, const Problem& p, const Panel<T>& panel, const Rows<T>& k, int64_t j, bool masked) {
  product(s, ld, n, panel.width(), k.left(j), gemm::Side<T>::packed(panel.queries, p.E, 0), p.E, false);
  if (p.causal)
    for (int64_t i = rows::larger(panel.t + 1 - j, 0); i < n; i++)
      for (int64_t c = 0; c < rows::smaller(j + i - panel.t, panel.count); c++) s[i * ld + c] = -T(__builtin_inf());
  if (masked) blockMasked(s, ld, n, p, panel, j);
}

}  // namespace attention
}  // namespace GRAFT_ISA_NS
}  // namespace graft
