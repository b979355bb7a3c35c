// What a pooling step pools, checked: planes [.., H, W] and windows over them.
#pragma once
#include "conv_shape.h"

namespace graft {
namespace GRAFT_ISA_NS {
namespace pool {

using conv::larger;
using conv::smaller;

// Window o of a dim covers pixels begin(o) + k * dilation, k < kernel, as far as they are inside the image.
struct Windows {
  int64_t image, count, kernel, stride, pad, dilation;
  int64_t begin(int64_t o) const { return o * stride - pad; }
  int64_t first(int64_t o) const { return begin(o) < 0 ? smaller(kernel, (-begin(o) + dilation - 1) / dilation) : 0; }
  int64_t end(int64_t o) const { return begin(o) >= image ? 0 : smaller(kernel, (image - 1 - begin(o)) / dilation + 1); }
};

struct Problem {
  int64_t planes;
  Windows rows, cols;
  int64_t pixels() const { return rows.image * cols.image; }
  int64_t windows() const { return rows.count * cols.count; }
};

// `image` and `pooled` are views in their roles; attrs: kernel, stride, padding, dilation (height and width each).
static bool describe(Problem& p, const Step& step, const View& image, const View& pooled) {
  if (step.attrCount < 8 || image.rank != 4 || pooled.rank != 4 || image.shape[0] != pooled.shape[0] || image.shape[1] != pooled.shape[1]) return false;
  if (step.in[0].dtype != DType::F32 && step.in[0].dtype != DType::F64) return false;
  p.planes = image.shape[0] * image.shape[1];
  Windows* const dims[] = {&p.rows, &p.cols};
  for (int i = 0; i < 8; i++) if (!(step.attrs[i] >= 0 && step.attrs[i] < double(conv::kLargest))) return false;
  for (int d = 0; d < 2; d++) {
    *dims[d] = {image.shape[2 + d], pooled.shape[2 + d], int64_t(step.attrs[d]), int64_t(step.attrs[2 + d]), int64_t(step.attrs[4 + d]), int64_t(step.attrs[6 + d])};
    if (dims[d]->kernel < 1 || dims[d]->stride < 1 || dims[d]->dilation < 1 || dims[d]->image >= conv::kLargest || dims[d]->count >= conv::kLargest) return false;
  }
  return p.pixels() < conv::kLargest;
}

// Windows of 2 x 2 side by side, all inside the image.
static inline bool isHalving(const Windows& w) { return w.kernel == 2 && w.stride == 2 && w.pad == 0 && w.dilation == 1 && 2 * w.count <= w.image; }

// Even and odd lanes of two neighbouring vectors, and the way back.
#if defined(__clang__)
#define GRAFT_PICK(index, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define GRAFT_PICK(index, a, b, ...) __builtin_shuffle(a, b, index{__VA_ARGS__})
#endif
template <class T> using Lane = typename rows::LaneIndex<T>::type;
template <class T> struct WholeOf;
template <> struct WholeOf<float> { typedef int32_t type; };
template <> struct WholeOf<double> { typedef int64_t type; };
template <class T> using Whole = typename WholeOf<T>::type;   // what a Lane is made of
#if GRAFT_VEC_BYTES == 64
#define GRAFT_PAIRS_OF_16(T) \
  static inline Vec<T> evens(Vec<T> a, Vec<T> b) { return GRAFT_PICK(Lane<T>, a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30); } \
  static inline Vec<T> odds(Vec<T> a, Vec<T> b) { return GRAFT_PICK(Lane<T>, a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31); } \
  static inline Vec<T> zipLow(Vec<T> a, Vec<T> b) { return GRAFT_PICK(Lane<T>, a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23); } \
  static inline Vec<T> zipHigh(Vec<T> a, Vec<T> b) { return GRAFT_PICK(Lane<T>, a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31); }
GRAFT_PAIRS_OF_16(float)
#undef GRAFT_PAIRS_OF_16
#endif
#define GRAFT_PAIRS_OF_8(T) \
  static inline Vec<T> evens(Vec<T> a, Vec<T> b) { return GRAFT_PICK(Lane<T>, a, b, 0, 2, 4, 6, 8, 10, 12, 14); } \
  static inline Vec<T> odds(Vec<T> a, Vec<T> b) { return GRAFT_PICK(Lane<T>, a, b, 1, 3, 5, 7, 9, 11, 13, 15); } \
  static inline Vec<T> zipLow(Vec<T> a, Vec<T> b) { return GRAFT_PICK(Lane<T>, a, b, 0, 8, 1, 9, 2, 10, 3, 11); } \
  static inline Vec<T> zipHigh(Vec<T> a, Vec<T> b) { return GRAFT_PICK(Lane<T>, a, b, 4, 12, 5, 13, 6, 14, 7, 15); }
#define GRAFT_PAIRS_OF_4(T) \
  static inline Vec<T> evens(Vec<T> a, Vec<T> b) { return GRAFT_PICK(Lane<T>, a, b, 0, 2, 4, 6); } \
  static inline Vec<T> odds(Vec<T> a, Vec<T> b) { return GRAFT_PICK(Lane<T>, a, b, 1, 3, 5, 7); } \
  static inline Vec<T> zipLow(Vec<T> a, Vec<T> b) { return GRAFT_PICK(Lane<T>, a, b, 0, 4, 1, 5); } \
  static inline Vec<T> zipHigh(Vec<T> a, Vec<T> b) { return GRAFT_PICK(Lane<T>, a, b, 2, 6, 3, 7); }
#define GRAFT_PAIRS_OF_2(T) \
  static inline Vec<T> evens(Vec<T> a, Vec<T> b) { return GRAFT_PICK(Lane<T>, a, b, 0, 2); } \
  static inline Vec<T> odds(Vec<T> a, Vec<T> b) { return GRAFT_PICK(Lane<T>, a, b, 1, 3); } \
  static inline Vec<T> zipLow(Vec<T> a, Vec<T> b) { return GRAFT_PICK(Lane<T>, a, b, 0, 2); } \
  static inline Vec<T> zipHigh(Vec<T> a, Vec<T> b) { return GRAFT_PICK(Lane<T>, a, b, 1, 3); }
#if GRAFT_VEC_BYTES == 64
GRAFT_PAIRS_OF_8(double)
#elif GRAFT_VEC_BYTES == 32
GRAFT_PAIRS_OF_8(float)
GRAFT_PAIRS_OF_4(double)
#else
GRAFT_PAIRS_OF_4(float)
GRAFT_PAIRS_OF_2(double)
#endif
#undef GRAFT_PAIRS_OF_8
#undef GRAFT_PAIRS_OF_4
#undef GRAFT_PAIRS_OF_2
#undef GRAFT_PICK

}  // namespace pool
}  // namespace GRAFT_ISA_NS
}  // namespace graft
