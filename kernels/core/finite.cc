#include "finite.h"

namespace graft {
namespace {

// A number is NaN or infinite when its exponent bits are all ones.
template <class Bits>
bool rowIsFinite(const Bits* row, int64_t count, int64_t stride, Bits exponent) {
  int bad = 0;
  if (stride == 1)
    for (int64_t i = 0; i < count; i++) bad |= (row[i] & exponent) == exponent;
  else
    for (int64_t i = 0; i < count; i++) bad |= (row[i * stride] & exponent) == exponent;
  return !bad;
}

template <class Bits>
bool allFinite(const View& view, Bits exponent) {
  int64_t index[kMaxRank] = {};
  const int last = view.rank - 1;
  const int64_t columns = last < 0 ? 1 : view.shape[last], step = last < 0 ? 1 : view.stride[last];
  for (int d = 0; d <= last; d++)
    if (view.shape[d] == 0) return true;
  const Bits* row = static_cast<const Bits*>(view.data);
  for (;;) {
    if (!rowIsFinite(row, columns, step, exponent)) return false;
    int d = last - 1;
    for (; d >= 0; d--) {
      if (view.shape[d] == 1) continue;   // its stride may be anything
      row += view.stride[d];
      if (++index[d] < view.shape[d]) break;
      row -= view.stride[d] * view.shape[d];
      index[d] = 0;
    }
    if (d < 0) return true;
  }
}

}  // namespace

bool isFinite(const View& view) {
  switch (view.dtype) {
    case DType::F32: return allFinite<uint32_t>(view, 0x7f800000u);
    case DType::F64: return allFinite<uint64_t>(view, 0x7ff0000000000000u);
    case DType::BF16: return allFinite<uint16_t>(view, 0x7f80u);
    case DType::F16: return allFinite<uint16_t>(view, 0x7c00u);
    default: return true;
  }
}

}  // namespace graft
