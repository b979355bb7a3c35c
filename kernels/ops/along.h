// The walk that gather and scatter share: every index names a place along one dimension of x, its other coordinates are its own.
#pragma once
#include "lines.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace along {

struct Walk {
  lines::Lines index;            // around the dimension
  int rank, dim;
  bool plain;                    // x has the index's sizes in all other dimensions
  int64_t shape[kMaxRank];       // of the index
  int64_t stride[kMaxRank];      // of x
};

// False unless the index has x's rank and is nowhere longer than x but along `dim`.
static inline bool bind(Walk& w, const View& x, const View& index, int64_t dim) {
  if (x.rank != index.rank || index.dtype != DType::I32) return false;
  w.rank = x.rank;
  w.dim = int(dim);
  w.index = lines::linesOf(index, w.dim);
  w.plain = lines::sameSizes(x, index, w.dim);
  int64_t step = 1;
  for (int d = x.rank - 1; d >= 0; d--) {
    if (d != w.dim && index.shape[d] > x.shape[d]) return false;
    w.shape[d] = index.shape[d];
    w.stride[d] = step;
    step *= x.shape[d];
  }
  return true;
}

// Where a line of the index begins in x.
static inline int64_t start(const Walk& w, int64_t o, int64_t i, int64_t size) {
  if (w.plain) return o * size * w.index.inner + i;
  int64_t at = 0;
  for (int d = w.rank - 1; d > w.dim; d--) {
    at += i % w.shape[d] * w.stride[d];
    i /= w.shape[d];
  }
  for (int d = w.dim - 1; d >= 0; d--) {
    at += o % w.shape[d] * w.stride[d];
    o /= w.shape[d];
  }
  return at;
}

// Calls body(position, place) for every index in parallel; `size` is x's size along the dimension. Indices of one line come in order and, unless
// `cut` is set, from one thread: two lines never name the same place.
template <class F>
static inline void each(const Context& context, const Walk& w, const int32_t* index, int64_t size, bool cut, const F& body) {
  constexpr int64_t kLines = 64;
  const int64_t piece = cut ? 16384 : lines::larger(w.index.size, 1);
  if (w.index.inner == 1 && w.stride[w.dim] == 1) {   // lines whose elements are neighbours
    const int64_t length = w.index.size, perLine = lines::ceilDiv(length, piece);
    parallelFor(context, w.index.outer * perLine, lines::larger(1, 8192 / lines::larger(lines::smaller(piece, length), 1)), [&](int64_t begin, int64_t end, int) {
      for (int64_t item = begin; item < end; item++) {
        const int64_t o = item / perLine, low = item % perLine * piece, high = lines::smaller(length, low + piece), from = o * length, to = start(w, o, 0, size);
        for (int64_t k = low; k < high; k++) body(from + k, to + index[from + k]);
      }
    });
    return;
  }
  const int64_t block = w.index.inner == 1 ? 1 : kLines;
  const int64_t lineCount = w.index.outer * w.index.inner, blocks = lines::ceilDiv(lineCount, block), pieces = lines::ceilDiv(w.index.size, piece);
  const int64_t cost = block * lines::smaller(piece, lines::larger(w.index.size, 1));
  parallelFor(context, blocks * pieces, lines::larger(1, 8192 / cost), [&](int64_t begin, int64_t end, int) {
    int64_t from[kLines], to[kLines];
    for (int64_t item = begin; item < end; item++) {
      const int64_t first = item / pieces * block, count = lines::smaller(block, lineCount - first);
      const int64_t low = item % pieces * piece, high = lines::smaller(w.index.size, low + piece);
      for (int64_t l = 0; l < count; l++) {
        const int64_t o = (first + l) / w.index.inner, i = (first + l) % w.index.inner;
        from[l] = o * w.index.size * w.index.inner + i;
        to[l] = start(w, o, i, size);
      }
      const int64_t step = w.stride[w.dim];
      for (int64_t k = low; k < high; k++)
        for (int64_t l = 0; l < count; l++) {
          const int64_t position = from[l] + k * w.index.inner;
          body(position, to[l] + index[position] * step);
        }
    }
  });
}

}  // namespace along
}  // namespace GRAFT_ISA_NS
}  // namespace graft
